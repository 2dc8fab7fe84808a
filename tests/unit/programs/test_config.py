"""A gate's configuration: each fault is one line with file, key and what to do."""

import tomllib
from pathlib import Path

import msgspec
import pytest

from validator.config import ConsoleConfig, load
from validator.errors import ConfigError

EXAMPLE = Path(__file__).parents[3] / "config" / "validator.example.toml"
GOOD = """
gate_id = "a"
[reader]
driver = "pn532"
device = "/dev/r"
[board]
device = "/dev/b"
[list]
folder = "/l"
keys = "/k"
stale = "decide"
missing = "deny"
[reports]
folder = "/o"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "v.toml"
    path.write_text(text)
    return path


def test_the_example_is_a_good_configuration_and_shows_every_default() -> None:
    config = load(EXAMPLE)
    assert (config.gate_id, config.list.stale, config.list.missing) == (
        "kadikoy-03",
        "decide",
        "deny",
    )
    shown = tomllib.loads(EXAMPLE.read_text())
    for section in ("passage", "reports"):
        struct = getattr(config, section)
        assert {key: getattr(struct, key) for key in struct.__struct_fields__} == shown[section]
    fields = config.reader.__struct_fields__  # tables of one driver alone are comments
    assert set(shown["reader"]) == {
        key for key in fields if getattr(config.reader, key) is not None
    }
    assert msgspec.convert(shown["console"], ConsoleConfig) == ConsoleConfig() == config.console


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('stale = "decide"', ""), "list.stale: is missing and has no default"),
        (('missing = "deny"', ""), "list.missing: is missing and has no default"),
        (
            ('missing = "deny"', 'missing = "maybe"'),
            'list.missing: must be "admit" or "deny", not "maybe"',
        ),
        (('gate_id = "a"', ""), "gate_id: is missing and has no default"),
        (('gate_id = "a"', 'gate_id = "a b"'), "gate_id: "),
        (('keys = "/k"', 'keys = "/k"\nkeyz = 1'), "list.keyz: is not a key of the configuration"),
        (
            ('device = "/dev/r"', ""),
            "reader.device: is missing; the driver pn532 needs its serial line",
        ),
        (
            ('driver = "pn532"', 'driver = "serial"'),
            (
                "reader.device: is set; remove it, since the driver serial reads cards "
                "through board.device"
            ),
        ),
        (
            ('driver = "pn532"\ndevice = "/dev/r"', 'driver = "serial"\nread_number = true'),
            (
                "reader.read_number: is true, and the driver serial passes no APDUs to a card; "
                "remove it"
            ),
        ),
        (
            ('driver = "pn532"\ndevice = "/dev/r"', 'driver = "rcs380"'),
            'reader.device: is missing; write "usb" if one RC-S380 is plugged in',
        ),
        (
            ('driver = "pn532"\ndevice = "/dev/r"', 'driver = "rcs380"\ndevice = "usb:001:004"'),
            (
                "reader.device: 'usb:001:004' is no USB device; write \"usb\","
                ' "usb:serial=NUMBER" or "usb:port=PATH"'
            ),
        ),
        (
            ('driver = "pn532"', 'driver = "acr122"'),
            'not "acr122"',
        ),
        (
            ('device = "/dev/b"', 'device = "dev/b"'),
            "board.device: 'dev/b' is not an absolute path",
        ),
        (
            ('device = "/dev/b"', 'device = "/dev/r"'),
            "reader.device: is the same line as board.device; each needs its own",
        ),
        (("[board]", "[board"), "is not TOML"),
        (
            ("[board]", "[passage]\nhold_ms = 10\n[board]"),
            "passage.hold_ms: must be a whole number from 500 to 60000",
        ),
    ],
)
def test_a_fault_is_one_line_with_file_and_key(
    tmp_path: Path, change: tuple[str, str], told: str
) -> None:
    path = written(tmp_path, GOOD.replace(*change, 1))
    with pytest.raises(ConfigError) as caught:
        load(path)
    message = str(caught.value)
    assert told in message
    assert message.startswith(f"{path}: ")
    assert "\n" not in message


@pytest.mark.parametrize("name", ["usb", "usb:serial=0000001", "usb:port=1-1.2"])
def test_an_rc_s380_is_named_by_what_stays(tmp_path: Path, name: str) -> None:
    text = GOOD.replace("pn532", "rcs380").replace("/dev/r", name)
    assert load(written(tmp_path, text)).reader.device == name


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"nothing\.toml: cannot be read \(No such file or directory\)"
    ):
        load(tmp_path / "nothing.toml")


WITH_UPLOAD = (
    GOOD
    + """
[courier]
url = "https://lists.example.org/"
root = "/root.json"
[upload]
url = "{url}"
key = "/gate.pem"
lanes = ["/lane.sock"]
"""
)


@pytest.mark.parametrize(
    "url",
    [
        "https://reports.example.org/",
        "http://127.0.0.1:8080/",
        "http://[::1]/",
        "http://localhost/",
    ],
)
def test_reports_go_over_tls_or_to_this_machine(tmp_path: Path, url: str) -> None:
    upload = load(written(tmp_path, WITH_UPLOAD.format(url=url))).upload
    assert upload is not None
    assert upload.url == url


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://reports.example.org/", "http:// is only for this machine itself; write https://"),
        (
            "http://localhost.example.org/",
            "http:// is only for this machine itself; write https://",
        ),
        ("http://127.0.0.1@example.org/", "an address without user, ? and #, please"),
        ("https://reports.example.org/?gate=1", "an address without user, ? and #, please"),
        ("reports.example.org", "is not an address; write https://host/path/"),
        ("ftp://reports.example.org/", "is not an address; write https://host/path/"),
        ("https://", "is not an address; write https://host/path/"),
        ("", "is not an address; write https://host/path/"),
    ],
)
def test_an_address_without_tls_is_refused_in_one_line(tmp_path: Path, url: str, told: str) -> None:
    path = written(tmp_path, WITH_UPLOAD.format(url=url))
    with pytest.raises(ConfigError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: upload.url: ")
    assert message.endswith(told)


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:8021", ("127.0.0.1", 8_021)),
        ("[::1]:0", ("::1", 0)),
        ("10.0.0.7:80", ("10.0.0.7", 80)),
    ],
)
def test_the_console_listens_on_an_address_and_a_port(
    tmp_path: Path, listen: str, address: tuple[str, int]
) -> None:
    console = load(
        written(tmp_path, f'{GOOD}[console]\nlisten = "{listen}"\nnames = ["a.example"]')
    ).console
    assert console is not None
    assert console.address == address


@pytest.mark.parametrize(
    ("line", "told"),
    [
        *(
            (
                f'listen = "{listen}"',
                f"console.listen: {listen!r} is not an address and a port; write 127.0.0.1:8021",
            )
            for listen in (
                "",
                "8021",
                ":8021",
                "localhost:8021",
                "127.0.0.1",
                "127.0.0.1:",
                "127.0.0.1:65536",
                "127.0.0.1:-1",
                "127.0.0.1:8021 ",
                "127.0.0.1:٨",
                "::1:8021",
                "[127.0.0.1]:8021",
                "[::1:8021",
                "http://127.0.0.1:8021",
            )
        ),
        (
            'listen = "0.0.0.0:8021"',
            (
                "console.names: is empty; list the names or addresses by which browsers call "
                "0.0.0.0:8021"
            ),
        ),
        ('names = ["a/b"]', "console.names[0]: "),
        ('names = ["a:80"]', "console.names[0]: "),
        ("lanes = []", "console.lanes: "),
        ('lanes = ["lane.sock"]', "console.lanes: 'lane.sock' is not an absolute path"),
        ('lanes = ["/a.sock", "/a.sock"]', "console.lanes: has the same lane twice"),
        ("port = 1", "console.port: is not a key of the configuration"),
    ],
)
def test_a_console_that_cannot_be_reached_or_shows_no_lane_is_refused(
    tmp_path: Path, line: str, told: str
) -> None:
    path = written(tmp_path, f"{GOOD}[console]\n{line}")
    with pytest.raises(ConfigError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: console")
    assert told in message
    assert "\n" not in message


OUTBOX = 'folder = "/o"'
WAY = '[courier]\nurl = "https://a/"\nroot = "/r"'
UP = '[upload]\nurl = "https://a/"\nkey = "/k.pem"\nlanes = ["/s"]'


@pytest.mark.parametrize(
    ("more", "change", "told"),
    [
        ("", ('folder = "/l"', 'folder = "l"'), "list.folder: 'l'"),
        ("", ('keys = "/k"', 'keys = "./k"'), "list.keys: './k'"),
        ("", ('keys = "/k"', 'keys = "/k"\nrecent = "r"'), "list.recent: 'r'"),
        ("", (OUTBOX, 'folder = "reports"'), "reports.folder: 'reports'"),
        ("", (OUTBOX, 'folder = "~/reports"'), "reports.folder: '~/reports'"),
        ("", (OUTBOX, f'{OUTBOX}\nsocket = "lane.sock"'), "reports.socket: 'lane.sock'"),
        (WAY, ('root = "/r"', 'root = "r"'), "courier.root: 'r'"),
        (WAY, ('root = "/r"', 'root = "/r"\nca_file = "c"'), "courier.ca_file: 'c'"),
        (UP, ('key = "/k.pem"', 'key = "k.pem"'), "upload.key: 'k.pem'"),
        (UP, ('lanes = ["/s"]', 'lanes = ["/s", "s"]'), "upload.lanes: 's'"),
    ],
)
def test_a_relative_path_is_refused(
    tmp_path: Path, more: str, change: tuple[str, str], told: str
) -> None:
    """Started in another folder, a lane began another outbox there, and its reports were lost."""
    text = f"{GOOD}\n{more}"
    assert change[0] in text
    load(written(tmp_path, text))
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text.replace(*change)))
    assert f"{told} is not an absolute path" in str(caught.value)


def test_two_spellings_of_one_folder_are_the_same_folder(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"list\.recent: is the same folder as list\.folder; name another or none$",
    ):
        load(written(tmp_path, GOOD.replace('keys = "/k"', 'keys = "/k"\nrecent = "/x/../l/"')))
