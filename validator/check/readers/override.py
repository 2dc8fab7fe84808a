"""Another driver, or other keys, for one try: `--driver NAME` and `--key KEY=VALUE`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from validator.check.readers.found import FoundReader, lines_of, toml_value
from validator.check.readers.trial import config_of
from validator.config.devices import (
    AT_A_SERIAL_LINE,
    BoardConfig,
    ReaderConfig,
    device_faults,
    device_paths,
)
from validator.errors import OperatorError
from validator.formats.shown import shown
from validator.formats.toml_struct import faults, table_of
from validator.programs.devices import reader_drivers

_KEY = re.compile(r"([a-z_]+(?:\.[a-z_]+)?)=(.*)", re.DOTALL)
_HOLD_MS = 5_000  # of a board, which is not tried here


@dataclass(frozen=True, slots=True)
class Override:
    """What a person names instead of the listed lines.

    Attributes:
        driver: its name; empty for the listed one.
        keys: of [reader], as KEY=VALUE, such as `baud=115200` or `keyboard.base=decimal`.
    """

    driver: str = ""
    keys: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is named."""
        return bool(self.driver or self.keys)

    def elsewhere(self) -> FoundReader | None:
        """Return the reader that driver and `device=` name, which no list needs to have.

        Raises:
            OperatorError: the driver or a key is wrong.
        """
        driver, device = self._driver(), self._values().get("device")
        if not driver or device is None:
            return None
        reader = FoundReader(driver, str(device), lines_of(driver, ""))
        return replace(reader, lines=self.lines_for(reader))

    def lines_for(self, found: FoundReader) -> tuple[str, ...]:
        """Return the lines of the configuration for this try.

        Raises:
            OperatorError: the driver or a key is wrong, or the driver does not fit what was found.
        """
        listed = config_of(found.lines)
        driver = self._driver() or listed.driver
        if driver != listed.driver and not {driver, listed.driver} <= {*AT_A_SERIAL_LINE}:
            fit = AT_A_SERIAL_LINE if listed.driver in AT_A_SERIAL_LINE else (listed.driver,)
            raise OperatorError(
                f"--driver {driver}: {shown(found.what)} cannot be one; it is tried with"
                f" {' or '.join(fit)}"
            )
        values = {"driver": driver, "device": listed.device} | self._values()
        if wrong := "; ".join(_faults(_nested(values))):
            raise OperatorError(f"--driver and --key: {wrong}")
        return ("[reader]", *(f"{key} = {toml_value(value)}" for key, value in values.items()))

    def _driver(self) -> str:
        if self.driver and self.driver not in reader_drivers():
            raise OperatorError(
                f"--driver {shown(self.driver)}: there is no such driver of a reader; there are"
                f" {', '.join(reader_drivers())}"
            )
        return self.driver

    def _values(self) -> dict[str, Any]:
        """Return the keys with their values: TOML, or else a string without its quotes."""
        values: dict[str, Any] = {}
        for text in self.keys:
            match = _KEY.fullmatch(text)
            if match is None or match[1] == "driver" or match[1] in values:
                told = "write KEY=VALUE, each key of [reader] once; --driver names the driver"
                raise OperatorError(f"--key {shown(text)}: {told}")
            values[match[1]] = _value(match[2])
        return values


def _value(text: str) -> object:
    try:
        parsed = table_of(f"it = {text}".encode())
    except ValueError:
        return text
    return parsed["it"] if set(parsed) == {"it"} else text


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with a table for the keys that have its name and a dot in front."""
    tables: dict[str, Any] = {}
    for key, value in values.items():
        table, _, inner = key.partition(".")
        if not inner:
            tables[key] = value
        elif isinstance(tables.setdefault(table, {}), dict):
            tables[table][inner] = value
    return tables


def _faults(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with [reader]; each is one clause that names the key."""
    if wrong := faults(values, ReaderConfig):
        yield from wrong
        return
    reader, board = msgspec.convert(values, ReaderConfig), BoardConfig()
    for fault in device_faults(reader, board, hold_ms=_HOLD_MS):
        is_learnt = reader.driver == "keyboard" and reader.keyboard is None
        if fault.key.startswith("reader.") and not (is_learnt and fault.key != "reader.device"):
            yield str(fault)
    for key, path in device_paths(reader, board):
        if path and (not path.startswith("/") or "\0" in path):
            yield f"{key}: {path!r} is not an absolute path"
