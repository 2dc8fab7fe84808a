"""A sealed UID: the private key alone opens it, and no two seals of a card are alike."""

import itertools
from base64 import b64decode

import pytest
from nacl.public import PrivateKey, SealedBox

from validator.lane.outbox.sealing import Sealer
from validator.reports.sealing_keys import sealing_key_id

UID = bytes.fromhex("04a1b2c3d4e5f6")


def sealer(private: PrivateKey) -> Sealer:
    made = Sealer()
    made.seal_to(bytes(private.public_key))
    return made


def opened(private: PrivateKey, sealed: str) -> bytes:
    return SealedBox(private).decrypt(b64decode(sealed))


@pytest.mark.parametrize("uid", [UID[:4], UID, UID + b"\x07\x08\x09"])
@pytest.mark.parametrize("prepared", [False, True])
def test_what_is_sealed_here_is_opened_by_libsodiums_sealed_box(
    uid: bytes, *, prepared: bool
) -> None:
    private = PrivateKey.generate()
    box = sealer(private)
    if prepared:
        box.prepare()
    sealed, key_id = box.seal(uid)
    assert opened(private, sealed) == uid
    assert key_id == sealing_key_id(bytes(private.public_key)).hex()


def test_two_seals_of_one_card_have_nothing_in_common() -> None:
    box = sealer(PrivateKey.generate())
    seals = []
    for _ in range(50):
        box.prepare()
        box.prepare()  # a second time before the first was used
        seals += [box.seal(UID)[0], box.seal(UID)[0]]
    assert len({seal[:43] for seal in seals}) == len(seals), "an ephemeral key was used twice"
    assert all(one != other for one, other in itertools.combinations(seals, 2))


def test_what_was_prepared_for_another_key_is_not_used() -> None:
    first, second = PrivateKey.generate(), PrivateKey.generate()
    box = sealer(first)
    box.prepare()
    box.seal_to(bytes(second.public_key))
    sealed, _ = box.seal(UID)
    assert opened(second, sealed) == UID


def test_without_a_key_nothing_is_sealed_and_nothing_prepared_is_left() -> None:
    private = PrivateKey.generate()
    box = sealer(private)
    box.prepare()
    box.seal_to(None)
    box.prepare()
    assert box.seal(UID) == ("", "")


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes, not 31"):
        Sealer().seal_to(bytes(31))


@pytest.mark.parametrize("weak", [bytes(32), b"\x01" + bytes(31)])
def test_nothing_is_sealed_to_a_key_that_anyone_could_open(weak: bytes) -> None:
    box = Sealer()
    box.seal_to(weak)
    box.prepare()
    assert box.seal(UID) == ("", "")
