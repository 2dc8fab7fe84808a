"""A configuration file: read, checked against a Struct, refused with one line for each fault.

    values = read_values(path, Config, example="validator.example.toml")    # raises ConfigError
    config = msgspec.convert(values, Config)
    refuse(path, faults_between_keys(config))                                # raises ConfigError

Each line is `FILE: KEY: what is wrong; what to do`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from validator.errors import ConfigError
from validator.formats.shown import shown
from validator.formats.text_files import config_bytes
from validator.formats.toml_struct import faults, table_of


class KeyFault(NamedTuple):
    """A fault at one key: `list.keys`, and what is wrong with it and what to do."""

    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.key}: {self.text}"


def read_values(
    path: Path, kind: type[msgspec.Struct], *, example: str, absent: str = "", unreadable: str = ""
) -> dict[str, Any]:
    """Read a TOML file and check each key, so that `msgspec.convert(values, kind)` succeeds.

    Args:
        path: the file.
        kind: the struct of the whole file.
        example: the file that explains each key; a fault of a key names it.
        absent: what is wrong, and what to do, if there is no such file.
        unreadable: what to do if the file cannot be read.

    Raises:
        ConfigError: one line for each fault.
    """
    try:
        with path.open("rb") as file:
            values = table_of(config_bytes(file))
    except OSError as error:
        reason = f"cannot be read ({error.strerror}){unreadable and f'; {unreadable}'}"
        if absent and isinstance(error, FileNotFoundError):
            reason = absent
        raise ConfigError(f"{shown(str(path))}: {reason}") from error
    except ValueError as error:
        raise ConfigError(f"{shown(str(path))}: {error}") from error
    _refuse(path, (f"{fault}; see {example}" for fault in faults(values, kind)))
    return values


def refuse(path: Path, found: Iterable[KeyFault]) -> None:
    """Raise a ConfigError that names the file and has a line for each fault, if there is any."""
    _refuse(path, map(str, found))


def _refuse(path: Path, lines: Iterable[str]) -> None:
    if text := "\n".join(f"{shown(str(path))}: {line}" for line in lines):
        raise ConfigError(text)
