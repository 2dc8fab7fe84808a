"""New fingerprint keys reach the gates with the answer to their status.

Each comes whole and to its own gate, and a stranger's answer does no harm.
"""

import json
import os
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from nacl.public import SealedBox
from nacl.signing import VerifyKey
from starlette.applications import Starlette

from backoffice.receiver.app import Receiver
from backoffice.receiver.key_delivery import KeyDelivery, sealed_to
from backoffice.reports.gate_views import views
from backoffice.reports.store import ReportStore
from backoffice.signing import keys
from tests.support.city.backoffice_rig import City
from tests.support.machine.rot import every_bit, torn
from tests.support.web.asgi import Answered, ask
from validator.config import UploadConfig
from validator.courier.receiver_client import ReceiverClient
from validator.courier.report_upload import UploadStatus
from validator.courier.store import key_folder
from validator.courier.store.key_folder import KEYS_MAX, KeyFolder, Taken
from validator.courier.web.client import StatusError, Web
from validator.errors import RemoteError, SourceState
from validator.host.clock import Clock
from validator.host.log import JsonLog
from validator.lists.fingerprint_keys import format_key_file, key_id
from validator.lists.held_keys import held_keys
from validator.programs.uploading import UploadThread
from validator.reports.sealed_keys import SealedKey

NOW_UNIX_S = 1_800_000_000
HOST = "https://reports.example.org"
OURS = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(bytes([2]) * 32)


class Line(Web):
    """The way to one receiver, without a socket; `answer` replaces the receiver's."""

    def __init__(self, app: Starlette | None = None, answer: bytes = b"") -> None:
        super().__init__()
        self._app = app
        self._answer = answer
        self.answered: Answered | None = None
        self.posts = 0

    def post(self, url: str, body: bytes, headers: Mapping[str, str], bytes_max: int) -> bytes:
        """See Web."""
        self.posts += 1
        if self._app is None:
            return self._answer
        self.answered = ask(self._app, "POST", url, headers, body)
        if self.answered.status != 200:
            raise StatusError(SourceState.REFUSED, "no", self.answered.status)
        assert len(self.answered.body) <= bytes_max
        return self.answered.body


@dataclass
class Fleet:
    """A city with two gates, `gate` and `another`."""

    city: City
    store: ReportStore
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for gate_id, key in (("gate", OURS), ("another", OTHER)):
            token = self.store.invite(gate_id, NOW_UNIX_S)
            self.store.enrol(gate_id, token, key.public_key().public_bytes_raw(), NOW_UNIX_S)
        self.delivery = KeyDelivery(self.city.home, self.said.append)
        receiver = Receiver(self.store, now_unix_s=lambda: NOW_UNIX_S, keys=self.delivery)
        self.line = Line(Starlette(routes=receiver.routes))

    def tells(
        self, status: Mapping[str, object], gate_id: str = "gate", key: Ed25519PrivateKey = OURS
    ) -> tuple[SealedKey, ...]:
        """The answer to a gate's status."""
        return ReceiverClient(HOST, self.line, gate_id, key, lambda: NOW_UNIX_S).tell_status(status)

    def visit(self, folder: Path) -> Taken:
        """What the gate does each minute."""
        held = KeyFolder(folder, OURS)
        return held.take(self.tells({"fingerprint_keys": held.ids()}))


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with ReportStore.open(f"sqlite:///{tmp_path / 'registry.db'}") as store:
        yield Fleet(City(tmp_path), store)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "keys"
    made.mkdir()
    return made


def held_ids(folder: Path) -> set[str]:
    return {each.hex() for each in held_keys(folder)}


def sealed(key: bytes, *, to: Ed25519PrivateKey = OURS, called: str | None = None) -> SealedKey:
    """A key as an honest city sends it; `called` is another id."""
    (made,) = sealed_to(
        to.public_key().public_bytes_raw(), [keys.FingerprintKey(key_id(key).hex(), key)]
    )
    return made if called is None else SealedKey(called, made.sealed)


def test_a_new_gate_gets_the_key_in_use_and_the_next_one_when_there_is_one(
    fleet: Fleet, folder: Path
) -> None:
    first = keys.make_fingerprint_key(fleet.city.home)
    assert fleet.visit(folder) == Taken((first,), ())
    assert fleet.visit(folder) == Taken((), ())
    following = keys.start_fingerprint_key(fleet.city.home)
    assert fleet.visit(folder) == Taken((following,), ())
    assert held_ids(folder) == {first, following}
    for name in (first, following):
        path = folder / f"{name}.key"
        assert path.stat().st_mode & 0o777 == 0o600
        in_city = fleet.city.home.fingerprint_keys / path.name
        assert path.read_bytes().splitlines()[-1] == in_city.read_bytes().splitlines()[-1]
    assert {path.name for path in folder.iterdir()} == {f"{first}.key", f"{following}.key"}


def test_a_key_that_is_used_no_more_is_given_to_no_gate(fleet: Fleet, folder: Path) -> None:
    keys.make_fingerprint_key(fleet.city.home)
    following = keys.start_fingerprint_key(fleet.city.home)
    keys.switch_fingerprint_key(fleet.city.home)
    assert fleet.visit(folder) == Taken((following,), ())


def test_a_key_that_was_copied_there_under_another_name_is_held(fleet: Fleet, folder: Path) -> None:
    first = keys.make_fingerprint_key(fleet.city.home)
    (fleet.city.home.fingerprint_keys / f"{first}.key").rename(folder / "city.key")
    assert fleet.visit(folder) == Taken((), ())
    assert fleet.line.answered
    assert fleet.line.answered.json["fingerprint_keys"] == []


def test_what_is_sealed_to_a_gate_is_closed_to_another(fleet: Fleet, folder: Path) -> None:
    first = keys.make_fingerprint_key(fleet.city.home)
    for_another = fleet.tells({}, "another", OTHER)
    assert [each.id for each in for_another] == [first]
    told = KeyFolder(folder, OURS).take(for_another)
    assert told == Taken((), (f"fingerprint key {first} is not taken: not sealed to this gate",))
    assert list(folder.iterdir()) == []
    assert KeyFolder(folder, OTHER).take(for_another).ids == (first,)


def test_no_one_on_the_way_sees_a_key(fleet: Fleet, folder: Path) -> None:
    first = keys.make_fingerprint_key(fleet.city.home)
    fleet.visit(folder)
    key = held_keys(folder)[bytes.fromhex(first)]
    assert fleet.line.answered
    for form in (key, key.hex().encode(), b64encode(key)):
        assert form not in fleet.line.answered.body


def test_a_stolen_gate_gets_no_key(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    keys.make_fingerprint_key(fleet.city.home)
    client = ReceiverClient(HOST, fleet.line, "gate", OURS, lambda: NOW_UNIX_S)
    assert len(client.tell_status({})) == 1
    spoke_before = fleet.store.public_key
    fleet.store.strike_off("gate", NOW_UNIX_S)
    with pytest.raises(StatusError) as caught:
        fleet.tells({})
    assert caught.value.status == 401
    # Struck off while its request is being answered: the signature was good.
    found = iter([OURS.public_key().public_bytes_raw()])
    monkeypatch.setattr(
        fleet.store, "public_key", lambda gate_id: next(found, spoke_before(gate_id))
    )
    assert client.tell_status({}) == ()


def test_a_gate_gets_no_key_for_another_gate(fleet: Fleet) -> None:
    keys.make_fingerprint_key(fleet.city.home)
    with pytest.raises(StatusError) as caught:
        fleet.tells({}, "another", OURS)
    assert caught.value.status == 401


def test_a_receiver_that_has_no_keys_gives_none_and_answers_gates_all_the_same(
    fleet: Fleet,
) -> None:
    fleet.city.home.fingerprint_keys.rmdir()
    assert fleet.tells({"fingerprint_keys": []}) == ()
    assert fleet.line.answered
    assert fleet.line.answered.json.keys() == {"kept", "next_nonce"}
    assert fleet.said == []


def test_a_spoilt_key_is_logged_once_and_gates_are_answered_all_the_same(fleet: Fleet) -> None:
    first = keys.make_fingerprint_key(fleet.city.home)
    path = fleet.city.home.fingerprint_keys / f"{first}.key"
    content = path.read_bytes()
    path.write_bytes(b"spoilt\n")
    for _ in range(2):
        assert fleet.tells({}) == ()
    assert fleet.said == [
        f"gates are given no fingerprint keys: {path}: line 1 of the key file is not 64 hex digits"
    ]
    path.write_bytes(content)
    assert [each.id for each in fleet.tells({})] == [first]


@pytest.mark.parametrize("told", [None, 5, "all", {"a": 1}, [5, None, {}, []], ["0" * 16]])
def test_whichever_keys_a_gate_names_it_is_given_the_others(fleet: Fleet, told: object) -> None:
    first = keys.make_fingerprint_key(fleet.city.home)
    assert [each.id for each in fleet.tells({"fingerprint_keys": told})] == [first]


@pytest.mark.parametrize("public", [bytes(32), b"\x01" + bytes(31), b"\xff" * 32])
def test_a_public_key_that_is_no_point_is_sealed_nothing(public: bytes) -> None:
    key = bytes(range(32))
    assert sealed_to(public, [keys.FingerprintKey(key_id(key).hex(), key)]) == []


def test_a_key_that_is_called_otherwise_is_refused(folder: Path) -> None:
    for called in ("0" * 16, "../../etc/turnike/gate", "", key_id(bytes(32)).hex().upper()):
        told = KeyFolder(folder, OURS).take([sealed(bytes(32), called=called)])
        assert told.ids == ()
        assert "another key is in it" in told.problems[0]
    assert list(folder.iterdir()) == []


def boxed(content: bytes) -> SealedKey:
    """Anything, sealed to our gate by anybody: its public key is no secret."""
    box = SealedBox(VerifyKey(OURS.public_key().public_bytes_raw()).to_curve25519_public_key())
    return SealedKey("0" * 16, b64encode(box.encrypt(content)).decode())


HOSTILE = [
    SealedKey("0" * 16, ""),
    SealedKey("0" * 16, "%%%"),
    SealedKey("0" * 16, "ş" * 64),
    SealedKey("0" * 16, "\ud800"),
    SealedKey("0" * 16, "A" * 64),
    SealedKey("0" * 16, "A" * 10_000_000),
    SealedKey("\x1b[2J\n", b64encode(bytes(100)).decode()),
    boxed(b""),
    boxed(b"00" * 31),
    boxed(b"\xff" * 64),
    boxed(b"#" * 1_000),
    boxed(b"00" * 32),
]


@pytest.mark.parametrize("bad", HOSTILE, ids=range(len(HOSTILE)))
def test_a_bad_key_is_logged_in_one_line_and_the_good_one_beside_it_is_kept(
    folder: Path, bad: SealedKey
) -> None:
    good = sealed(bytes(range(32)))
    told = KeyFolder(folder, OURS).take([bad, good])
    assert told.ids == (good.id,)
    (problem,) = told.problems
    assert problem.isprintable()
    assert len(problem) < 200
    assert {path.name for path in folder.iterdir()} == {f"{good.id}.key"}


@given(st.lists(st.builds(SealedKey, st.text(max_size=20), st.text(max_size=200)), max_size=12))
def test_any_answer_leaves_the_folder_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, answer: list[SealedKey]
) -> None:
    folder = tmp_path_factory.mktemp("keys")
    told = KeyFolder(folder, OURS).take(answer)
    assert (told.ids, len(told.problems)) == ((), min(len(answer), KEYS_MAX))
    assert list(folder.iterdir()) == []
    folder.rmdir()


def test_a_damaged_file_of_that_name_is_replaced_and_a_link_not_followed(
    folder: Path, tmp_path: Path
) -> None:
    other, elsewhere = sealed(bytes([5]) * 32), sealed(bytes([6]) * 32)
    spoilt, link = folder / f"{other.id}.key", folder / f"{elsewhere.id}.key"
    spoilt.write_bytes(b"somebody's\n")
    link.symlink_to(tmp_path / "nothing")
    assert KeyFolder(folder, OURS).take([other, elsewhere]) == Taken((other.id, elsewhere.id), ())
    assert {key.hex() for key in held_keys(folder)} == {other.id, elsewhere.id}
    assert (link.is_symlink(), (tmp_path / "nothing").exists()) == (False, False)


@pytest.mark.parametrize(
    "damaged", [*every_bit(format_key_file(bytes(32))), *torn(format_key_file(bytes(32)))]
)
def test_a_rotted_key_is_no_other_key_and_comes_again(folder: Path, damaged: bytes) -> None:
    key = sealed(bytes(32))
    path = folder / f"{key.id}.key"
    path.write_bytes(damaged)
    folded = KeyFolder(folder, OURS)
    assert folded.ids() in ([], [key.id])
    assert folded.take([key]).problems == ()
    assert held_keys(folder) == {bytes.fromhex(key.id): bytes(32)}


def test_a_faulty_city_fills_no_disk(folder: Path) -> None:
    many = [sealed(bytes([number]) * 32) for number in range(KEYS_MAX + 3)]
    held = KeyFolder(folder, OURS)
    assert len(held.take(many).ids) == KEYS_MAX
    told = held.take(many[KEYS_MAX:])
    assert (told.ids, len(told.problems)) == ((), 3)
    assert "8 keys are there; delete those not in use" in told.problems[0]
    assert len(list(folder.iterdir())) == KEYS_MAX


def test_a_folder_that_cannot_be_read_is_unknown_and_the_city_names_the_trouble(
    fleet: Fleet, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    for cannot in (tmp_path / "file", tmp_path / "loop", Path(f"{tmp_path}/{'long' * 99}")):
        held = KeyFolder(cannot, OURS).ids()
        assert held is None, cannot
        fleet.tells({"fingerprint_keys": held})
        (gate, _) = sorted(
            views(fleet.store.gate_rows(), NOW_UNIX_S), key=lambda each: each.gate_id != "gate"
        )
        assert gate.fingerprint_keys is None
        assert any("cannot read its fingerprint keys" in trouble for trouble in gate.troubles)


def test_a_folder_that_is_gone_or_empty_holds_no_key_and_is_no_trouble(
    fleet: Fleet, folder: Path, tmp_path: Path
) -> None:
    for without in (folder, tmp_path / "gone"):
        assert KeyFolder(without, OURS).ids() == []
        fleet.tells({"fingerprint_keys": []})
        (gate, _) = sorted(
            views(fleet.store.gate_rows(), NOW_UNIX_S), key=lambda each: each.gate_id != "gate"
        )
        assert (gate.fingerprint_keys, gate.troubles) == ((), ())


def test_what_a_killed_courier_left_half_written_is_in_nobodys_way(folder: Path) -> None:
    key = sealed(bytes(32))
    left = folder / f".new-{key.id}.key"
    left.write_bytes(b"00")
    left.chmod(0o644)
    held = KeyFolder(folder, OURS)
    assert held.ids() == []
    assert held.take([key]) == Taken((key.id,), ())
    assert [(path.name, path.stat().st_mode & 0o777) for path in folder.iterdir()] == [
        (f"{key.id}.key", 0o600)
    ]


def test_a_folder_that_takes_no_files_is_one_clear_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(path: Path, _content: bytes) -> None:
        raise OSError(30, "Read-only file system", str(path))

    key = sealed(bytes(32))
    monkeypatch.setattr(key_folder, "put_secret", read_only)
    (problem,) = KeyFolder(folder, OURS).take([key]).problems
    wanted = (
        f"{folder / key.id}.key: Read-only file system; the courier must be able to write there"
    )
    assert problem == f"fingerprint key {key.id} is not taken: {wanted}"
    gone = KeyFolder(folder / "gone", OURS)
    assert gone.ids() == []
    monkeypatch.undo()
    assert gone.take([key]).ids == (key.id,), "a folder that was removed is made again"
    assert (folder / "gone").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"null",
        b'{"fingerprint_keys": 5}',
        b'{"fingerprint_keys": [5]}',
        b"[" * 9_999,
    ],
)
def test_an_answer_that_cannot_be_understood_is_not_our_city(answer: bytes) -> None:
    client = ReceiverClient(HOST, Line(answer=answer), "gate", OURS, lambda: NOW_UNIX_S)
    with pytest.raises(RemoteError) as caught:
        client.tell_status({})
    assert caught.value.state is SourceState.NOT_OURS


def test_a_city_that_sends_no_keys_is_our_city() -> None:
    client = ReceiverClient(HOST, Line(answer=b'{"kept": true}'), "gate", OURS, lambda: NOW_UNIX_S)
    assert client.tell_status({}) == ()


def test_it_describes_what_it_answers(fleet: Fleet) -> None:
    keys.make_fingerprint_key(fleet.city.home)
    fleet.tells({})
    receiver = Receiver(fleet.store, keys=fleet.delivery)
    page = ask(Starlette(routes=receiver.routes), "GET", f"{HOST}/v1/openapi.json").json
    described = page["components"]["schemas"]["Kept"]["properties"]
    assert fleet.line.answered
    assert set(described) == set(fleet.line.answered.json)
    (sent,) = fleet.line.answered.json["fingerprint_keys"]
    assert set(described["fingerprint_keys"]["items"]["properties"]) == set(sent)


@contextmanager
def carrier_thread(
    folder: Path, line: Line, courier: Mapping[str, object] | None = None
) -> Iterator[tuple[UploadThread, int]]:
    """One that does not run, with a lane that is not there, and what it logs."""
    pem = OURS.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder.parent / "gate.pem").write_bytes(pem)
    upload = UploadConfig(
        url=HOST, key=str(folder.parent / "gate.pem"), lanes=(str(folder / "no.sock"),)
    )
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    try:
        state = courier if courier is not None else {}
        yield (
            UploadThread("gate", upload, folder, line, Clock(), JsonLog(writing), lambda: state),
            reading,
        )
    finally:
        os.close(reading)
        os.close(writing)


def test_a_key_that_comes_again_each_minute_and_is_no_good_is_logged_once(folder: Path) -> None:
    bad, good = sealed(bytes(32), to=OTHER), sealed(bytes(range(32)))
    with carrier_thread(folder, Line()) as (thread, log):
        for answer in ([bad], [bad], [good], [good], [bad]):
            thread._take_keys(answer)
        lines = [json.loads(line) for line in os.read(log, 1 << 16).splitlines()]
    assert [line["event"] for line in lines] == [
        "fingerprint key problem",
        "fingerprint key",
        "fingerprint key problem",
    ]
    assert lines[1]["key_id"] == good.id


def test_the_gate_speaks_at_once_when_a_list_waits_for_a_key_and_when_it_has_got_one(
    fleet: Fleet, folder: Path
) -> None:
    courier = {"state": "fresh"}
    carried = UploadStatus(SourceState.FRESH, "", 0, 0)

    def looks(times: int) -> int:
        """How often the gate sends a status, while it checks so often for news."""
        before = fleet.line.posts
        for _ in range(times):
            thread._status_times.look_s = 0.0
            thread._tell_status(carried)
        return fleet.line.posts - before

    with carrier_thread(folder, fleet.line, courier) as (thread, _):
        assert looks(3) == 2  # the first time it has no nonce yet, and sends it again
        first = keys.make_fingerprint_key(fleet.city.home)
        assert looks(3) == 0  # no news here: it is sent at the next minute
        courier["state"] = "no fingerprint key"
        assert looks(3) == 2
        assert held_ids(folder) == {first}
        assert looks(3) == 0
        courier["state"] = "fresh"
        assert looks(3) == 1
