"""No permission, and taken by another: each is one line that says what to do.

The system refuses for real where a file can stand for the device; libusb and pcscd answer with
errors of their own, which are made here.
"""

import errno
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
import usb1

from validator.host.usb_devices import UsbDevice, UsbName
from validator.lane.boards.port import Port, PortError
from validator.lane.ports import IN_USE
from validator.lane.readers.keyboard import reader as keyboard
from validator.lane.readers.keyboard.input_device import InputDevice
from validator.lane.readers.pcsc import reasons
from validator.lane.readers.pcsc.codes import Code, PcscError
from validator.lane.readers.pn532.opening import Opening as Pn532Opening
from validator.lane.readers.rcs380 import usb_line
from validator.lane.readers.rcs380.opening import Opening as Rcs380Opening

NOBODY = 65_534
ROOT = Path(__file__).parents[3]
UDEV = ROOT / "deploy/udev/70-turnike.rules"
DEVICE = UsbDevice(0x054C, 0x06C3, "1", "1-1", 1, 4, "RC-S380/P")


@contextmanager
def nobody() -> Iterator[None]:
    """Without root's right to open every file, if this is root."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everyone may enter, which `tmp_path` is not."""
    with TemporaryDirectory() as made:
        Path(made).chmod(0o711)
        yield Path(made)


@pytest.fixture
def closed(folder: Path) -> Path:
    """A file that only root may open, in a folder that everyone may enter."""
    path = folder / "closed"
    path.touch(0o000)
    return path


@pytest.fixture
def closed_tty() -> Iterator[str]:
    """A terminal that nobody may open."""
    ours, theirs = os.openpty()
    os.fchmod(theirs, 0o000)
    yield os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


def of_keyboard(fault: BaseException) -> str:
    return str(keyboard.explain("/dev/input/by-id/k", fault))


def of_pn532(fault: BaseException) -> str:
    return Pn532Opening("/dev/r", 921_600, 2).explain(fault)


def of_rcs380(fault: BaseException) -> str:
    return Rcs380Opening(UsbName()).explain(fault)


def of_board(fault: BaseException) -> str:
    """What a port says that pyserial cannot open for this reason."""

    def refused(*_: object, **__: object) -> None:
        raise fault

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("validator.lane.boards.port.serial.Serial", refused)
        with pytest.raises(PortError) as caught:
            Port("/dev/b", 115_200)
    return str(caught.value)


Explains = Callable[[BaseException], str]


@pytest.mark.parametrize(
    ("explains", "number", "told"),
    [
        (of_keyboard, errno.EACCES, "permission denied; put the reader's ids into deploy/udev/70-"),
        (of_keyboard, errno.EPERM, "permission denied; put the reader's ids into deploy/udev/70-"),
        (of_keyboard, errno.EBUSY, "in use by another program; every lane needs a reader of its"),
        (of_rcs380, errno.EACCES, "permission denied; install deploy/udev/70-turnike.rules"),
        (of_rcs380, errno.EPERM, "its unit needs DeviceAllow=char-usb_device rw"),
        (of_rcs380, errno.EBUSY, "in use by another program; every lane needs a reader of its"),
        (of_pn532, errno.EACCES, "permission denied; the service's user has to be in the group of"),
        (of_pn532, errno.EPERM, "permission denied; the service's user has to be in the group of"),
        (of_pn532, errno.EBUSY, "in use by another program; every lane needs a reader of its"),
        (of_pn532, errno.EAGAIN, "in use by another program; every lane needs a reader of its"),
        (of_board, errno.EACCES, "it may not be opened; is this user in the group dialout?"),
        (of_board, errno.EPERM, "it may not be opened; is this user in the group dialout?"),
        (of_board, errno.EBUSY, "in use by another process; does a lane run on it already?"),
        (of_board, errno.EAGAIN, "in use by another process; does a lane run on it already?"),
    ],
)
def test_a_refusal_of_the_system_is_one_line_that_says_what_to_do(
    explains: Explains, number: int, told: str
) -> None:
    line = explains(OSError(number, os.strerror(number)))
    assert told in line
    assert line.isprintable()
    assert (IN_USE in line) == (number in {errno.EBUSY, errno.EAGAIN}), "`check` makes it a note"


def test_the_rules_that_lines_name_are_there_and_give_each_device_to_the_group() -> None:
    rules = UDEV.read_text()
    for what in ('SUBSYSTEM=="usb"', 'SUBSYSTEM=="gpio"', "TURNIKE_TYPES}==", "TURNIKE_UART}=="):
        given = [line for line in rules.splitlines() if what in line and 'GROUP="turnike"' in line]
        assert given, what
    unit = (ROOT / "deploy/systemd/turnike-lane@.service").read_text()
    for kind in ("char-usb_device rw", "char-input r", "char-gpiochip rw", "char-ttyUSB rw"):
        assert re.search(rf"^DeviceAllow={kind}$", unit, re.MULTILINE), kind


def test_an_input_device_that_may_not_be_opened(closed: Path) -> None:
    with nobody(), pytest.raises(PermissionError) as caught:
        InputDevice(str(closed))
    assert "permission denied; put the reader's ids into" in of_keyboard(caught.value)


def test_a_serial_port_that_may_not_be_opened(closed_tty: str) -> None:
    with nobody(), pytest.raises(PortError) as caught:
        Port(closed_tty, 115_200)
    assert str(caught.value) == "it may not be opened; is this user in the group dialout?"


def test_a_serial_port_that_another_lane_has() -> None:
    ours, theirs = os.openpty()
    path = os.ttyname(theirs)
    first = Port(path, 115_200)
    with pytest.raises(PortError, match=r"^in use by another process; does a lane run on it"):
        Port(path, 115_200)
    first.close()
    os.close(theirs)
    os.close(ours)


class RefusedDevice:
    """What libusb shows of a device whose file the system does not open."""

    def __init__(self, error: type[Exception]) -> None:
        self._error = error

    def open(self) -> None:
        raise self._error


def test_libusb_hides_a_refusal_by_the_unit_and_the_node_tells_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def refuse(path: str, flags: int) -> int:
        asked.append((path, flags & os.O_ACCMODE))
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(usb_line, "os", SimpleNamespace(**{**vars(os), "open": refuse}))
    with pytest.raises(PermissionError) as caught:
        usb_line._opened(RefusedDevice(usb1.USBErrorIO), DEVICE)
    assert asked == [("/dev/bus/usb/001/004", os.O_RDWR)]
    assert "DeviceAllow=char-usb_device rw" in of_rcs380(caught.value)


def test_a_node_that_opens_is_a_device_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usb_line, "NODE", "/dev/null")
    with pytest.raises(usb1.USBErrorIO):
        usb_line._opened(RefusedDevice(usb1.USBErrorIO), DEVICE)
    with pytest.raises(usb1.USBErrorAccess):
        usb_line._opened(RefusedDevice(usb1.USBErrorAccess), DEVICE)


GONE = PcscError(Code.NO_SERVICE, "SCardEstablishContext")


def test_a_socket_of_pcscd_that_may_not_be_written_is_no_pcscd_to_start(
    folder: Path, closed: Path
) -> None:
    (folder / "pcscd").touch()
    with nobody():
        line = reasons.of_pcscd("ACS*", GONE, folder / "pcscd", closed)
    told = f"this user may not write to pcscd's socket {closed}; its usual mode is 0666"
    assert line == f"pcsc at ACS*: {told}"
    closed.chmod(0o666)
    with nobody():
        line = reasons.of_pcscd("ACS*", GONE, folder / "pcscd", closed)
    assert line.endswith("pcscd does not run; systemctl enable --now pcscd.socket")


def test_a_folder_of_pcscds_socket_that_may_not_be_entered_is_told_like_the_socket(
    folder: Path, closed: Path
) -> None:
    run = folder / "run"
    run.mkdir()
    socket = closed.rename(run / "pcscd.comm")
    run.chmod(0o700)
    with nobody():
        line = reasons.of_pcscd("ACS*", GONE, folder / "pcscd", socket)
    assert "this user may not write to pcscd's socket" in line


def test_a_user_whom_polkit_refuses_is_given_the_rule() -> None:
    refused = PcscError(Code.SECURITY_VIOLATION, "SCardEstablishContext")
    line = reasons.of_pcscd("ACS*", refused)
    told = f"pcscd refuses this user; put {reasons.RULE} into /etc/polkit-1/rules.d"
    assert line == f"pcsc at ACS*: {told}"
    rule = (ROOT / reasons.RULE).read_text()
    assert "org.debian.pcsc-lite.access_pcsc" in rule
    assert 'subject.user === "turnike"' in rule
