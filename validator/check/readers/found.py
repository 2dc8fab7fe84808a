"""One reader that is plugged in, or the place for one, with the lines to write for it."""

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FoundReader:
    """One thing that is, or may be, a reader.

    Attributes:
        what: what it is, such as "Sony RC-S380/P".
        where: where it is plugged in, such as "USB port 1-1.2".
        lines: the lines of the configuration, `[reader]` first; empty if no driver serves it.
        notes: what to know or to do, one line each.
    """

    what: str
    where: str
    lines: tuple[str, ...]
    notes: tuple[str, ...] = ()


def lines_of(driver: str, device: str) -> tuple[str, ...]:
    """Return the lines of [reader] for a driver and its device."""
    return ("[reader]", f"driver = {toml_value(driver)}", f"device = {toml_value(device)}")


def toml_value(value: object) -> str:
    """Return a string, number, truth value or list of them as TOML, which is as in JSON."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML refuses it bare
