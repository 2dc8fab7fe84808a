"""The gate's configuration: one TOML file to one frozen Config, checked once. Every error names the file, the key and the mend.

An unknown key is refused, since a misspelt one would silently do nothing. config/validator.example.toml explains each key.
Nothing here opens a device or a list.
"""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from os.path import normpath
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from validator.errors import ConfigError
from validator.formats.shown import shown
from validator.formats.text_files import config_bytes
from validator.formats.toml_struct import faults, table_of
from validator.formats.web_address import AddressError, parse_address, parse_proxy

LOOPBACK = ("127.0.0.1", "::1", "localhost")
PORT_MAX = 65_535

DeviceId = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}\Z",
        description="letters, digits, dots, underscores and hyphens, at most 32, the first a letter or digit",
    ),
]
HostName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^([A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])\Z",
        description="the name of a host or an address, an IPv6 address in brackets",
    ),
]


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
    recent: str = (
        ""  # a memory-backed folder for what changed lately; empty: all of it goes to `folder`
    )
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
    """[reports]: where reports wait, how many may, how long a passenger waits for the disk, and who may ask for them."""

    folder: str
    socket: str = ""  # empty: nobody can ask this lane, and its reports stay
    reserve_mb: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 32
    denial_commit_budget_ms: Annotated[int, msgspec.Meta(ge=10, le=1_000)] = 150
    reports_max: Annotated[int, msgspec.Meta(ge=1_000, le=10_000_000)] = 500_000


class CourierConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[courier]: where lists come from, and whom to believe."""

    url: str
    root: str
    poll_s: Annotated[int, msgspec.Meta(ge=1, le=3_600)] = 30
    ca_file: str = ""  # empty: the authorities that come with the requests package
    proxy: str = ""  # empty: none; what the environment says is never asked


class UploadConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[upload]: where reports go, with which key, and from which lanes. The courier's web settings hold for it too."""

    url: str
    key: str
    lanes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=99)]


class ConsoleConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[console]: where the status page is served, by which names browsers may call it, and which lanes it shows."""

    listen: str = "127.0.0.1:8021"  # port 0 takes a free one
    names: Annotated[tuple[HostName, ...], msgspec.Meta(max_length=16)] = ()  # besides loopback's
    lanes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=16)] = (
        "/run/turnike/lane-1.sock",
    )

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on. Raises ValueError; a configuration that was loaded does not."""
        host, _, port = self.listen.rpartition(":")
        if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > PORT_MAX:
            raise ValueError("no port")
        is_bracketed = host.startswith("[") and host.endswith("]")
        if ip_address(host[1:-1] if is_bracketed else host).version != (6 if is_bracketed else 4):
            raise ValueError("an IPv6 address stands in brackets, and no other")
        return host.strip("[]"), int(port)


class LogConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[log]: what the lane's log and `watch` say of a tap."""

    grounds: bool = False  # why a card was refused is health data: for a test bench only


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
        ConfigError: one line for each fault, each with the path of the file, the key and what to do.
    """
    named = shown(str(path))
    try:
        with path.open("rb") as file:
            values = table_of(config_bytes(file))
    except OSError as error:
        raise ConfigError(
            f"{named}: cannot be read ({error.strerror}); name another with --config"
        ) from error
    except ValueError as error:
        raise ConfigError(f"{named}: {error}") from error
    told = [f"{fault}; see config/validator.example.toml" for fault in faults(values, Config)]
    if not told:
        config = msgspec.convert(values, Config)
        told = list(_check_together(config))
    if told:
        raise ConfigError("\n".join(f"{named}: {fault}" for fault in told))
    return config


def _check_together(config: Config) -> Iterator[str]:
    if config.reader.driver == "pn532" and not config.reader.device:
        yield "reader.device is missing: the driver pn532 needs the path of its serial line"
    if config.reader.driver == "serial" and config.reader.device:
        yield "reader.device is set: the driver serial hears cards from the board at board.device"
    for key, value in _paths(config):
        if value and not value.startswith("/"):
            yield f"{key}: {value!r} is not an absolute path"
        if "\0" in value:
            yield f"{key}: a path has no zero byte"
    if config.list.recent and normpath(config.list.recent) == normpath(config.list.folder):
        yield "list.recent and list.folder are the same folder"
    if config.courier is not None:
        yield from _check_courier(config.courier)
    if config.upload is not None:
        yield from _check_upload(config.upload)
    if config.console is not None:
        yield from _check_console(config.console)
    if config.reader.device == config.board.device:
        yield "reader.device and board.device are the same line"


def _paths(config: Config) -> Iterator[tuple[str, str]]:
    """Every key that is a path. None may be relative: the programs are started by systemd in / and by a person anywhere, and each place would have an outbox of its own."""
    yield "reader.device", config.reader.device
    yield "board.device", config.board.device
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


def _check_courier(courier: CourierConfig) -> Iterator[str]:
    """Lists are signed, but who asks for them is private: without TLS only this machine may be asked."""
    yield from _check_server("courier.url", courier.url)
    if courier.proxy:
        try:
            parse_proxy(courier.proxy)
        except AddressError as error:
            yield f"courier.proxy: {error}"


def _check_upload(upload: UploadConfig) -> Iterator[str]:
    """Reports name nobody, but when and where a card was refused is private, and only TLS says who receives them."""
    yield from _check_server("upload.url", upload.url)


def _check_console(console: ConsoleConfig) -> Iterator[str]:
    """What is served beyond this machine is called by a name that it has to know: see console/guard.py."""
    try:
        host, _ = console.address
    except ValueError:
        yield f"console.listen: {console.listen!r} is not an address and a port; write 127.0.0.1:8021"
    else:
        if host not in LOOPBACK and not console.names:
            yield f"console.names is empty: say by which names or addresses browsers call {console.listen}"
    if len({*console.lanes}) < len(console.lanes):
        yield "console.lanes: the same lane twice"


def _check_server(key: str, value: str) -> Iterator[str]:
    try:
        address = parse_address(value)
    except AddressError as error:
        yield f"{key}: {error}"
        return
    if address.scheme == "http" and not address.is_loopback:
        yield f"{key}: http:// only for this machine itself; write https://"
