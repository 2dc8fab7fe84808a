"""The demo's city: cards at İstanbul's proportions, the list that knows them, and the deck from which the crowd draws. All of it seeded.

The list is built and installed by the same code that the gate trusts; only its cards are invented.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from validator.adapters.list_installer import ListInstaller
from validator.domain.rules import Effect
from validator.formats.fingerprint_keys import format_key_file, key_id
from validator.formats.manifest import Manifest, RuleEntry, ScopeEntry, SegmentEntry, encode
from validator.formats.segment import NO_END
from validator.formats.segment_builder import Head, fingerprint_cards, until_units, write_segment

PERSONALISED = 0.241  # 8,260,087 of 34,260,087 issued cards are matched
SUSPENDED = 0.009  # 300,000 of them are suspended
STAFF = 0.000_3
DAY_S = 86_400
LIST_VERSION = 1
SUSPENDED_UNIT_S = 60
MATCHED_UNIT_S = 3_600

# What the crowd brings, in per mille of the deck: on most days denials are well under 1 %, in a demo they are what one wants to see.
DECK = {"matched": 850, "suspended": 45, "unmatched": 60, "ended": 15, "staff": 15, "classic": 15}

Say = Callable[[str, int, int], None]  # what is being done, how much of it, of how much


@dataclass(frozen=True, slots=True)
class City:
    """What was built, by path."""

    published: Path
    lists: Path
    keys: Path
    deck: Path


def build(folder: Path, cards: int, taps: int, seed: int, now_unix_s: int, say: Say) -> City:
    """Build a city of so many issued cards under `folder`, with a deck for so many taps before a card comes twice."""
    city = City(folder / "published", folder / "lists", folder / "keys", folder / "deck.jsonl")
    for made in (city.published, city.lists, city.keys):
        made.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    fingerprint_key = rng.bytes(32)
    key_file = city.keys / "demo.key"
    key_file.touch(mode=0o600)
    key_file.write_bytes(format_key_file(fingerprint_key, "made for one demo"))
    drawn = {kind: max(taps * share // 1_000 * 2, 50) for kind, share in DECK.items()}
    people = _People.draw(rng, cards, drawn)
    _publish(city, people, fingerprint_key, now_unix_s, say)
    with city.deck.open("w") as out:
        out.writelines(json.dumps(card) + "\n" for card in people.deck(drawn))
    return city


@dataclass(frozen=True, slots=True)
class _People:
    """UIDs by what the list will say about them. Suspended and ended cards are matched ones."""

    matched: list[bytes]
    suspended: list[bytes]
    ended: list[bytes]
    staff: list[bytes]
    unmatched: list[bytes]
    classic: list[bytes]

    @classmethod
    def draw(cls, rng: np.random.Generator, cards: int, drawn: dict[str, int]) -> "_People":
        """Draw as many of each as the city has, and at least as many as the deck needs."""
        known = max(int(cards * PERSONALISED), drawn["matched"] + 2 * drawn["suspended"] + drawn["ended"])
        suspended = max(int(cards * SUSPENDED), drawn["suspended"])
        ended = max(suspended // 10, drawn["ended"])
        matched = _uids(rng, known)
        return cls(
            matched=matched,
            suspended=matched[:suspended],
            ended=matched[suspended : suspended + ended],
            staff=_uids(rng, max(int(cards * STAFF), drawn["staff"])),
            unmatched=_uids(rng, drawn["unmatched"]),
            classic=[b"\x12" + uid[1:4] for uid in _uids(rng, drawn["classic"])],
        )

    def deck(self, drawn: dict[str, int]) -> Iterator[dict[str, object]]:
        """The crowd's cards, each with what the crowd knows to be right about it."""
        pools = {
            "matched": (self.matched[::-1], "admitted", False),
            "suspended": (self.suspended, "denied", True),
            "unmatched": (self.unmatched, "denied", False),
            "ended": (self.ended, "admitted", False),
            "staff": (self.staff, "admitted", True),
            "classic": (self.classic, "admitted", False),
        }
        for kind, (uids, expect, report) in pools.items():
            for uid in uids[: drawn[kind]]:
                yield {"uid": uid.hex(), "kind": kind, "expect": expect, "report": report}


def _uids(rng: np.random.Generator, count: int) -> list[bytes]:
    """Seven-byte UIDs of NXP, which begin with 04."""
    drawn = rng.integers(0, 256, size=(count, 7), dtype=np.uint8)
    drawn[:, 0] = 0x04
    whole = drawn.tobytes()
    return [whole[at : at + 7] for at in range(0, len(whole), 7)]


def _publish(city: City, people: _People, key: bytes, now_unix_s: int, say: Say) -> None:
    """Suspended before staff, since a staff card's UID can be cloned; matched last: it speaks about everyone else."""
    epoch_unix_s = (now_unix_s - DAY_S) // MATCHED_UNIT_S * MATCHED_UNIT_S

    def ends(at_unix_s: int) -> int:
        return until_units(at_unix_s, epoch_unix_s, SUSPENDED_UNIT_S)

    isolation, over = ends(now_unix_s + 10 * DAY_S), ends(now_unix_s - 3_600)
    suspended = [(uid, isolation) for uid in people.suspended] + [(uid, over) for uid in people.ended]
    tables: dict[str, tuple[Iterable[tuple[bytes, int]], int, int]] = {
        "suspended": (suspended, len(suspended), SUSPENDED_UNIT_S),
        "staff": (((uid, NO_END) for uid in people.staff), len(people.staff), MATCHED_UNIT_S),
        "matched": (((uid, NO_END) for uid in people.matched), len(people.matched), MATCHED_UNIT_S),
    }
    segments: dict[str, SegmentEntry] = {}
    paths: dict[str, Path] = {}
    for rule, (cards, count, unit_s) in tables.items():
        head = Head(rule, 0, LIST_VERSION, key_id(key), epoch_unix_s, unit_s)

        def tell(done: int, total: int, rule: str = rule) -> None:
            say(rule, done, total)

        fingerprints, until = fingerprint_cards(cards, key, progress=tell, total=count)
        path = city.published / f"{rule}.seg"
        with path.open("w+b") as out:
            built = write_segment(out, head, fingerprints, until)
        segments[rule] = SegmentEntry(0, LIST_VERSION, built.size, built.sha256)
        paths[segments[rule].file_name] = path
    ListInstaller(city.lists).install(encode(_manifest(segments, now_unix_s)), paths)


def _manifest(segments: dict[str, SegmentEntry], now_unix_s: int) -> Manifest:
    rules = (
        RuleEntry("suspended", Effect.REFUSE, (segments["suspended"],), reports=True),
        RuleEntry("staff", Effect.ADMIT, (segments["staff"],), reports=True),
        RuleEntry(
            "matched",
            Effect.REQUIRE,
            (segments["matched"],),
            ScopeEntry(uid_lengths=(7,)),
            now_unix_s - DAY_S,
        ),
    )
    return Manifest(LIST_VERSION, now_unix_s, now_unix_s + 5 * DAY_S, rules)
