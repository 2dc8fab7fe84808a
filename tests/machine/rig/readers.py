"""The readers of a gate in a guest: how each is simulated, and what the gate's configuration says.

A simulated reader takes verbs and tells events alike, whether it runs beside the guest, on its USB,
or inside, where it types into the guest's kernel.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from tests.machine.rig.guest import Guest, GuestProgram
from tests.machine.rig.kernel import Kernel
from tests.machine.rig.pcscd import running_pcscd
from tests.machine.rig.plugged import plugged_alone
from tests.support.machine.programs import Program

SONY, ACS = "054c", "072f"
NAME = "ACS ACR122U PICC Interface"
LINK = "/run/work/reader"

Reader = Program | GuestProgram


@dataclass(frozen=True)
class Kind:
    """One reader.

    Attributes:
        about: the lines of the configuration that name it.
        in_guest: plugs it into a guest, with all that it needs there.
        replugs: how many a test makes of it: those that go through pcscd are slow.
    """

    about: str
    in_guest: Callable[[Guest, Kernel], AbstractContextManager[Reader]]
    replugs: int


@contextmanager
def _rcs380(machine: Guest, _kernel: Kernel) -> Iterator[Reader]:
    with plugged_alone(machine, SONY, "rcs380") as device:
        yield device


@contextmanager
def _pcsc(machine: Guest, _kernel: Kernel) -> Iterator[Reader]:
    with running_pcscd(machine), plugged_alone(machine, ACS, "ccid") as device:
        yield device


@contextmanager
def _keyboard(machine: Guest, kernel: Kernel) -> Iterator[Reader]:
    machine.load(kernel, "evdev", "uinput")
    device = machine.python("-m", "tests.machine.inside.typing_reader", LINK)
    device.first_line()
    yield device
    device.kill()


_HEX = '[reader.keyboard]\nbase = "hex"\norder = "printed"\nbytes = [7]\n'
KINDS = {
    "rcs380": Kind('[reader]\ndriver = "rcs380"\ndevice = "usb"\n', _rcs380, 100),
    "pcsc": Kind(f'[reader]\ndriver = "pcsc"\ndevice = "{NAME}*"\n', _pcsc, 20),
    "keyboard": Kind(f'[reader]\ndriver = "keyboard"\ndevice = "{LINK}"\n{_HEX}', _keyboard, 40),
}
