"""The sizes of the simulated fleet equal those of the real encoder, signer and web client."""

from pathlib import Path

import pytest

from backoffice.home.steps import finished
from backoffice.signing.roles import publication_steps
from tests.simulation.fleet import line, sizes
from tests.simulation.fleet.city import City, CityPlan
from tests.simulation.fleet.wire_bytes import wire_bytes
from tests.support.city.backoffice_rig import NOW_UNIX_S
from tests.support.city.backoffice_rig import City as Founded

DIGITS = 6  # a role's version and the list version have so many digits fewer here than after years
VERSIONS_MAX = 2  # named in one file of metadata, with our own time in another


@pytest.mark.parametrize(
    ("rule", "known"), [("suspended", sizes.ENDING_BYTES), ("matched", sizes.LASTING_BYTES)]
)
def test_a_piece_has_the_size_that_the_encoder_makes(rule: str, known: tuple[int, ...]) -> None:
    measured = [
        wire_bytes(rule, cards, snapshot=False) for cards in sizes.CARDS if cards <= 1 << 14
    ]
    assert measured == pytest.approx(known[: len(measured)], rel=0.01)


def test_between_measured_sizes_a_piece_is_off_by_little() -> None:
    for cards in (3, 52, 100, 700, 3_000, 10_000):
        real = wire_bytes("suspended", cards, snapshot=False)
        assert sizes.change_bytes(cards, ending=True) == pytest.approx(real, rel=0.02)


def test_a_snapshot_has_the_size_that_the_encoder_makes() -> None:
    for rule in ("suspended", "staff"):
        cards, known = sizes.SNAPSHOTS[rule]
        assert wire_bytes(rule, cards, snapshot=True) == pytest.approx(known, rel=0.01)


def test_metadata_has_the_size_that_the_signer_makes(tmp_path: Path) -> None:
    founded = Founded.founded(tmp_path)
    city = City(CityPlan(days=0.01, history_days=1))
    files = finished(publication_steps(founded.home, city.published[-1].manifest, NOW_UNIX_S)).files
    by_role = {name.removesuffix(".json").rpartition(".")[2]: size for name, size in files.items()}
    for role, bytes_ in sizes.METADATA_BYTES.items():
        assert bytes_ - VERSIONS_MAX * DIGITS - 1 <= by_role[role] <= bytes_ + 1, role


def test_what_a_request_costs_besides_its_file_is_what_the_web_adapter_puts_on_the_line() -> None:
    """The gate sends the same to any server, but for the tag; the answer's size is the server's."""
    measured = line.measured_here()
    for kind, counted in sizes.LINE.items():
        assert measured[kind].up == pytest.approx(counted.up, abs=8), kind
        if kind != "handshake":  # its certificates are shorter here
            assert measured[kind].down == pytest.approx(counted.down, abs=80), kind
    assert measured["mib"].down == line.MIB // (1 << 14) * sizes.TLS_RECORD_BYTES
    assert measured["handshake"].down < sizes.LINE["handshake"].down
