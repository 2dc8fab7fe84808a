"""A small city's list for tests of a gate, without a back office; its cards are the demo's."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.support.city.segment_making import fingerprint_cards, until_units
from turnike_demo.city.people import DAY_S, People
from validator.courier.store.installer import ListInstaller
from validator.domain.rules import Effect
from validator.lists.fingerprint_keys import format_key_file, key_id
from validator.lists.manifest import (
    InstalledManifest,
    Manifest,
    RuleEntry,
    ScopeEntry,
    SegmentEntry,
    encode,
)
from validator.lists.segment import NO_END
from validator.lists.segment_builder import Head, write_segment

CARDS = 1_000
TAPS = 2_000
LIST_VERSION = 1
SUSPENDED_UNIT_S = 60
MATCHED_UNIT_S = 3_600

Cards = Iterable[tuple[bytes, int]]


@dataclass(frozen=True, slots=True)
class BuiltCity:
    """The paths of a built city."""

    published: Path
    lists: Path
    keys: Path
    deck: Path


def build(folder: Path, now_unix_s: int) -> BuiltCity:
    """Build a city under `folder`: a list with its key, and a deck."""
    city = BuiltCity(folder / "published", folder / "lists", folder / "keys", folder / "deck.jsonl")
    for made in (city.published, city.lists, city.keys):
        made.mkdir(parents=True)
    rng = np.random.default_rng(1)
    key = rng.bytes(32)
    key_file = city.keys / "demo.key"
    key_file.touch(mode=0o600)
    key_file.write_bytes(format_key_file(key, "made for one test"))
    people = People.draw(rng, CARDS, TAPS)
    _publish(city, people, key, now_unix_s)
    with city.deck.open("w") as out:
        out.writelines(json.dumps(card) + "\n" for card in people.deck())
    return city


def _publish(city: BuiltCity, people: People, key: bytes, now_unix_s: int) -> None:
    """The rules in order: suspended, staff, matched.

    Suspended comes before staff, since a staff card's UID can be cloned. Matched comes last, since
    it decides about all other cards.
    """
    epoch_unix_s = (now_unix_s - DAY_S) // MATCHED_UNIT_S * MATCHED_UNIT_S

    def ends(at_unix_s: int) -> int:
        return until_units(at_unix_s, epoch_unix_s, SUSPENDED_UNIT_S)

    isolation, over = ends(now_unix_s + 10 * DAY_S), ends(now_unix_s - 3_600)
    tables: dict[str, tuple[Cards, int]] = {
        "suspended": (
            [
                *((uid, isolation) for uid in people.suspended),
                *((uid, over) for uid in people.ended),
            ],
            SUSPENDED_UNIT_S,
        ),
        "staff": (((uid, NO_END) for uid in people.staff), MATCHED_UNIT_S),
        "matched": (((uid, NO_END) for uid in people.matched), MATCHED_UNIT_S),
    }
    segments: dict[str, SegmentEntry] = {}
    paths: dict[str, Path] = {}
    for rule, (cards, unit_s) in tables.items():
        path = city.published / f"{rule}.seg"
        head = Head(rule, 0, LIST_VERSION, key_id(key), epoch_unix_s, unit_s)
        with path.open("w+b") as out:
            built = write_segment(out, head, *fingerprint_cards(cards, key))
        segments[rule] = SegmentEntry(0, LIST_VERSION, built.size, built.sha256)
        paths[segments[rule].file_name] = path
    ListInstaller(city.lists).install(encode(_manifest(segments, now_unix_s)), paths)


def _manifest(segments: dict[str, SegmentEntry], now_unix_s: int) -> InstalledManifest:
    scope = ScopeEntry(uid_lengths=(7,))
    rules = (
        RuleEntry("suspended", Effect.REFUSE, (segments["suspended"],), reports=True),
        RuleEntry("staff", Effect.ADMIT, (segments["staff"],), reports=True),
        RuleEntry("matched", Effect.REQUIRE, (segments["matched"],), scope, now_unix_s - DAY_S),
    )
    return Manifest(LIST_VERSION, now_unix_s, now_unix_s + 5 * DAY_S, rules)
