"""The gate's configuration: one TOML file, checked once, as one frozen Config.

Every error names the file, the key and what to do. An unknown key is refused: a misspelt key would
silently have no effect. config/validator.example.toml explains each key. Nothing here opens a
device or a list.
"""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from os.path import normpath
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from validator.config.devices import BoardConfig, ReaderConfig, device_faults, device_paths
from validator.config.names import path_fault
from validator.formats.config_file import KeyFault, read_values, refuse
from validator.formats.shown import quoted
from validator.formats.web_address import AddressError, parse_address, parse_proxy

LOOPBACK = ("127.0.0.1", "::1", "localhost")
PORT_MAX = 65_535

DeviceId = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}\Z",
        description="at most 32 letters, digits, dots, underscores and hyphens, "
        "the first a letter or digit",
    ),
]
HostName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^([A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])\Z",
        description="the name of a host or an address, an IPv6 address in brackets",
    ),
]


class ListConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[list]: where lists and fingerprint keys are, and what to do without a valid list."""

    folder: str
    recent: str = ""  # a memory-backed folder for small changes; empty: they too go to `folder`
    keys: str
    stale: Literal["decide", "deny"]
    missing: Literal["admit", "deny"]


class PassageConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[passage]: how long arms stay open and pictures are shown, and what one card does twice.

    Within `repeat_guard_s` a denied card is reported once, and "try_again" keeps a card that has
    passed from opening again.
    """

    direction: Literal["entry", "exit"] = "entry"
    hold_ms: Annotated[int, msgspec.Meta(ge=500, le=60_000)] = 5_000
    feedback_ms: Annotated[int, msgspec.Meta(ge=200, le=10_000)] = 1_500
    repeat_guard_s: Annotated[int, msgspec.Meta(ge=1, le=3_600)] = 60
    same_card_after_passing: Literal["admit", "try_again"] = "admit"


class ReportsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[reports]: the outbox and its limits, and the socket on which the courier fetches reports."""

    folder: str
    socket: str = ""  # empty: no process can ask this lane, and its reports stay
    reserve_mb: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 32
    denial_commit_budget_ms: Annotated[int, msgspec.Meta(ge=10, le=1_000)] = 150
    reports_max: Annotated[int, msgspec.Meta(ge=1_000, le=10_000_000)] = 500_000


class CourierConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[courier]: where lists come from, and which signatures and certificates to trust."""

    url: str
    root: str
    poll_s: Annotated[int, msgspec.Meta(ge=1, le=3_600)] = 30
    ca_file: str = ""  # empty: the certificate authorities of the requests package
    proxy: str = ""  # empty: none; the environment's proxies are never used


class UploadConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[upload]: where reports go, with which key, and from which lanes.

    The web settings of [courier] apply here too.
    """

    url: str
    key: str
    lanes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=99)]


class ConsoleConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[console]: the address and names of the status page, and the lanes that it shows."""

    listen: str = "127.0.0.1:8021"  # port 0 takes a free one
    names: Annotated[tuple[HostName, ...], msgspec.Meta(max_length=16)] = ()  # besides loopback's
    lanes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=16)] = (
        "/run/turnike/lane-1.sock",
    )

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on.

        Raises:
            ValueError: `listen` is not an address and a port; load() has excluded that.
        """
        host, _, port = self.listen.rpartition(":")
        if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > PORT_MAX:
            raise ValueError("no port")
        is_bracketed = host.startswith("[") and host.endswith("]")
        if ip_address(host[1:-1] if is_bracketed else host).version != (6 if is_bracketed else 4):
            raise ValueError("an IPv6 address is in brackets, and no other is")
        return host.strip("[]"), int(port)


class LogConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[log]: what the lane's log and `watch` contain about a tap."""

    grounds: bool = False  # the ground of a denial is health data: for a test bench only


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    gate_id: DeviceId
    lane: Annotated[int, msgspec.Meta(ge=1, le=99)] = 1
    reader: ReaderConfig
    board: BoardConfig
    list: ListConfig
    passage: PassageConfig = PassageConfig()
    reports: ReportsConfig
    log: LogConfig = LogConfig()
    courier: CourierConfig | None = None
    upload: UploadConfig | None = None
    console: ConsoleConfig | None = None


def load(path: Path) -> Config:
    """Read and check the file at `path`.

    Raises:
        ConfigError: one line for each fault: the file, the key, what is wrong and what to do.
    """
    values = read_values(
        path,
        Config,
        example="config/validator.example.toml",
        unreadable="name another with --config",
    )
    config = msgspec.convert(values, Config)
    refuse(path, _faults_between_keys(config))
    return config


def _faults_between_keys(config: Config) -> Iterator[KeyFault]:
    yield from device_faults(config.reader, config.board, hold_ms=config.passage.hold_ms)
    for key, value in _paths(config):
        if told := path_fault(value):
            yield KeyFault(key, f"{quoted(value)} {told}")
    if config.list.recent and normpath(config.list.recent) == normpath(config.list.folder):
        yield KeyFault("list.recent", "is the same folder as list.folder; name another or none")
    if config.courier is not None:
        yield from _courier_faults(config.courier)
    if config.upload is not None:
        yield from _server_faults("upload.url", config.upload.url)
    if config.console is not None:
        yield from _console_faults(config.console)


def _paths(config: Config) -> Iterator[tuple[str, str]]:
    """Every key that is a path, with its value.

    A relative path is refused: systemd starts the programs in /, a person starts them anywhere, and
    the lane would have another outbox in each place.
    """
    yield from device_paths(config.reader, config.board)
    yield "list.folder", config.list.folder
    yield "list.recent", config.list.recent
    yield "list.keys", config.list.keys
    yield "reports.folder", config.reports.folder
    yield "reports.socket", config.reports.socket
    if config.courier is not None:
        yield "courier.root", config.courier.root
        yield "courier.ca_file", config.courier.ca_file
    if config.upload is not None:
        yield "upload.key", config.upload.key
        yield from (("upload.lanes", lane) for lane in config.upload.lanes)
    if config.console is not None:
        yield from (("console.lanes", lane) for lane in config.console.lanes)


def _courier_faults(courier: CourierConfig) -> Iterator[KeyFault]:
    yield from _server_faults("courier.url", courier.url)
    if courier.proxy:
        try:
            parse_proxy(courier.proxy)
        except AddressError as error:
            yield KeyFault("courier.proxy", str(error))


def _console_faults(console: ConsoleConfig) -> Iterator[KeyFault]:
    """A page that other machines may open needs the names they use: see console/guard.py."""
    try:
        host, _ = console.address
    except ValueError:
        told = f"{console.listen!r} is not an address and a port; write 127.0.0.1:8021"
        yield KeyFault("console.listen", told)
    else:
        if host not in LOOPBACK and not console.names:
            told = f"is empty; list the names or addresses by which browsers call {console.listen}"
            yield KeyFault("console.names", told)
    if len({*console.lanes}) < len(console.lanes):
        yield KeyFault("console.lanes", "has the same lane twice")


def _server_faults(key: str, value: str) -> Iterator[KeyFault]:
    """An address that the gate must not send to: without TLS, only this machine is allowed.

    Lists are signed and reports name no card. But anyone on the way could read which gate asks, and
    when and where a card was refused, and only TLS proves who receives it.
    """
    try:
        address = parse_address(value)
    except AddressError as error:
        yield KeyFault(key, str(error))
        return
    if address.scheme == "http" and not address.is_loopback:
        yield KeyFault(key, "http:// is only for this machine itself; write https://")
