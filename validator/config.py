"""The gate's configuration: one TOML file to one frozen Config, checked once. Every error names the file, the key and the mend.

An unknown key is refused, since a misspelt one would silently do nothing. config/validator.example.toml explains each key.
Nothing here opens a device or a list.
"""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

DeviceId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}\Z")]


class ReaderConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[reader]: which driver reads cards. There is no fallback from one to another."""

    driver: Literal["pn532", "serial"]
    device: str = ""  # of pn532; a serial reader is the board's own
    max_targets: Literal[1, 2] = 2
    baud: Literal[115_200, 230_400, 460_800, 921_600] = 921_600


class BoardConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[board]: the turnstile controller."""

    device: str


class ListConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[list]: where lists and fingerprint keys lie, and what to do when the list is not what it should be."""

    folder: str
    keys: str
    stale: Literal["decide", "deny"]
    missing: Literal["admit", "deny"]


class PassageConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[passage]: how long arms, pictures and guards last."""

    direction: Literal["entry", "exit"] = "entry"
    hold_ms: Annotated[int, msgspec.Meta(ge=500, le=60_000)] = 5_000
    feedback_ms: Annotated[int, msgspec.Meta(ge=200, le=10_000)] = 1_500
    repeat_guard_s: Annotated[int, msgspec.Meta(ge=1, le=3_600)] = 60
    same_card_after_passing: Literal["admit", "try_again"] = "admit"


class ReportsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[reports]: how long a passenger waits for the disk, and how many reports may wait."""

    denial_commit_budget_ms: Annotated[int, msgspec.Meta(ge=10, le=1_000)] = 150
    reports_max: Annotated[int, msgspec.Meta(ge=1_000, le=10_000_000)] = 500_000


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    gate_id: DeviceId
    lane: Annotated[int, msgspec.Meta(ge=1, le=99)] = 1
    reader: ReaderConfig
    board: BoardConfig
    list: ListConfig
    passage: PassageConfig = PassageConfig()
    reports: ReportsConfig = ReportsConfig()


class ConfigError(Exception):
    """The configuration cannot be used; the text is one line for the operator: what, where, what to do."""


def load(path: Path) -> Config:
    """Read and check the file at `path`. Raises ConfigError."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); name another with --config") from error
    except (ValueError, RecursionError) as error:  # bad TOML, bad UTF-8, a number or a nesting beyond reason
        raise ConfigError(f"{path}: is not TOML: {error}") from error
    try:
        config = msgspec.convert(values, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_named(str(error))}; see config/validator.example.toml") from error
    _check_together(path, config)
    return config


def _named(message: str) -> str:
    """Msgspec's "… - at `$.list.stale`" and "missing required field `stale`", with the key in front."""
    what, _, where = message.partition(" - at ")
    table = where.strip("`").removeprefix("$").removeprefix(".")
    missing = re.fullmatch(r"Object missing required field `(\w+)`", what)
    unknown = re.fullmatch(r"Object contains unknown field `(\w+)`", what)
    if missing:
        return f"{_key(table, missing[1])} is missing and has no default"
    if unknown:
        return f"{_key(table, unknown[1])} is not a key of the configuration"
    return f"{table}: {what[0].lower()}{what[1:]}"


def _key(table: str, name: str) -> str:
    return f"{table}.{name}" if table else name


def _check_together(path: Path, config: Config) -> None:
    if config.reader.driver == "pn532" and not config.reader.device:
        raise ConfigError(
            f"{path}: reader.device is missing: the driver pn532 needs the path of its serial line"
        )
    if config.reader.driver == "serial" and config.reader.device:
        raise ConfigError(
            f"{path}: reader.device is set: the driver serial hears cards from the board at board.device"
        )
    named = {
        "reader.device": config.reader.device,
        "board.device": config.board.device,
        "list.folder": config.list.folder,
        "list.keys": config.list.keys,
    }
    for key, value in named.items():
        if value and not value.startswith("/"):
            raise ConfigError(f"{path}: {key}: {value!r} is not an absolute path")
        if "\0" in value:
            raise ConfigError(f"{path}: {key}: a path has no zero byte")
    if config.reader.device == config.board.device:
        raise ConfigError(f"{path}: reader.device and board.device are the same line")
