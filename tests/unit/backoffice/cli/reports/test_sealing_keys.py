"""The commands about keys of reports, and how a sealing key comes to the gates."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec.structs import replace

from backoffice.home.config import Config, ReportsConfig, load
from backoffice.reports import keys as report_keys
from backoffice.signing.keys import KeyFileError
from tests.support.city.published_view import view
from tests.support.city.publishing_rig import PublishingOffice, SocketlessGate
from tests.support.city.report_commands import SHELVES, Desk
from validator.errors import ConfigError, SourceState
from validator.reports.sealing_keys import sealing_key_id


def test_a_sealing_key_is_made_where_the_exporter_is_and_read_by_its_owner_alone(
    desk: Desk,
) -> None:
    said = desk.types("report-key", "make", "report-a", "--out", ".", "--no-passphrase")
    private, public = desk.folder / "report-a.pem", desk.folder / "report-a.pub"
    assert private.stat().st_mode & 0o777 == 0o600
    key = report_keys.read_sealing_key(public)
    assert f"id {sealing_key_id(key).hex()}" in said
    assert "is there already" in desk.refused(
        "report-key", "make", "report-a", "--out", ".", "--no-passphrase"
    )
    assert report_keys.Opener([report_keys.read_opening_key(private)]).key_ids == {
        sealing_key_id(key).hex()
    }


def test_a_sealing_key_has_a_passphrase_unless_an_option_declines_it(desk: Desk) -> None:
    (desk.folder / "words").write_text("correct horse battery staple\n")
    (desk.folder / "short").write_text("horse\n")
    make = ("report-key", "make", "a", "--out", ".")
    assert "no terminal to ask for the passphrase; use --passphrase-file" in desk.refused(*make)
    assert "at least 20 characters" in desk.refused(*make, "--passphrase-file", "short")
    assert not (desk.folder / "a.pem").exists()
    desk.types(*make, "--passphrase-file", "words")
    with pytest.raises(KeyFileError, match="no terminal to ask for it"):
        report_keys.read_opening_key(desk.folder / "a.pem")
    assert report_keys.read_opening_key(
        desk.folder / "a.pem", lambda: "correct horse battery staple"
    )


def test_keys_of_reports_are_not_mistaken_for_each_other(desk: Desk) -> None:
    desk.types("report-key", "make", "seal", "--out", ".", "--no-passphrase")
    desk.types("report-key", "make", "sign", "--out", ".", "--no-passphrase", "--signing")
    for read, name, told in (
        (report_keys.read_sealing_key, "sign.pub", "is no X25519 key"),
        (report_keys.read_opening_key, "sign.pem", "is no X25519 key"),
        (report_keys.read_signer, "seal.pub", "is no Ed25519 key"),
        (report_keys.read_signing_key, "seal.pem", "is no Ed25519 key"),
        (report_keys.read_sealing_key, "seal.pem", "is a private key"),
        (report_keys.read_opening_key, "seal.pub", "is the public part"),
        (report_keys.read_sealing_key, "gone.pub", "No such file"),
    ):
        with pytest.raises(KeyFileError, match=f"{name}.*{told}"):
            read(desk.folder / name)


def test_a_weak_key_to_which_nothing_can_be_sealed_is_refused(desk: Desk) -> None:
    weak = X25519PublicKey.from_public_bytes(bytes(32))
    (desk.folder / "weak.pub").write_bytes(
        weak.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(KeyFileError, match="is a weak key"):
        report_keys.read_sealing_key(desk.folder / "weak.pub")


@pytest.fixture
def town() -> Iterator[PublishingOffice]:
    """A city that has published a list without a sealing key."""
    with tempfile.TemporaryDirectory(prefix="reports-", dir=SHELVES) as folder:
        made = PublishingOffice(Path(folder) / "town")
        made.publish()
        yield made
        made.close()


def sealing_to(town: PublishingOffice, name: str) -> Config:
    """Name a key in the configuration, and make it if it is not there."""
    if not (town.home.folder / f"{name}.pem").exists():
        report_keys.make_sealing_key(town.home.folder, name, None)
    town.config = replace(town.config, reports=ReportsConfig(sealing_key=f"{name}.pub"))
    return town.config


def sealing_key_of(gate: SocketlessGate) -> str | None:
    """To which key a gate seals when it has polled."""
    assert gate.poll().state is SourceState.FRESH
    assert gate.rules is not None
    return gate.rules.sealing_key.hex() if gate.rules.sealing_key else None


def test_another_sealing_key_is_a_reason_to_publish_and_comes_to_the_gates(
    town: PublishingOffice,
) -> None:
    gate = town.gate()
    assert sealing_key_of(gate) is None
    for name in ("a", "b"):
        expected = report_keys.published_sealing_key(sealing_to(town, name))
        outcome = town.publish()
        assert outcome.why == ("the sealing key changed",)
        assert town.publish().why == ()
        seen = view(town.published)
        assert seen is not None
        assert seen.manifest.sealing_key == expected
        assert sealing_key_of(gate) == expected
    town.config = replace(town.config, reports=ReportsConfig())
    assert town.publish().why == ("the sealing key changed",)
    gate.web.close()


def test_a_sealing_key_that_is_not_there_stops_publishing_with_one_line(
    town: PublishingOffice,
) -> None:
    town.config = replace(town.config, reports=ReportsConfig(sealing_key="gone.pub"))
    with pytest.raises(KeyFileError, match=r"gone\.pub: No such file"):
        town.publish()


def test_the_table_of_reports_is_checked(desk: Desk) -> None:
    desk.types("init", "city", "--development")
    path = desk.city / "backoffice.toml"
    text = path.read_text()
    assert load(desk.city).reports == ReportsConfig()
    for line, told in (
        ("retention_days = 0", "reports.retention_days"),
        ('sealing_key = "a\\u0000"', "reports.sealing_key: names no file"),
        ("days = 1", "reports.days: is not a key"),
    ):
        path.write_text(text.replace("retention_days = 30 ", f"{line} "))
        with pytest.raises(ConfigError, match=told):
            load(desk.city)
