"""Every bit, cut and zeroed sector of every small file that a gate trusts is found or harmless."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Root  # type: ignore[attr-defined]  # no re-export

from tests.support.city.list_making import KEY, manifest_of, segment_bytes
from tests.support.city.tuf_making import TufRepository
from tests.support.machine.rot import every_bit, torn
from validator.courier.signed_metadata import is_root
from validator.domain.floor import Floor, RoleKeys, RoleVersions
from validator.formats import checked
from validator.ipc import accepted, courier_status, signed_time
from validator.lists import manifest
from validator.lists.fingerprint_keys import (
    FingerprintKeyError,
    format_key_file,
    key_id,
    parse_key_file,
)
from validator.lists.names import ListName
from validator.lists.segment import NO_END

FLOOR = Floor(
    RoleVersions(3, 120, 110, 109),
    RoleKeys(("a1" * 32,), ("b2" * 32,), ("c3" * 32,)),
    107,
    1_800_000_000,
    2,
)
INSTALLED = manifest.encode(manifest_of(7, (segment_bytes({1: NO_END}, to_version=7),)))
NAME = ListName(2, 7).file_name


@dataclass(frozen=True)
class Believed:
    """A file, how it is read, and the error that a reader may raise instead."""

    content: bytes
    read: Callable[[bytes], object]
    error: type[Exception]


def _key(content: bytes) -> bytes:
    """As a file that bears its id for a name."""
    key = parse_key_file(content)
    if key_id(key) != key_id(KEY):
        raise FingerprintKeyError("another key")
    return key


ACCEPTED = accepted.encode(accepted.Accepted.of(FLOOR, INSTALLED, "0f-boot", 77_000_000_000))
STATUS = courier_status.encode(
    {"state": "fresh", "problem": "", "since_unix_s": 5, "polled_unix_s": 6, "list_version": 7}
)
FILES = {
    "accepted.json, as the courier reads it": Believed(
        ACCEPTED, accepted.decode, accepted.AcceptedError
    ),
    "accepted.json, as the lane reads it": Believed(
        ACCEPTED, signed_time.decode, signed_time.SignedTimeError
    ),
    "an installed manifest": Believed(
        manifest.installed(INSTALLED, NAME),
        lambda content: manifest.decode_installed(content, NAME),
        manifest.ManifestError,
    ),
    "courier.json": Believed(STATUS, courier_status.decode, courier_status.CourierStatusError),
    "a fingerprint key under its id": Believed(
        format_key_file(KEY, "of the fleet"), _key, FingerprintKeyError
    ),
}


def damages(content: bytes) -> Iterator[bytes]:
    yield from every_bit(content)
    yield from torn(content)
    yield content + b"\0"


@pytest.mark.parametrize("believed", FILES.values(), ids=FILES)
def test_whatever_a_disk_does_to_it_is_found_or_has_no_effect(believed: Believed) -> None:
    right = believed.read(believed.content)
    lines = []
    for content in damages(believed.content):
        try:
            assert believed.read(content) == right
        except believed.error as error:
            lines.append(str(error))
    assert all(line.isprintable() for line in lines)
    assert len(lines) > 8 * len(believed.content) / 2, "most bits have an effect"


def test_a_root_with_a_rotted_bit_is_invalid_or_means_the_same(tmp_path: Path) -> None:
    content = TufRepository(tmp_path / "city").root
    right = Metadata[Root].from_bytes(content).signed
    damaged = [each for each in damages(content) if is_root(each)]
    assert len(damaged) < 8 * len(content) / 2
    assert all(Metadata[Root].from_bytes(each).signed == right for each in damaged)


def test_a_checksum_is_bound_to_the_files_name() -> None:
    for name in (ListName(3, 7).file_name, ListName(0, 7).file_name, accepted.ACCEPTED_FILE):
        with pytest.raises(manifest.ManifestError, match="checksum does not match"):
            manifest.decode_installed(manifest.installed(INSTALLED, NAME), name)
    with pytest.raises(accepted.AcceptedError, match="checksum does not match"):
        accepted.decode(
            checked.stamped(
                ACCEPTED[checked.CHECKSUM_BYTES :].replace(b'"root"', b'{"root"', 1), "courier.json"
            )
        )


def test_what_an_earlier_version_wrote_is_read_and_a_checksum_that_lost_its_name_is_not_that() -> (
    None
):
    assert manifest.decode_installed(INSTALLED, NAME) == manifest.decode_segments(INSTALLED)
    for content in every_bit(manifest.installed(INSTALLED, NAME)[: len('{"checksum":"')]):
        with pytest.raises(manifest.ManifestError):
            manifest.decode_installed(
                content + manifest.installed(INSTALLED, NAME)[len(content) :], NAME
            )


def test_a_manifest_of_the_most_bytes_may_be_installed() -> None:
    assert len(manifest.installed(INSTALLED, NAME)) == len(INSTALLED) + checked.CHECKSUM_BYTES
    assert manifest.INSTALLED_BYTES_MAX - manifest.MANIFEST_BYTES_MAX == checked.CHECKSUM_BYTES
