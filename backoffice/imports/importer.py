"""Imports a file of any bytes into the registry: each row is in effect, or refused and reported.

    with Scratch() as scratch:
        done = Import(registry, scratch, Limits(0), rule="suspended").run(opened(file, COLUMNS))
        for refusal in scratch.refusals(): ...

First the whole file is read and sorted in a file of SQLite's own, and nothing is changed: a file
that is cut off imports nothing. Then batches of cards follow, by rising UID, each a transaction.
One transaction for all would keep every other command out of the registry for minutes, and at 34
million cards would be undone by anything that happens in the last second. An import can be killed
between batches and run again: a row already in effect changes nothing. What is refused follows from
the file and from what the registry holds at the end, not from the order of the batches.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

from backoffice.imports.card_rows import Limits, Reason, Refused, Row, meant
from backoffice.imports.csv_and_jsonl import Line, Parse, Rows
from backoffice.imports.plausibility import Doubt, Mistake, Survey, told
from backoffice.imports.scratch import Refusal, Scratch
from backoffice.registry.registry import IssuedCard, Outcome, Registry, State
from validator.errors import OperatorError

BATCH_CARDS = 50_000  # a second or two of the registry's lock
READ_LINES = 20_000
ASKED_ABOVE_MIN = 20  # cards: the operator types so few, or has checked them
CARD_COLUMNS = ("uid", "number")
STATE_COLUMNS = ("uid", "number", "ends", "state")

_ItemT = TypeVar("_ItemT")

Say = Callable[[str, int, int], None]
"""Takes what is being done, how much of it is done, and of how much (0: unknown)."""


class Imported(NamedTuple):
    """What became of a file's rows.

    `added`, `changed`, `unchanged` and `refused` are all rows. `ended` cards are in, until a time
    that has passed. Of the changed ones, `removed` were in and are out, and `shortened` end earlier
    than before.
    """

    rows: int
    added: int
    changed: int
    unchanged: int
    refused: int
    ended: int
    removed: int
    shortened: int
    reasons: dict[str, int]


class ImprobableError(OperatorError):
    """The file looks like a mistake of the program that wrote it; nothing was changed.

    The message is one line that names no card.
    """


Allow = Callable[[int, int], None]
"""Takes how many cards would come under the rule, and how many would go or end earlier; raises to
stop.
"""


class Import:
    """One import of cards (`rule` None) or of states under a rule.

    The scratch keeps what was refused.

    A file that is improbable in another way than it is `meant` to be is refused. If the rule
    `refuses` its cards, a card under it gets no earlier end unless `shorten` is set. `allow` is
    asked first if more than `asked_above` cards would change, and more than ASKED_ABOVE_MIN. Ends
    must lie within `limits`. With `keep=False` nothing changes, and the result is what would become
    of the file.
    """

    def __init__(
        self,
        registry: Registry,
        scratch: Scratch,
        limits: Limits,
        rule: str | None = None,
        *,
        now_unix_s: int,
        say: Say = lambda _what, _done, _total: None,
        keep: bool = True,
        meant: Collection[Mistake] = (),
        refuses: bool = False,
        shorten: bool = False,
        asked_above: Callable[[], int] = lambda: 0,
        allow: Allow | None = None,
    ) -> None:
        self._registry = registry
        self._scratch = scratch
        self._limits = limits
        self._rule = rule
        self._now_unix_s = now_unix_s
        self._say = say
        self._keep = keep
        self._meant = meant
        self._refuses = refuses
        self._shorten = shorten
        self._asked_above = asked_above
        self._allow = allow
        self._survey = Survey()
        self._rows = 0
        self._begin_counting()

    def _begin_counting(self) -> None:
        self._added = self._changed = self._ended = self._removed = self._shortened = 0

    def run(self, rows: Rows) -> Imported:
        """Import these rows.

        Raises:
            RowFileError, ImprobableError, OSError, and what `allow` raises: Nothing was changed.
            RegistryError, sqlite3.Error: Run it again.
        """
        for batch in _batches(rows.lines, READ_LINES):
            self._take_in(batch, rows.parse)
        self._say("putting them in order", 0, 0)
        self._refuse_improbable()
        if self._rule is None:
            self._scratch.refuse_second_uses()
        self._ask()
        self._store()
        refused = self._scratch.count("refusals")
        unchanged = self._rows - self._added - self._changed - refused
        return Imported(
            self._rows,
            self._added,
            self._changed,
            unchanged,
            refused,
            self._ended,
            self._removed,
            self._shortened,
            self._scratch.reasons(),
        )

    def _refuse_improbable(self) -> None:
        doubts = [doubt for doubt in self._survey.doubts() if doubt.mistake not in self._meant]
        if Mistake.TWICE not in self._meant:
            doubts += filter(None, map(self._of_twice, ("uid", "number")))
        if doubts:
            raise ImprobableError(told(doubts))

    def _of_twice(self, column: str) -> Doubt | None:
        count, first, again = self._scratch.twice(column)
        if not count or (column == "uid" and self._are_by_chance(count)):
            return None
        many = f"{count:,} cards are" if count > 1 else "a card is"
        what = (
            many
            if column == "uid"
            else f"{count:,} printed numbers are"
            if count > 1
            else "a printed number is"
        )
        return Doubt(
            Mistake.TWICE,
            f"{what} in the file more than once (line {first} and line {again}): a list names a"
            " card once, so it was put together wrongly, or filled down, or rounded",
        )

    def _are_by_chance(self, twice: int) -> bool:
        """Whether only UIDs of 4 bytes are in the file twice, and so few that it may be chance."""
        return self._survey.are_by_chance(twice) and not self._scratch.has_long_twice()

    def _ask(self) -> None:
        """Ask `allow` if many cards would change."""
        if self._allow is None or not self._keep:
            return
        asked_above = (
            self._asked_above()
            if self._scratch.count("rows") > ASKED_ABOVE_MIN
            else ASKED_ABOVE_MIN
        )
        if self._scratch.count("rows") <= asked_above:
            return
        self._keep = False
        self._pass(unwanted=False)
        self._keep = True
        entering, leaving = self._added, self._removed + self._shortened
        self._begin_counting()
        if entering + leaving > asked_above:
            self._allow(entering, leaving)

    def _take_in(self, batch: Sequence[Line], parse: Parse) -> None:
        rows, refusals = [], []
        for line in batch:
            fields, row = None, None
            try:
                fields = parse(line.content)
                row = meant(line.number, fields, self._limits)
                rows.append(row)
            except Refused as error:
                refusals.append(Refusal(line.number, error.field, error.reason, error.text))
            if fields is not None:
                self._survey.see(line.number, fields, row.uid if row else None)
        named = self._by_number(rows, refusals) if self._rule else _with_uid(rows, refusals)
        self._scratch.add(named)
        self._scratch.refuse(refusals)
        self._rows += len(batch)
        self._say("reading rows", self._rows, 0)

    def _by_number(self, rows: Sequence[Row], refusals: list[Refusal]) -> Iterator[Row]:
        """The rows with the UIDs of their printed numbers."""
        numbers = {row.number for row in rows if row.number is not None}
        holders = self._registry.uids_by_number(numbers) if numbers else {}
        for row in rows:
            if row.number is None:
                yield row
                continue
            holder = holders.get(row.number)
            if holder is None or row.uid not in (None, holder):
                reason = Reason.UNKNOWN_CARD if row.uid is None else Reason.NOT_ITS_NUMBER
                refusals.append(Refusal(row.line, "number", reason))
                continue
            yield row._replace(uid=holder, number=None)

    def _store(self) -> None:
        moved = self._pass(unwanted=False)
        # A number is free once its card was given another one, which may be later in the order.
        # Each such card moves once.
        while moved and self._keep and self._scratch.count("unwanted"):
            moved = self._pass(unwanted=True)
        self._scratch.refuse_unwanted()

    def _pass(self, *, unwanted: bool) -> bool:
        """Store the rows once. Returns whether an issued card was changed."""
        total = self._scratch.count("unwanted" if unwanted else "rows")
        what = "giving numbers that became free" if unwanted else "importing cards"
        changed_before, done = self._changed, 0
        for batch in _batches(self._cards(self._scratch.by_uid(unwanted=unwanted)), BATCH_CARDS):
            outcome = self._stored(batch)
            self._count(batch, outcome)
            if unwanted:
                self._scratch.remove_unwanted(
                    row.uid for row in batch if row.uid and row.uid not in outcome.refused
                )
            if self._rule is None:
                self._scratch.add_unwanted(outcome.refused, "number", Reason.NUMBER_TAKEN)
            else:
                self._scratch.add_unwanted(outcome.refused, "uid", Reason.UNKNOWN_CARD)
            if not self._shorten:
                self._scratch.add_unwanted(outcome.shorter, "ends", Reason.SHORTER)
            done += len(batch)
            self._say(what, done, total)
        return self._changed > changed_before

    def _cards(self, rows: Iterator[Row]) -> Iterator[Row]:
        """One row for each card.

        Rows that agree become one; the others are refused but for the first.
        """
        card: Row | None = None
        refusals: list[Refusal] = []
        for row in rows:
            if card is None or row.uid != card.uid:
                if card is not None:
                    yield card
                card = row
            elif (agreed := self._agreed(card, row)) is not None:
                card = agreed
            else:
                refusals.append(Refusal(row.line, "", Reason.TWICE))
                if len(refusals) == READ_LINES:
                    self._scratch.refuse(refusals)
                    refusals.clear()
        if card is not None:
            yield card
        self._scratch.refuse(refusals)

    def _agreed(self, one: Row, other: Row) -> Row | None:
        if self._rule is not None:
            return one if one[3:] == other[3:] else None
        if other.number is None or other.number == one.number:
            return one
        return one._replace(number=other.number) if one.number is None else None

    def _stored(self, batch: Sequence[Row]) -> Outcome:
        if self._rule is None:
            return self._registry.add_cards(
                [IssuedCard(row.uid, row.number) for row in batch if row.uid], keep=self._keep
            )
        states = [State(row.uid, row.is_in, row.ends_unix_s) for row in batch if row.uid]
        now_unix_s = self._now_unix_s if self._refuses else None
        return self._registry.set_states(
            self._rule, states, keep=self._keep, now_unix_s=now_unix_s, shorten=self._shorten
        )

    def _count(self, batch: Sequence[Row], outcome: Outcome) -> None:
        self._added += outcome.added
        self._changed += outcome.changed - outcome.added
        self._removed += outcome.removed
        self._shortened += len(outcome.shorter) if self._shorten else 0
        now_unix_s = self._now_unix_s
        left = outcome.refused if self._shorten else outcome.refused | outcome.shorter
        self._ended += sum(
            row.ends_unix_s is not None and row.ends_unix_s <= now_unix_s and row.uid not in left
            for row in batch
        )


def _with_uid(rows: Sequence[Row], refusals: list[Refusal]) -> Iterator[Row]:
    """The rows that name a UID: a card cannot be issued without one."""
    for row in rows:
        if row.uid is None:
            refusals.append(Refusal(row.line, "uid", Reason.NO_CARD))
        else:
            yield row


def _batches(items: Iterator[_ItemT], size: int) -> Iterator[list[_ItemT]]:
    while batch := list(islice(items, size)):
        yield batch
