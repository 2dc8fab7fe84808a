"""The gate's configuration: one TOML file to one frozen Config, checked once. Every error names the file, the key and the mend.

An unknown key is refused, since a misspelt one would silently do nothing. config/validator.example.toml explains each key.
Nothing here opens a device or a list.
"""

import re
import tomllib
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

LOOPBACK = ("127.0.0.1", "::1", "localhost")
PORT_MAX = 65_535

DeviceId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}\Z")]
HostName = Annotated[
    str, msgspec.Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])\Z")
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
    recent: str = ""  # a memory-backed folder for what changed lately; empty: all of it goes to `folder`
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


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    gate_id: DeviceId
    lane: Annotated[int, msgspec.Meta(ge=1, le=99)] = 1
    reader: ReaderConfig
    board: BoardConfig
    list: ListConfig
    passage: PassageConfig = PassageConfig()
    reports: ReportsConfig
    courier: CourierConfig | None = None
    upload: UploadConfig | None = None
    console: ConsoleConfig | None = None


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
    if "matching regex" in what:
        key = re.findall(r"[a-z_]+", table)[-1]
        return f"{table}: must be {_WORDS[key]}"
    return f"{table}: {what[0].lower()}{what[1:]}"


_WORDS = {  # of the keys that have a pattern
    "gate_id": "letters, digits, dots, underscores and hyphens, 32 at most, a letter or a digit first",
    "names": "names of hosts, and addresses; one of IPv6 in brackets",
}


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
        "list.recent": config.list.recent,
        "list.keys": config.list.keys,
        "courier.root": config.courier.root if config.courier else "",
        "courier.ca_file": config.courier.ca_file if config.courier else "",
    }
    for key, value in named.items():
        if value and not value.startswith("/"):
            raise ConfigError(f"{path}: {key}: {value!r} is not an absolute path")
        if "\0" in value:
            raise ConfigError(f"{path}: {key}: a path has no zero byte")
    if config.list.recent == config.list.folder:
        raise ConfigError(f"{path}: list.recent and list.folder are the same folder")
    if config.courier is not None:
        _check_courier(path, config.courier)
    if config.upload is not None:
        _check_upload(path, config.upload)
    if config.console is not None:
        _check_console(path, config.console)
    if config.reader.device == config.board.device:
        raise ConfigError(f"{path}: reader.device and board.device are the same line")


def _check_courier(path: Path, courier: CourierConfig) -> None:
    """Lists are signed, but who asks for them is not everybody's affair: without TLS only this machine itself may be asked."""
    _check_address(path, "courier.url", courier.url, ("https", "http"))
    _check_address(path, "courier.proxy", courier.proxy, ("http", "https", ""))
    _check_server(path, "courier.url", courier.url)


def _check_upload(path: Path, upload: UploadConfig) -> None:
    """Reports name nobody, but when and where somebody was refused is not everybody's affair, and only TLS says who answers for them."""
    _check_address(path, "upload.url", upload.url, ("https", "http"))
    _check_server(path, "upload.url", upload.url)


def _check_console(path: Path, console: ConsoleConfig) -> None:
    """What is served beyond this machine is called by a name that it has to know: see console/guard.py."""
    try:
        host, _ = console.address
    except ValueError:
        raise ConfigError(
            f"{path}: console.listen: {console.listen!r} is not an address and a port; write 127.0.0.1:8021"
        ) from None
    if host not in LOOPBACK and not console.names:
        raise ConfigError(
            f"{path}: console.names is empty: say by which names or addresses browsers call {console.listen}"
        )
    for lane in console.lanes:
        if not lane.startswith("/") or "\0" in lane:
            raise ConfigError(f"{path}: console.lanes: {lane!r} is not an absolute path")
    if len({*console.lanes}) < len(console.lanes):
        raise ConfigError(f"{path}: console.lanes: the same lane twice")


def _check_address(path: Path, key: str, value: str, schemes: tuple[str, ...]) -> None:
    try:
        parts = urlsplit(value)
        is_wrong = (
            parts.scheme not in schemes or bool(parts.scheme) != bool(parts.hostname) or parts.port == 0
        )
    except ValueError:
        is_wrong = True
    if is_wrong or (value and not value.isprintable()):
        raise ConfigError(f"{path}: {key}: {value!r} is not an address; write https://host/path/")


def _check_server(path: Path, key: str, value: str) -> None:
    parts = urlsplit(value)
    if parts.query or parts.fragment or parts.username:
        raise ConfigError(f"{path}: {key}: an address without user, ? and #, please")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ConfigError(f"{path}: {key}: http:// only for this machine itself; write https://")
