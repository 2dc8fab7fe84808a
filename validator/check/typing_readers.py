"""The keyboards that are plugged in, among them readers that type, with the name to configure.

It reads /sys and the links in /dev/input, and opens no device. A reader that types says of itself
only that it is a keyboard; `likely` is a guess by its ids and by what it calls itself, for the
order in which a person is asked.
"""

import re
from collections import Counter
from dataclasses import dataclass
from os.path import realpath
from pathlib import Path

from validator.check.serial_adapters import entries, links, text_of

KNOWN_IDS = frozenset({("08ff", "0009"), ("ffff", "0035"), ("1a86", "dd01"), ("0c27", "3bfa")})
_LIKELY = re.compile(r"rfid|nfc|reader|card|13\.56", re.IGNORECASE)
_DIGIT_KEYS = sum(1 << code for code in range(2, 12))  # KEY_1 to KEY_0


@dataclass(frozen=True, slots=True)
class Keyboard:
    """One input device with digit keys.

    Attributes:
        event: its name now, such as /dev/input/event3.
        calls_itself: the name that the device tells; printable.
        ids: vendor and product, four hex digits each.
        likely: whether it is probably a reader.
        name: the link that stays; empty if udev has made none.
        named_by: why this link: one clause.
    """

    event: str
    calls_itself: str
    ids: tuple[str, str]
    likely: bool
    name: str
    named_by: str


def keyboards(sys: Path = Path("/sys"), dev: Path = Path("/dev")) -> tuple[Keyboard, ...]:
    """Return the keyboards that are plugged in, likely readers first."""
    events = [
        entry
        for entry in entries(sys / "class/input")
        if re.fullmatch(r"event[0-9]+", entry.name) and _has_digits(Path(realpath(entry)).parent)
    ]
    ids = {entry.name: _ids(Path(realpath(entry)).parent) for entry in events}
    counts = Counter(ids.values())
    found = (_keyboard(entry, ids[entry.name], counts[ids[entry.name]], dev) for entry in events)
    return tuple(sorted(found, key=lambda each: (not each.likely, len(each.event), each.event)))


def _keyboard(entry: Path, ids: tuple[str, str], alike: int, dev: Path) -> Keyboard:
    calls_itself = text_of(Path(realpath(entry)).parent / "name")
    likely = ids in KNOWN_IDS or _LIKELY.search(calls_itself) is not None
    by_id = links(dev / "input/by-id", entry.name)
    by_path = links(dev / "input/by-path", entry.name)
    if by_id and alike == 1:
        name, named_by = by_id[0], "by its model: with a second one of it, take the by-path link"
    elif by_path:
        why = "two of its model are plugged in" if alike > 1 else "it has no name of its own"
        name, named_by = by_path[0], f"by its USB port, since {why}; keep it in this port"
    else:
        name, named_by = "", "udev has made no link for it; is udev running?"
    return Keyboard(str(dev / "input" / entry.name), calls_itself, ids, likely, name, named_by)


def _has_digits(device: Path) -> bool:
    """Whether the key bitmap of an input device, hex words with the lowest last, has all digits."""
    words = text_of(device / "capabilities/key").split()
    try:
        lowest = int(words[-1], 16) if words else 0
    except ValueError:
        return False
    return lowest & _DIGIT_KEYS == _DIGIT_KEYS


def _ids(device: Path) -> tuple[str, str]:
    return text_of(device / "id/vendor"), text_of(device / "id/product")
