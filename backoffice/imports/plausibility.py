"""Whether a whole file of cards can be right. Pure.

    survey = Survey()
    for line, fields in ...: survey.see(line, fields, uid)   # uid None: the row was refused
    doubts = survey.doubts()

Spreadsheets, readers and exports spoil whole columns, and no single row shows it. So a doubt is
about chance: at most one honest file in ten thousand reaches each limit below. The operator is
shown counts, lines and a form in which every digit that could name a card is hidden.
"""

import re
from collections.abc import Callable, Collection
from enum import StrEnum
from math import sqrt
from typing import NamedTuple

from backoffice.imports.card_rows import NUMBER_DIGITS, Fields, spelt_uid
from validator.domain.cards import UID_LENGTHS

LINES_SHOWN_MAX = 3
EXACT_MAX = str(1 << 53)  # above it a double holds even numbers only; it has 16 digits too
NXP = 0x04  # makes DESFire, and most cards there are: their UIDs of 7 bytes begin so
SWAPPED_NXP = 0x40
TEXT = "format the column as text before the cards go into it, and export it again"
FORM_MAX = 40
UIDS_MIN = 20  # UIDs of one form; a few honest UIDs may have it by chance
CHANCE = 1e-4  # what happens less often is taken for a mistake
SHORT_UIDS = 1 << 32  # UIDs of 4 bytes; makers use them more than once
SECONDS_MIN = 4  # different second bytes; one box of UIDs of 4 bytes has one or two
_PADDING = bytes(3)
_DIGIT = re.compile(r"[0-9a-fA-F]")
_DECIMAL = re.compile(r"[0-9 :;,./\[\]{}()-]+", re.ASCII)
_EXPONENT = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]*)?E\+?[0-9]{1,3}", re.ASCII | re.IGNORECASE)


class Mistake(StrEnum):
    """The mistakes that a file may show; also what --meant takes."""

    EXPONENT = "exponent"
    DECIMAL = "decimal"
    ROUNDED = "rounded"
    REVERSED = "reversed"
    CUT = "cut"
    PADDED = "padded"
    TWICE = "twice"


CANNOT_BE_MEANT = frozenset({Mistake.EXPONENT})  # no such row names a card


class Doubt(NamedTuple):
    """One improbable thing of a file: its name, and a sentence about it that names no card."""

    mistake: Mistake
    text: str


class _Seen:
    """How often something was seen, the first lines, and the form of the first."""

    __slots__ = ("count", "example", "form", "lines")

    def __init__(self, form: Callable[[str], str] = lambda _text: "") -> None:
        self.count = 0
        self.lines: list[int] = []
        self.form = form
        self.example = ""

    def add(self, line: int, text: str) -> None:
        self.count += 1
        if len(self.lines) < LINES_SHOWN_MAX:
            self.lines.append(line)
            self.example = self.example or self.form(text)

    def where(self, besides: int = 0) -> str:
        """The lines, and the form of the first; `besides` counts others that are not shown."""
        shown = ", ".join(map(str, self.lines))
        left = self.count + besides - len(self.lines)
        more = f" and {left:,} more" if left else ""
        form = f"; the first is {self.example}" if self.example else ""
        return f"line{'s' if self.count + besides > 1 else ''} {shown}{more}{form}"


class _Apart:
    """Whether UIDs come from many boxes of cards: the UIDs of one box are consecutive.

    Those of one box differ in a byte or two, so all of them may be without a letter by chance.
    """

    __slots__ = ("_begins", "_ends")

    def __init__(self) -> None:
        self._begins: set[bytes] = set()
        self._ends: set[bytes] = set()

    def add(self, uid: bytes) -> None:
        for seen, part in ((self._begins, uid[:-2]), (self._ends, uid[-2:])):
            if len(seen) < UIDS_MIN:
                seen.add(part)

    def __bool__(self) -> bool:
        return min(len(self._begins), len(self._ends)) >= UIDS_MIN


class Survey:
    """Sees every row of a file once, in bounded memory."""

    def __init__(self) -> None:
        self._uids = self._numbers = self._long = self._short = self._not_nxp = 0
        self._first, self._last = [0] * 256, [0] * 256
        self._exponents = _Seen(_exponent)
        self._refused_decimals, self._decimals = _Seen(hidden), _Seen(hidden)
        self._decimals_apart = _Apart()
        self._short_nxp_seconds: set[int] = set()
        self._zeros, self._big, self._big_even = _Seen(_but_last), _Seen(), _Seen()
        self._ends_nxp, self._short_nxp, self._padded = _Seen(_but_04), _Seen(), _Seen()

    def see(self, line: int, fields: Fields, uid: bytes | None) -> None:
        """See a row as text, and its UID if it is valid."""
        if fields.uid:
            self._uids += 1
            self._see_uid(line, fields.uid, uid)
        if fields.number:
            self._numbers += 1
            self._see_number(line, fields.number)

    def _see_uid(self, line: int, text: str, uid: bytes | None) -> None:
        if uid is None:
            if _EXPONENT.fullmatch(text):
                self._exponents.add(line, text)
            elif _DECIMAL.fullmatch(text):
                self._refused_decimals.add(line, text)
            uid = spelt_uid(text)
            if uid is None or len(uid) not in UID_LENGTHS:
                return
        elif text.isdecimal() or (not text.isalnum() and _DECIMAL.fullmatch(text)):
            self._decimals.add(line, text)
            self._decimals_apart.add(uid)
        first, last = uid[0], uid[-1]
        if len(uid) == UID_LENGTHS[0]:
            self._short += 1
            if first == NXP:
                self._short_nxp.add(line, "")
                self._short_nxp_seconds.add(uid[1])
            return
        self._long += 1
        self._first[first] += 1
        self._last[last] += 1
        if uid.endswith(_PADDING):
            self._padded.add(line, "")
        if first != NXP:
            self._not_nxp += 1
            if last == NXP:
                self._ends_nxp.add(line, text)

    def _see_number(self, line: int, text: str) -> None:
        if not text.isdecimal() and _EXPONENT.fullmatch(text):
            self._exponents.add(line, text)
            return
        if text[-1] == "0":
            self._zeros.add(line, text)
        digits = text if text.isdecimal() else text.replace(" ", "").replace("-", "")
        if len(digits) == NUMBER_DIGITS and digits > EXACT_MAX:
            self._big.add(line, "")
            if digits[-1] in "02468":
                self._big_even.add(line, "")

    def doubts(self) -> list[Doubt]:
        """The doubts about the rows seen, the worst first."""
        found = (self._of_exponents(), self._of_decimals(), self._of_rounding(), self._of_order())
        return [doubt for doubt in (*found, self._of_cuts(), self._of_padding()) if doubt]

    def are_by_chance(self, twice: int) -> bool:
        """Whether an honest file may hold so many UIDs of 4 bytes twice.

        Makers draw them at random.
        """
        expected = self._short * self._short / (2 * SHORT_UIDS)
        return expected >= CHANCE and twice <= expected + 6 * sqrt(expected) + 1

    def _of_exponents(self) -> Doubt | None:
        named = self._uids + self._numbers
        if not self._exponents.count or 2 * self._exponents.count < named:
            return None
        return Doubt(
            Mistake.EXPONENT,
            f"{self._exponents.count:,} of {named:,} cards are numbers with an exponent"
            f" ({self._exponents.where()}): a spreadsheet took them for numbers and dropped"
            f" digits; {TEXT}",
        )

    def _of_decimals(self) -> Doubt | None:
        """Whether the UIDs are in decimal.

        One honest UID of 7 bytes in 280 has no letter; a whole file of such UIDs is in decimal.
        """
        certain, by_chance = self._refused_decimals, self._decimals
        both = certain.count + by_chance.count
        is_certain = certain.count and by_chance.count and 10 * both >= 9 * self._uids
        # A box of consecutive UIDs has a letter in six of sixteen, even if they begin without one.
        is_one_box = not (
            10 * certain.count >= self._uids or self._decimals_apart or 20 * both >= 19 * self._uids
        )
        is_most = both >= UIDS_MIN and 2 * both >= self._uids and not is_one_box
        if not (is_certain or is_most):
            return None
        seen, besides = (certain, by_chance.count) if certain.count else (by_chance, 0)
        return Doubt(
            Mistake.DECIMAL,
            f"{both:,} of {self._uids:,} UIDs have no letter from a to f ({seen.where(besides)}):"
            " they look like bytes in decimal, not in hex; export them as two hex digits a byte",
        )

    def _of_rounding(self) -> Doubt | None:
        zeros, numbers = self._zeros.count, self._numbers
        if zeros > 0.1 * numbers + 5 * sqrt(0.09 * numbers) + 0.5:
            return Doubt(
                Mistake.ROUNDED,
                f"{zeros:,} of {numbers:,} numbers end in 0 ({self._zeros.where()}): a spreadsheet"
                " keeps 15 digits and makes the 16th a 0, and these are other people's cards then;"
                f" {TEXT}",
            )
        big, even = self._big.count, self._big_even.count
        if big >= UIDS_MIN and big == even:
            return Doubt(
                Mistake.ROUNDED,
                f"all {big:,} numbers above 9007199254740992 are even ({self._big_even.where()}): a"
                " program kept them as floating-point numbers, and these are other people's cards"
                " then; let it keep them as text, and export them again",
            )
        return None

    def _of_order(self) -> Doubt | None:
        advice = (
            "the bytes are in reversed order; let the reader's program export them as they are read"
        )
        seen = self._ends_nxp
        # One honest UID of another maker in 256 ends in 04.
        if seen.count >= LINES_SHOWN_MAX and seen.count * 256 > 10 * self._not_nxp:
            return Doubt(
                Mistake.REVERSED,
                f"{seen.count:,} UIDs end in 04 and begin otherwise ({seen.where()}): 04 is the"
                f" maker NXP, which stands first, so {advice}",
            )
        if self._long >= UIDS_MIN and self._first[SWAPPED_NXP] * 20 >= 19 * self._long:
            return Doubt(
                Mistake.REVERSED,
                f"{self._first[SWAPPED_NXP]:,} of {self._long:,} UIDs begin with 40: 04, the maker"
                " NXP, with its two digits swapped; let the reader's program export them as they"
                " are read",
            )
        common = max(self._last)
        if (
            self._long >= UIDS_MIN
            and common * 20 >= 19 * self._long
            and 2 * max(self._first) < self._long
        ):
            return Doubt(
                Mistake.REVERSED,
                f"{common:,} of {self._long:,} UIDs end in the same byte, and begin with many:"
                f" {advice}",
            )
        return None

    def _of_cuts(self) -> Doubt | None:
        seen = self._short_nxp
        is_one_box = len(self._short_nxp_seconds) < SECONDS_MIN
        if seen.count < UIDS_MIN or 2 * seen.count < self._short or is_one_box:
            return None
        return Doubt(
            Mistake.CUT,
            f"{seen.count:,} of {self._short:,} UIDs of 4 bytes begin with 04 ({seen.where()}): so"
            " begin those of 7 bytes, and these may be their first four; export the whole UID",
        )

    def _of_padding(self) -> Doubt | None:
        seen = self._padded
        if seen.count < LINES_SHOWN_MAX or seen.count * 100 < self._long:
            return None
        return Doubt(
            Mistake.PADDED,
            f"{seen.count:,} of {self._long:,} UIDs end in 000000 ({seen.where()}): a program has"
            " filled shorter ones up; export them in their own length",
        )


def told(doubts: Collection[Doubt]) -> str:
    """The doubts in one line.

    It has the first in full, the names of the others, and the flags that accept them.
    """
    first, *others = doubts
    also = f" Also: {', '.join(other.mistake for other in others)}." if others else ""
    flags = " ".join(
        f"--meant {doubt.mistake}" for doubt in doubts if doubt.mistake not in CANNOT_BE_MEANT
    )
    meant = f" If it is right as it is: {flags}" if flags else ""
    return f"{first.text}. Nothing was imported.{also}{meant}"


def hidden(text: str) -> str:
    """The form of a text: a dot for each digit that could be a card's."""
    return _DIGIT.sub(".", text[:FORM_MAX])


def _but_last(text: str) -> str:
    return f"{hidden(text[:-1])}{text[-1:]}"


def _but_04(text: str) -> str:
    return f"{hidden(text[:-2])}04"


def _exponent(text: str) -> str:
    """The first three digits and the exponent: many cards share these."""
    mantissa, sign, exponent = text.upper().partition("E")
    return f"{mantissa[:4]}{'…' if mantissa[4:] else ''}{sign}{exponent}"
