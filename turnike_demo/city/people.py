"""The demo's people and their cards: seeded, in İstanbul's proportions.

This module writes the files that the back office imports, and the crowd's deck. Everything that
happens to a card later is done by the city's own commands.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np

PERSONALISED = 0.241  # 8,260,087 of 34,260,087 issued cards are matched
SUSPENDED = 0.009  # 300,000 of them are suspended
STAFF = 0.000_3
COMMUTERS = 20  # matched cards outside the crowd's deck, for the scenarios and the keys
DAY_S = 86_400
ISOLATION_S = 3 * DAY_S
# Instead of a minute, so that an operator can watch a suspension end; ends then reach 91 hours.
SUSPENDED_UNIT_S = 5

# The crowd's deck by kind, in per mille. On most days far fewer than 1 % are denied; a demo is
# there to show denials.
DECK = {"matched": 850, "suspended": 45, "unmatched": 60, "ended": 15, "staff": 15, "classic": 15}
DECK_CARDS_MIN = 50  # of each kind

# The cards of the visitor's tray, by their state at the start. `brief` is suspended for a minute
# at a time. A phone shows another UID at each tap, so that no list can name it.
TRAY = ("matched", "suspended", "unmatched", "brief", "staff", "phone")
_TRAY_MATCHED = ("matched", "suspended", "brief")


@dataclass(frozen=True, slots=True)
class People:
    """UIDs by their state in the list.

    Suspended, ended and commuters' cards are also in `matched`; the tray's are in `tray` alone.

    Attributes:
        drawn: how many cards of each kind are in the deck.
        tray: a visitor's cards by their names in TRAY; empty without a visitor.
    """

    matched: list[bytes]
    suspended: list[bytes]
    ended: list[bytes]
    commuters: list[bytes]
    staff: list[bytes]
    unmatched: list[bytes]
    classic: list[bytes]
    drawn: dict[str, int]
    tray: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def draw(
        cls, rng: np.random.Generator, cards: int, taps: int, *, visitor: bool = False
    ) -> "People":
        """Draw a city's people.

        Args:
            rng: draws every UID.
            cards: how many cards are issued; more if the deck needs more of a kind.
            taps: for how many taps the deck lasts before a card comes twice.
            visitor: whether to add the visitor's tray; all other cards stay the same.
        """
        drawn = {
            kind: max(taps * share // 1_000 * 2, DECK_CARDS_MIN) for kind, share in DECK.items()
        }
        suspended = max(int(cards * SUSPENDED), drawn["suspended"])
        ended = suspended + max(suspended // 10, drawn["ended"])
        commuters = ended + COMMUTERS
        matched = _uids(rng, max(int(cards * PERSONALISED), commuters + drawn["matched"]))
        staff = _uids(rng, max(int(cards * STAFF), drawn["staff"]))
        unmatched = max(cards - len(matched) - len(staff) - drawn["classic"], drawn["unmatched"])
        return cls(
            matched=matched,
            suspended=matched[:suspended],
            ended=matched[suspended:ended],
            commuters=matched[ended:commuters],
            staff=staff,
            unmatched=_uids(rng, unmatched),
            classic=list(dict.fromkeys(b"\x12" + uid[1:4] for uid in _uids(rng, drawn["classic"]))),
            drawn=drawn,
            tray=_tray(rng) if visitor else {},
        )

    def issued(self) -> Iterator[bytes]:
        """Yield the UID of every issued card."""
        visitor = self._of_tray(*(name for name in TRAY if name != "phone"))
        return chain(self.matched, self.staff, self.unmatched, self.classic, visitor)

    def _of_tray(self, *names: str) -> list[bytes]:
        return [self.tray[name] for name in names if name in self.tray]

    def deck(self) -> Iterator[dict[str, object]]:
        """Yield the crowd's cards, each with the outcome that the crowd has to see."""
        pools = {
            "matched": (self.matched[::-1], "admitted", False),
            "suspended": (self.suspended, "denied", True),
            "unmatched": (self.unmatched, "denied", False),
            "ended": (self.ended, "admitted", False),
            "staff": (self.staff, "admitted", True),
            "classic": (self.classic, "admitted", False),
        }
        for kind, (uids, expect, report) in pools.items():
            for uid in uids[: self.drawn[kind]]:
                yield {"uid": uid.hex(), "kind": kind, "expect": expect, "report": report}

    def write(self, folder: Path, now_unix_s: int) -> dict[str, Path]:
        """Write the files that the back office imports.

        Returns:
            The file for each argument of `turnike-backoffice import`, in the order to import.
        """
        isolation, over = now_unix_s + ISOLATION_S, now_unix_s - DAY_S
        suspended: list[tuple[bytes, int | str]] = [(uid, isolation) for uid in self.suspended]
        suspended += [(uid, over) for uid in self.ended]
        suspended += [(uid, "") for uid in self._of_tray("suspended")]  # without an end
        matched = chain(self.matched, self._of_tray(*_TRAY_MATCHED))
        staff = chain(self.staff, self._of_tray("staff"))
        rows: dict[str, Iterable[Sequence[object]]] = {
            "cards": chain([("uid",)], ((uid.hex(),) for uid in self.issued())),
            "matched": chain([("uid",)], ((uid.hex(),) for uid in matched)),
            "suspended": chain([("uid", "ends")], ((uid.hex(), ends) for uid, ends in suspended)),
            "staff": chain([("uid",)], ((uid.hex(),) for uid in staff)),
        }
        paths = {}
        for what, lines in rows.items():
            paths[what] = folder / f"{what}.csv"
            with paths[what].open("w", newline="") as out:
                csv.writer(out).writerows(lines)
        return paths

    def write_deck(self, path: Path) -> None:
        """Write the crowd's cards as `firmware-sim crowd` reads them."""
        with path.open("w") as out:
            out.writelines(json.dumps(card) + "\n" for card in self.deck())


def _tray(rng: np.random.Generator) -> dict[str, bytes]:
    uids = dict(zip(TRAY, _uids(rng, len(TRAY)), strict=True))
    return uids | {"phone": b"\x08" + uids["phone"][1:4]}


def _uids(rng: np.random.Generator, count: int) -> list[bytes]:
    """Draw seven-byte UIDs of NXP, whose first byte is 04."""
    drawn = rng.integers(0, 256, size=(count, 7), dtype=np.uint8)
    drawn[:, 0] = 0x04
    whole = drawn.tobytes()
    return [whole[at : at + 7] for at in range(0, len(whole), 7)]
