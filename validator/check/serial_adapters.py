"""The USB-UART adapters that are plugged in, each with the name to write into the configuration.

It reads /sys and the links in /dev, and opens no device. `ttyUSB0` names whatever was plugged in
first. udev makes two links that stay: one by the adapter's serial number, one by its USB port. The
first also follows the adapter to another port, but a CH340 has no serial number, and many CP210x
have the same one.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os.path import realpath
from pathlib import Path

CHIPS: Mapping[tuple[str, str], str] = {
    ("1a86", "7523"): "CH340",
    ("1a86", "55d4"): "CH9102",
    ("10c4", "ea60"): "CP210x",
    ("0403", "6001"): "FT232R",
    ("0403", "6014"): "FT232H",
    ("0403", "6015"): "FT-X",
    ("067b", "2303"): "PL2303",
    ("067b", "23a3"): "PL2303",
}
_TTYS = ("ttyUSB", "ttyACM")
_PARENTS_MAX = 5  # from the tty to its USB device
_TEXT_BYTES_MAX = 256
_SERIAL_LENGTH_MIN = 5  # "0001" and the like stand on every adapter of a batch


@dataclass(frozen=True, slots=True)
class SerialAdapter:
    """One USB-UART adapter.

    Attributes:
        tty: its name now, such as /dev/ttyUSB0.
        chip: the name of its chip, or its ids if they are not in CHIPS.
        serial_number: as the adapter tells it; empty if it has none.
        port: the USB port that it is in, such as 1-1.2.
        name: the link that stays; empty if udev has made none.
        named_by: why this link: one clause.
    """

    tty: str
    chip: str
    serial_number: str
    port: str
    name: str
    named_by: str


def serial_adapters(
    sys: Path = Path("/sys"), dev: Path = Path("/dev")
) -> tuple[SerialAdapter, ...]:
    """Return the adapters that are plugged in, ordered by their tty; one that just left is not."""
    found = sorted(_plugged_in(sys), key=lambda each: (len(each.tty), each.tty))
    counts = Counter(each.serial_number for each in found)
    return tuple(_named(each, dev, counts[each.serial_number]) for each in found)


@dataclass(frozen=True, slots=True)
class _PluggedIn:
    tty: str
    chip: str
    serial_number: str
    port: str


def _plugged_in(sys: Path) -> Iterator[_PluggedIn]:
    for entry in entries(sys / "class/tty"):
        if not entry.name.startswith(_TTYS):
            continue
        device = _usb_device(Path(realpath(entry)))
        if device is not None:
            ids = text_of(device / "idVendor"), text_of(device / "idProduct")
            chip = CHIPS.get(ids, ":".join(ids))
            yield _PluggedIn(entry.name, chip, text_of(device / "serial"), device.name)


def _usb_device(tty: Path) -> Path | None:
    """Return the folder of the USB device above a tty; None for a tty of another kind."""
    for parent in list(tty.parents)[:_PARENTS_MAX]:
        if (parent / "idVendor").is_file():
            return parent
    return None


def _named(adapter: _PluggedIn, dev: Path, alike: int) -> SerialAdapter:
    """Choose the link: a name of the operator's own, then the serial number, then the port."""
    serial = adapter.serial_number
    is_unique = alike == 1 and len(serial) >= _SERIAL_LENGTH_MIN and {*serial} != {"0"}
    own = links(dev, adapter.tty, prefix="turnike-")
    by_id = links(dev / "serial/by-id", adapter.tty)
    by_path = links(dev / "serial/by-path", adapter.tty)
    if own:
        name, named_by = own[0], "by a udev rule of this gate"
    elif by_id and is_unique:
        name, named_by = by_id[0], "by its serial number; it may move to another port"
    elif by_path:
        why = "other adapters may have its serial number" if serial else "it has no serial number"
        name, named_by = by_path[0], f"by its USB port, since {why}; keep it in this port"
    else:
        name, named_by = "", "udev has made no link for it; is udev running?"
    tty = str(dev / adapter.tty)
    return SerialAdapter(tty, adapter.chip, serial, adapter.port, name, named_by)


def links(folder: Path, tty: str, prefix: str = "") -> list[str]:
    """Return the links in a folder that lead to `tty`, the shortest first."""
    links = (
        str(entry)
        for entry in entries(folder)
        if entry.name.startswith(prefix)
        and entry.is_symlink()
        and Path(realpath(entry)).name == tty
    )
    return sorted(links, key=lambda link: (len(link), link))


def entries(folder: Path) -> list[Path]:
    """Return the entries of a folder, sorted; none if it is not there."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def text_of(file: Path) -> str:
    """Return the text of a small file of /sys; empty if it is gone. Unprintable is left out."""
    try:
        with file.open("rb") as opened:
            text = opened.read(_TEXT_BYTES_MAX).decode("utf-8", "replace").strip()
    except OSError:
        return ""
    return "".join(character for character in text if character.isprintable())
