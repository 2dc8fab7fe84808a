"""The manifest: its content, refused input, and its size."""

import json
from typing import Any

import pytest

from validator.domain.rules import EVERY_CARD, Effect, Scope
from validator.lists.manifest import (
    MANIFEST_BYTES_MAX,
    Manifest,
    ManifestError,
    PieceEntry,
    RuleEntry,
    ScopeEntry,
    SegmentEntry,
    decode,
    decode_segments,
    encode,
)

HOUR_S = 3_600


def plain() -> dict[str, Any]:
    """A manifest as a stranger would write it, with nothing but what is required."""
    segment = {"from": 0, "to": 7, "bytes": 200, "sha256": "ab" * 32}
    rule = {"name": "suspended", "effect": "refuse", "segments": [segment]}
    return {
        "list_version": 7,
        "issued_unix_s": 1_000,
        "expires_unix_s": 1_000 + 96 * HOUR_S,
        "rules": [rule],
    }


def written(manifest: dict[str, Any]) -> bytes:
    return json.dumps(manifest).encode()


def test_a_plain_manifest_is_read() -> None:
    rule = RuleEntry("suspended", Effect.REFUSE, (PieceEntry(0, 7, 200, "ab" * 32),))
    assert decode(written(plain())) == Manifest(7, 1_000, 1_000 + 96 * HOUR_S, (rule,))
    assert rule.segments[0].file_name == "ab" * 32 + ".wire"
    assert rule.scope.scope() == EVERY_CARD


def test_an_installed_manifest_reads_the_same_and_names_segments() -> None:
    rule = RuleEntry("suspended", Effect.REFUSE, (SegmentEntry(0, 7, 200, "ab" * 32),))
    manifest = decode_segments(written(plain()))
    assert manifest == Manifest(7, 1_000, 1_000 + 96 * HOUR_S, (rule,))
    assert rule.segments[0].file_name == "ab" * 32 + ".seg"
    assert encode(manifest) == encode(decode(written(plain()))), "the bytes are the same"
    assert decode(written(plain())).with_rules(manifest.rules) == manifest


def test_a_full_manifest_is_read_back_and_fits() -> None:
    newest = 1 << 40
    segments = tuple(PieceEntry(0, newest - back, 240_000_000, f"{back:064x}") for back in range(3))
    scope = ScopeEntry((4, 7), (0x08, 0x20))
    rules = tuple(
        RuleEntry(name, Effect.REQUIRE, segments, scope, 1_610_668_800, reports=True, notice=True)
        for name in ("suspended", "staff", "matched")
    )
    manifest = Manifest(newest, 1_609_459_200, 1_609_459_200 + 120 * HOUR_S, rules)
    content = encode(manifest)
    assert decode(content) == manifest
    assert (
        len(content) <= MANIFEST_BYTES_MAX - 256
    )  # room for the sealing key and the index of older segments
    assert scope.scope() == Scope(frozenset({4, 7}), frozenset({0x08, 0x20}))


def test_unknown_fields_beside_the_rules_are_passed_over() -> None:
    assert decode(written(plain() | {"season": "x", "weather": {}})) == decode(written(plain()))


@pytest.mark.parametrize("place", ["rule", "segment", "scope"])
def test_unknown_fields_inside_a_rule_are_refused_since_they_could_turn_a_verdict(
    place: str,
) -> None:
    manifest = plain()
    rule = manifest["rules"][0]
    rule["scope"] = {}
    {"rule": rule, "segment": rule["segments"][0], "scope": rule["scope"]}[place]["except_on"] = (
        "sunday"
    )
    with pytest.raises(ManifestError, match="unknown field `except_on`"):
        decode(written(manifest))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 2}, "its format is 2"),
        ({"list_version": 0}, "list_version"),
        ({"list_version": 1 << 53}, "list_version"),
        ({"list_version": "7"}, "list_version"),
        ({"list_version": 6}, "newer than the list version"),
        ({"expires_unix_s": 999 + 96 * HOUR_S}, "less than 96 hours"),
        ({"issued_unix_s": -1}, "issued_unix_s"),
        ({"rules": None}, "rules"),
    ],
)
def test_a_false_manifest_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ManifestError, match=says):
        decode(written(plain() | change))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "../x"}, "name"),
        ({"name": "staff\n"}, "name"),
        ({"effect": "explode"}, "effect"),
        ({"segments": []}, "segments"),
        ({"scope": {"uid_lengths": [5]}}, "UID length"),
        ({"scope": {"saks": [256]}}, "saks"),
        ({"reports": 1}, "reports"),
    ],
)
def test_a_false_rule_is_refused(change: dict[str, Any], says: str) -> None:
    manifest = plain()
    manifest["rules"][0].update(change)
    with pytest.raises(ManifestError, match=says):
        decode(written(manifest))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sha256": "../../etc/passwd"}, "sha256"),
        ({"sha256": "AB" * 32}, "sha256"),
        ({"sha256": "ab" * 32 + "\n"}, "sha256"),
        ({"sha256": "ab" * 31 + "\n"}, "sha256"),
        ({"bytes": 127}, "bytes"),
        ({"bytes": (1 << 29) + 1}, "bytes"),
        ({"from": 7}, "not below"),
        ({"from": -1}, "from"),
    ],
)
def test_a_false_segment_is_refused(change: dict[str, Any], says: str) -> None:
    manifest = plain()
    manifest["rules"][0]["segments"][0].update(change)
    with pytest.raises(ManifestError, match=says):
        decode(written(manifest))


def test_rules_of_one_name_and_segments_out_of_order_are_refused() -> None:
    twice = plain()
    twice["rules"] *= 2
    with pytest.raises(ManifestError, match="same name"):
        decode(written(twice))
    swapped = plain()
    segment = swapped["rules"][0]["segments"][0]
    swapped["rules"][0]["segments"] = [segment | {"to": 3}, segment]
    with pytest.raises(ManifestError, match="not newest first"):
        decode(written(swapped))
    many = plain()
    many["rules"][0]["segments"] = [segment | {"to": to} for to in (7, 6, 5, 4)]
    with pytest.raises(ManifestError, match="length <= 3"):
        decode(written(many))


def test_a_large_or_deep_manifest_is_refused() -> None:
    with pytest.raises(ManifestError, match="at most 2048 bytes"):
        decode(written(plain()) + b" " * 2_000)
    for deep in (b"[" * 2_048, b'{"x":' * 400):
        with pytest.raises(ManifestError):
            decode(deep)


def test_what_no_gate_would_take_is_not_encoded() -> None:
    rule = RuleEntry("suspended", Effect.REFUSE, (SegmentEntry(0, 7, 5, "ab"),))
    with pytest.raises(ManifestError):
        encode(Manifest(7, 1_000, 1_000 + 96 * HOUR_S, (rule,)))
    with pytest.raises(ValueError, match="less than 96 hours"):
        Manifest(7, 1_000, 1_000, ())


def test_an_error_is_one_line_of_plain_text() -> None:
    manifest = written(plain() | {"rules": "ğ"}).replace(b'"rules"', b'"rules\\u0000\\n"')
    with pytest.raises(ManifestError) as raised:
        decode(manifest)
    assert str(raised.value).isprintable()
    assert str(raised.value).isascii()


@pytest.mark.parametrize("effect", ["refuse", "admit"])
@pytest.mark.parametrize("more", [{"notice": True}, {"scope": {"uid_lengths": [7]}}])
def test_only_a_require_rule_has_a_scope_or_a_notice(effect: str, more: dict[str, Any]) -> None:
    manifest = plain()
    manifest["rules"][0] |= {"effect": effect, **more}
    with pytest.raises(ManifestError, match="is no require rule"):
        decode(written(manifest))
