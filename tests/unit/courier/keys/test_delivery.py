"""New fingerprint keys reach the gates with the answer to their status.

Each comes whole and to its own gate, and a stranger's answer does no harm.
"""

import json
import os
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.applications import Starlette

from backoffice.receiver.app import Receiver
from backoffice.receiver.key_delivery import sealed_to
from backoffice.signing import keys
from tests.support.gate.key_delivery import HOST, NOW_UNIX_S, OTHER, OURS, Fleet, Line, sealed
from tests.support.web.asgi import ask
from validator.config import UploadConfig
from validator.courier.receiver_client import ReceiverClient
from validator.courier.report_upload import UploadStatus
from validator.courier.store.key_folder import KeyFolder, Taken
from validator.courier.web.client import StatusError
from validator.errors import RemoteError, SourceState
from validator.host.clock import Clock
from validator.host.log import JsonLog
from validator.lists.fingerprint_keys import key_id
from validator.lists.held_keys import held_keys
from validator.programs.uploading import UploadThread


def held_ids(folder: Path) -> set[str]:
    return {each.hex() for each in held_keys(folder)}


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
    assert len(client.tell_status({}).keys) == 1
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
    assert client.tell_status({}).keys == ()


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
        f"gates receive no fingerprint keys: {path}: line 1 of the key file is not 64 hex digits"
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
    assert client.tell_status({}).keys == ()


def test_it_describes_what_it_answers(fleet: Fleet) -> None:
    keys.make_fingerprint_key(fleet.city.home)
    fleet.tells({})
    receiver = Receiver(fleet.store, keys=fleet.delivery)
    page = ask(Starlette(routes=receiver.routes), "GET", f"{HOST}/v1/openapi.json").json
    described = page["components"]["schemas"]["Kept"]["properties"]
    assert fleet.line.answered
    assert set(described) == {*fleet.line.answered.json, "learn"}  # no operator waits for a card
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
