"""The back office's configuration: backoffice.toml in its home, read into one frozen Config.

Every error names the file, the key and what to do. An unknown key is refused, since a misspelt one
would silently do nothing. backoffice.example.toml explains each key.
"""

from collections.abc import Iterator
from datetime import datetime
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from backoffice.home.folder import DAY_S, Expiries, Home
from backoffice.home.receiver_names import ADDRESSES_MAX, ReceiverNames
from validator.domain.rules import Effect
from validator.errors import ConfigError
from validator.formats.config_file import KeyFault, read_values, refuse
from validator.formats.shown import shown
from validator.formats.web_address import AddressError, parse_address
from validator.lists.manifest import EXPIRES_AFTER_S_MIN, RULES_MAX, RuleName, ScopeEntry

FILE_NAME = "backoffice.toml"
_SQLITE = "sqlite:///"
EXAMPLE = "backoffice.example.toml"
HOUR_S = 3_600


class RuleConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of [[rules]]: what the manifest holds of a rule, and the unit of its segments' ends."""

    name: RuleName
    effect: Effect
    until_unit_s: Annotated[int, Meta(ge=1, le=DAY_S)]
    reports: bool = False
    scope: ScopeEntry = ScopeEntry()
    in_force_from: Annotated[datetime, Meta(tz=True)] | None = None
    notice: bool = False

    def __post_init__(self) -> None:
        if self.effect is not Effect.REQUIRE and (self.notice or self.scope != ScopeEntry()):
            raise ValueError('only a rule with effect = "require" has a scope or a notice')
        if not 0 <= self.in_force_from_unix_s < 1 << 40:
            raise ValueError("in_force_from is out of range")

    @property
    def in_force_from_unix_s(self) -> int:
        """When the rule begins to decide, in Unix seconds; 0: always."""
        return 0 if self.in_force_from is None else int(self.in_force_from.timestamp())


class ExpiryConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[expiry]: how long what is published is valid."""

    manifest_hours: Annotated[int, Meta(ge=EXPIRES_AFTER_S_MIN // HOUR_S, le=24 * 366)] = 120
    timestamp_hours: Annotated[int, Meta(ge=1, le=24 * 7)] = 6
    metadata_days: Annotated[int, Meta(ge=7, le=366)] = 14
    root_days: Annotated[int, Meta(ge=30, le=3_660)] = 365


class ScheduleConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[schedule]: how long pieces are offered, and when a new snapshot is made."""

    minute_pieces_hours: Annotated[int, Meta(ge=1, le=24)] = 2
    hour_pieces_hours: Annotated[int, Meta(ge=24, le=24 * 7)] = 48
    day_pieces_days: Annotated[int, Meta(ge=2, le=366)] = 60
    snapshot_percent: Annotated[int, Meta(ge=1, le=100)] = 25
    snapshot_days: Annotated[int, Meta(ge=1, le=366)] = 30


class ReportsConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[reports]: the key to which gates seal UIDs, and how long reports are kept."""

    sealing_key: str = ""
    retention_days: Annotated[int, Meta(ge=1, le=3_660)] = 30


class ReceiverConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[receiver]: the addresses that gates call, and the database of reports and gates."""

    database: str = ""  # empty: the registry's
    addresses: Annotated[tuple[str, ...], Meta(max_length=ADDRESSES_MAX)] = ()


class FileConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    rules: Annotated[tuple[RuleConfig, ...], Meta(min_length=1, max_length=RULES_MAX)]
    database: str = ""
    published: str = "published"
    expiry: ExpiryConfig = ExpiryConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    reports: ReportsConfig = ReportsConfig()
    receiver: ReceiverConfig = ReceiverConfig()


class Config(FileConfig, frozen=True, kw_only=True):
    """The whole file, and the home that it is in."""

    folder: Path

    @property
    def database_url(self) -> str:
        """The registry's URL, as Registry.open takes it."""
        return self.database or f"sqlite:///{self.folder / 'registry.db'}"

    @property
    def reports_url(self) -> str:
        """The URL of the database of reports and gates, as ReportStore.open takes it."""
        return self.receiver.database or self.database_url

    @property
    def home(self) -> Home:
        """The home's folders, and how long its signatures are valid."""
        expiry = self.expiry
        expiries = Expiries(
            root_s=expiry.root_days * DAY_S,
            targets_s=expiry.metadata_days * DAY_S,
            snapshot_s=expiry.metadata_days * DAY_S,
            timestamp_s=expiry.timestamp_hours * HOUR_S,
        )
        return Home(self.folder, self.folder / self.published, expiries)

    @property
    def receiver_names(self) -> ReceiverNames:
        """The addresses that gates call, besides this machine's own names."""
        return ReceiverNames(parse_address(each) for each in self.receiver.addresses)

    @property
    def manifest_valid_s(self) -> int:
        """How long a manifest is valid, in seconds."""
        return self.expiry.manifest_hours * HOUR_S

    @property
    def sealing_key_file(self) -> Path | None:
        """The file of the sealing key's public half; None if reports are not sealed."""
        return self.folder / self.reports.sealing_key if self.reports.sealing_key else None

    def rule(self, name: str) -> RuleConfig:
        """The rule of this name. Raises ConfigError if there is none."""
        for rule in self.rules:
            if rule.name == name:
                return rule
        names = [rule.name for rule in self.rules]
        meant = "".join(f"; did you mean {each}?" for each in get_close_matches(name, names, 1))
        known = ", ".join(names)
        raise ConfigError(
            f"{self.folder / FILE_NAME}: has no rule {name!r}; its rules are {known}{meant}"
        )


def example() -> str:
    """The text of the example, which explains each key."""
    return (files("backoffice.home") / EXAMPLE).read_text(encoding="utf-8")


def load(home: Path) -> Config:
    """Read and check the backoffice.toml of this home.

    Raises:
        ConfigError: one line for each fault: the file, the key, what is wrong and what to do.
    """
    path = home / FILE_NAME
    values = read_values(
        path,
        FileConfig,
        example=EXAMPLE,
        absent="is not there; name a home with --home, or make one with turnike-backoffice init",
    )
    config = msgspec.convert({**values, "folder": home.resolve()}, Config)
    refuse(path, _faults_between_keys(config))
    return config


def _faults_between_keys(config: Config) -> Iterator[KeyFault]:
    names = [rule.name for rule in config.rules]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        yield KeyFault(f"rules[{twice}].name", "two rules have this name")
    yield from _database_faults("database", config.database, config.folder)
    yield from _database_faults("receiver.database", config.receiver.database, config.folder)
    if "\0" in config.reports.sealing_key:
        yield KeyFault("reports.sealing_key", "names no file")
    if not config.published or "\0" in config.published:
        yield KeyFault("published", "names no folder")
    elif (config.folder / config.published).resolve() in (config.folder, *config.folder.parents):
        yield KeyFault("published", "would publish the keys; name a folder of its own")
    for address in config.receiver.addresses:
        try:
            parse_address(address)
        except AddressError as error:
            yield KeyFault("receiver.addresses", str(error))
    if config.expiry.timestamp_hours >= 24 * config.expiry.metadata_days:
        yield KeyFault("expiry.timestamp_hours", "is not below expiry.metadata_days")


def _database_faults(key: str, url: str, home: Path) -> Iterator[KeyFault]:
    """A relative path is refused: the service, which runs in /, would begin an empty database."""
    if "\0" in url:
        yield KeyFault(key, "has a zero byte")
    name = url.removeprefix(_SQLITE)
    if name not in {"", url} and not name.startswith("/"):
        absolute = shown(f"{_SQLITE}{home / name}")
        yield KeyFault(key, f"names no absolute path (four slashes); write {absolute}")
