"""The command `firmware-sim usb-rig`: what a program sees in the rig, and what is refused."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from firmware_sim.usb.usbfs.rig import Rig
from firmware_sim.usb.usbfs.shim import OPTIONS, SOURCES
from tests.support.devices.usb_rig import pytest_in_usb_rig

FIRMWARE_SIM = (sys.executable, "-m", "firmware_sim")


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def in_rig(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in a rig of its own."""
    return run(*FIRMWARE_SIM, "usb-rig", "--", "sh", "-c", script, **environment)


def refused(ended: subprocess.CompletedProcess[str]) -> str:
    """Return the one line of a command that was refused."""
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    return line


def test_the_rig_has_a_bus_and_a_network_of_its_own_and_the_machine_s_files(
    tmp_path: Path,
) -> None:
    script = f"ls /sys /run/udev /run/pcscd; touch {tmp_path}/made"
    ended = in_rig(f"cd {tmp_path}; {script}; ls /dev/null /dev/pts/ptmx; pwd")
    assert (
        ended.stdout.split()
        == (
            f"/run/pcscd: /run/udev: control /sys: bus class devices subsystem"
            f" /dev/null /dev/pts/ptmx {tmp_path}"
        ).split()
    )
    assert (tmp_path / "made").exists()


def test_its_loopback_works_and_leads_to_no_port_of_the_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as outside:
        script = (
            "import socket, sys\n"
            "own = socket.create_server(('127.0.0.1', 0))\n"
            "socket.create_connection(own.getsockname())\n"
            "try: socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
            "except ConnectionRefusedError: print('its own')\n"
        )
        port = str(outside.getsockname()[1])
        inside = (sys.executable, "-c", script, port)
        assert run(*FIRMWARE_SIM, "usb-rig", "--", *inside).stdout == "its own\n"


def test_its_exit_code_is_the_command_s() -> None:
    assert in_rig("exit 7").returncode == 7


def test_it_leaves_no_trace_on_the_machine() -> None:
    replaced = [Path(folder) for folder in ("/sys", "/run/udev", "/run/pcscd")]
    before = [folder.is_dir() for folder in replaced]
    made = [str(folder / "turnike-was-here") for folder in replaced]
    assert in_rig(f"mkdir {' '.join(made)}").returncode == 0
    assert [folder.is_dir() for folder in replaced] == before
    assert [path for path in made if Path(path).exists()] == []


def test_a_user_without_root_has_a_rig_with_a_device_in_it() -> None:
    python = sys.executable
    script = (
        f"{python} -m firmware_sim rcs380 --card 04a1b2c3d4e5f6 < /dev/null | {{ read path;"
        f' printf "open $path\\nsense\\nclose\\n" | {python} -m tests.support.devices.nfcpy_sense;'
        " }"
    )
    # Another user number than root's, and no right that a user does not have.
    user = ("unshare", "--map-user=1000", "--map-group=1000")
    ended = run(*user, *FIRMWARE_SIM, "usb-rig", "--", "sh", "-c", script)
    assert ended.stdout.splitlines() == [
        "SONY RC-S380/P NFC Port-100 v1.11 at usb:001:002",
        "106A sdd_res=04A1B2C3D4E5F6 sel_res=20 sens_res=4403",
        "ok",
    ]
    assert run(*user, "id", "-u").stdout == "1000\n"


def test_programs_join_a_rig_that_is_kept() -> None:
    with Rig() as rig:
        assert run(*rig.command("sh", "-c", "mkdir /sys/here")).returncode == 0
        assert run(*rig.command("test", "-d", "/sys/here")).returncode == 0
        assert run("test", "-d", "/sys/here").returncode == 1
    assert "cannot join the USB rig" in refused(run(*rig.command("true")))


def test_a_user_without_root_joins_a_rig_of_their_own() -> None:
    script = (
        "import subprocess, firmware_sim.usb.usbfs.rig as r\n"
        "with r.Rig() as rig:\n"
        "    subprocess.run(rig.command('test', '-e', '/run/udev/control'), check=True)\n"
        "    print('joined')\n"
    )
    user = ("unshare", "--map-user=1000", "--map-group=1000")
    assert run(*user, sys.executable, "-c", script).stdout == "joined\n"


def test_a_kept_rig_ends_with_the_program_that_keeps_it() -> None:
    keeper = subprocess.Popen(
        [*FIRMWARE_SIM, "usb-rig", "--hold"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert keeper.stdout is not None
    assert keeper.stdin is not None
    assert int(keeper.stdout.readline()) == keeper.pid
    keeper.stdin.close()
    assert keeper.wait(60) == 0
    keeper.stdout.close()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "usb-rig: name the command to run"),
        (["--", "no-such-command"], "usb-rig: cannot start no-such-command: No such file"),
        (["--hold", "--", "true"], "usb-rig: --hold takes no command"),
        (["--join", "x", "--", "true"], "usb-rig: Invalid value for '--join'"),
        (["--join", "999999999", "--", "true"], "usb-rig: cannot join the USB rig"),
    ],
)
def test_a_wrong_command_is_one_line_and_exit_2(arguments: list[str], says: str) -> None:
    assert says in refused(run(*FIRMWARE_SIM, "usb-rig", *arguments))


def test_without_a_compiler_it_says_what_to_install(tmp_path: Path) -> None:
    ended = in_rig("true", PATH=str(tmp_path), XDG_CACHE_HOME=str(tmp_path))
    assert refused(ended).endswith("needs gcc: apt-get install gcc libc6-dev")


def test_a_compiler_that_fails_is_quoted(tmp_path: Path) -> None:
    gcc = tmp_path / "gcc"
    gcc.write_text("#!/bin/sh\necho 'shim.h: fatal error: no such header' >&2\nexit 1\n")
    gcc.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    ended = in_rig("true", PATH=path, XDG_CACHE_HOME=str(tmp_path))
    assert refused(ended).endswith("shim.h: fatal error: no such header")


def test_the_library_compiles_without_a_warning(tmp_path: Path) -> None:
    strict = ("-Wall", "-Wextra", "-Werror", "-o", str(tmp_path / "usbfs.so"))
    ended = run("gcc", *OPTIONS, *strict, *map(str, SOURCES))
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_cache_whose_name_the_loader_would_cut_is_refused(tmp_path: Path) -> None:
    assert "has a blank or a colon" in refused(in_rig("true", XDG_CACHE_HOME=f"{tmp_path}/a b"))


def test_a_machine_without_namespaces_is_told_so() -> None:
    # A user namespace in which no other may be made, and whose root may mount nothing here.
    script = "echo 0 > /proc/sys/user/max_mnt_namespaces; " + " ".join(FIRMWARE_SIM)
    ended = run("unshare", "-r", "sh", "-c", f"{script} usb-rig -- true")
    assert "usb-rig: this machine permits no namespaces" in refused(ended)


def test_a_device_without_a_rig_is_refused() -> None:
    assert "there is no simulated USB bus here" in refused(run(*FIRMWARE_SIM, "rcs380"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--card", "xyz"], "'xyz' is not a UID"),
        (["--fault", "nonsense"], "rcs380: no fault is called 'nonsense'"),
        (["--fault", "unplug=0"], "rcs380: unplug: '0' is not a number from 1"),
        (["--model", "X"], "'X' is not one of"),
        (["--serial", "7" * 127], "cannot be a string of a USB device"),
        (["--port", "16"], "16 is not in the range"),
        (["--card", "04a1b2c3d4e5f6", "--card", "04a1b2c3d4e5f6"], "on the reader already"),
        (["surplus"], "surplus"),
    ],
)
def test_wrong_arguments_of_a_reader_are_one_line_and_exit_2(
    arguments: list[str], says: str
) -> None:
    assert says in refused(run(*FIRMWARE_SIM, "rcs380", *arguments))


@pytest.mark.parametrize("device", ["ccid", "cp2112", "rcs380"])
def test_a_serial_number_that_no_device_has_is_one_line_and_exit_2(device: str) -> None:
    says = f"{device}: 'a\\nb' cannot be a string of a USB device"
    assert says in refused(run(*FIRMWARE_SIM, device, "--serial", "a\nb"))


def test_a_pytest_in_the_rig_shows_its_failures_whole(tmp_path: Path) -> None:
    inner = tmp_path / "test_inner.py"
    inner.write_text(
        "import os\n"
        "def test_holds(tmp_path): assert os.path.isdir('/sys/bus/usb/devices')\n"
        "def test_fails(): assert 'here' == 'there'\n"
    )
    pytest_in_usb_rig([f"{inner}::test_holds"], tmp_path)
    with pytest.raises(AssertionError, match="assert 'here' == 'there'"):
        pytest_in_usb_rig([str(inner)], tmp_path)
