"""The guest itself: what the other tests rely on."""

from tests.machine.rig.guest import Guest
from tests.machine.rig.kernel import Kernel


def test_the_guest_runs_debians_kernel_and_the_files_of_this_checkout(
    machine: Guest, kernel: Kernel
) -> None:
    assert machine.run("uname -r") == kernel.release
    (machine.shared / "note").write_text("from outside")
    assert machine.run("cat /run/shared/note") == "from outside"
    code = "import validator.lane.ports as p; print(p.__file__)"
    program = machine.python("-c", code)
    assert program.first_line() == __file__.replace(
        "tests/machine/test_guest.py", "validator/lane/ports.py"
    )
    assert program.wait() == 0


def test_a_program_hears_its_input_and_its_signals(machine: Guest) -> None:
    cat = machine.start("cat")
    cat.say("hello")
    assert cat.first_line() == "hello"
    assert cat.end() == -15
    assert machine.start("/no/such/program").wait() == 127
