"""The lane's loop: waits for reader and board with one poll(), and does what the passage decides.

It runs in the main thread, alone. It decides nothing: the passage does. It opens no file, logs
nothing and uses no network: the clerk does, after the passenger was told. docs/one-tap.md follows
one tap through it.
"""

import gc
import os
import select
import time
from collections.abc import Callable, Iterator
from typing import assert_never

from validator.domain.cards import Card
from validator.domain.decision import Decision, ListPolicy, Verdict, decide
from validator.domain.events import (
    BoardBack,
    BoardLost,
    CardSeen,
    Emergency,
    Event,
    Forced,
    ReaderBack,
    ReaderLost,
    StoodStill,
    Tamper,
    Tick,
)
from validator.domain.latency import LatencyHistogram
from validator.domain.outcomes import Outcome, board_date
from validator.domain.passage import (
    FileReport,
    Open,
    Passage,
    PassageEffect,
    PassagePolicy,
    RecordPassage,
    RecordTap,
    Show,
)
from validator.domain.report import Report, ReportKind
from validator.domain.trusted_time import Now
from validator.ipc.answers import Figures, Percentiles
from validator.lane.ports import (
    Board,
    CardToLearn,
    ListInForce,
    Note,
    Reader,
    TapDone,
    TapTimes,
)

NS_PER_MS = 1_000_000
WAIT_MAX_NS = 1_000 * NS_PER_MS  # nothing is due later; a clock that jumps must not hang the loop
ALIVE_NS = 1_000 * NS_PER_MS
# The loop stood still if this passed between two turns. A turn takes 0.3 s at most, the wait
# before it 1 s.
STILL_NS = 1_500 * NS_PER_MS
LATE_NS = 500 * NS_PER_MS  # a card read longer ago may have left: do not open for it
LATE_PICTURE_NS = 2_000 * NS_PER_MS  # a denial shown later would meet the next passenger
WAKE_BYTES_MAX = 512  # one byte a signal; the next turn reads the rest
GARBAGE_MAX = 20_000  # new objects before a collection, which runs only after an idle poll

DEVICE_NEWS = (ReaderLost, ReaderBack, BoardLost, BoardBack, Emergency, Forced, Tamper)


class Lane:
    """One reader and one gate.

    Nothing is sent to a device before `run` or `turn`.

    Args:
        reader: the card reader.
        board: the turnstile controller.
        file: hands a report to the clerk and waits for its commit, at most the budget.
        note: hands bookkeeping to the clerk; never waits.
        lists: the list in force, which the clerk swaps.
        now: the wall time to decide by (domain/trusted_time.py).
        passage_policy: the operator's choices for arms, pictures and guards.
        list_policy: the operator's choices for a list that is old or missing.
        token_key: the secret of this run's card tokens.
        wake_fd: a descriptor whose input only wakes the loop (signals write to it), or -1.
        alive: called every second.
        is_learning: whether a refused or unknown card goes to the clerk, too.
        read_number: reads the printed number of the card just reported (readers/printed_number.py),
            only then; None: the reader cannot, or may not.
        monotonic_ns: the clock for everything but wall time, in ns.
    """

    def __init__(
        self,
        *,
        reader: Reader,
        board: Board,
        file: Callable[[Report], bool],
        note: Callable[[Note], None],
        lists: ListInForce,
        now: Callable[[], Now],
        passage_policy: PassagePolicy,
        list_policy: ListPolicy,
        token_key: bytes,
        wake_fd: int = -1,
        alive: Callable[[], None] | None = None,
        is_learning: Callable[[], bool] = lambda: False,
        read_number: Callable[[], str | None] | None = None,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.told_before_durable = 0
        self.decided = LatencyHistogram()  # reader's event to decision
        self.told = LatencyHistogram()  # reader's event to the passenger being told
        self.filed = LatencyHistogram()  # the wait for a report's commit
        self.passage = Passage(passage_policy, self._decide, token_key)
        self._reader = reader
        self._board = board
        self._file = file
        self._note = note
        self._lists = lists
        self._now = now
        self._list_policy = list_policy
        self._wake_fd = wake_fd
        self._monotonic_ns = monotonic_ns
        self._alive = alive
        self._is_learning = is_learning
        self._read_number = read_number
        self._alive_ns = 0
        self._stopping = False
        self._reader_news = self._board_news = False  # `take` may return more
        self._awake_ns = monotonic_ns()  # when the last turn began its work
        self._polled: tuple[int, ...] = ()
        self._poll = select.poll()

    def figures(self) -> Figures:
        """Return what the loop has measured since its start. Any thread may call it."""
        return Figures(
            Percentiles(**self.decided.summary_us()),
            Percentiles(**self.told.summary_us()),
            Percentiles(**self.filed.summary_us()),
            self.told_before_durable,
        )

    def histograms(self) -> dict[str, LatencyHistogram]:
        """Return every duration behind `figures`, by stage. Any thread may read them."""
        return {"decided": self.decided, "filed": self.filed, "told": self.told}

    def stop(self) -> None:
        """Let `run` return after this turn. A signal handler may call it."""
        self._stopping = True

    def run(self) -> None:
        """Serve until `stop`, then show "out of service" and release both devices."""
        try:
            while not self._stopping:
                self.turn()
        finally:
            self._board.show(Outcome.OUT_OF_SERVICE, 0, 0)
            self._board.close()  # first: a reader that hangs takes a second, with the arms free
            self._reader.close()

    def turn(self) -> None:
        """Wait until something is due, and do all of it: the reader first, as a passenger waits."""
        ready = self._wait()
        if self._wake_fd in ready:
            os.read(self._wake_fd, WAKE_BYTES_MAX)
        now_ns = self._monotonic_ns()
        if now_ns - self._awake_ns > STILL_NS and self.passage.someone_waits:
            self._give_up(0)
        self._awake_ns = now_ns
        if (
            self._reader_news
            or self._reader.fileno() in ready
            or now_ns >= self._reader.deadline_ns()
        ):
            self._take_reader()
        if self._board_news or self._board.fileno() in ready or now_ns >= self._board.deadline_ns():
            self._take_board()
        due_ns = self.passage.deadline_ns
        if due_ns is not None and now_ns >= due_ns:
            self._handle(Tick(now_ns))
        if self._alive is not None and now_ns >= self._alive_ns:
            self._alive_ns = now_ns + ALIVE_NS
            self._alive()
        if not ready and gc.get_count()[0] > GARBAGE_MAX:
            gc.collect()

    def _wait(self) -> set[int]:
        fds = tuple(
            {fd for fd in (self._reader.fileno(), self._board.fileno(), self._wake_fd) if fd >= 0}
        )
        if fds != self._polled:
            self._polled = fds
            self._poll = select.poll()
            for fd in fds:
                self._poll.register(fd, select.POLLIN)
        now_ns = self._monotonic_ns()
        due_ns = min(self._deadlines())
        wait_ms = min(max(due_ns - now_ns, 0), WAIT_MAX_NS) / NS_PER_MS
        return {fd for fd, _ in self._poll.poll(wait_ms)}

    def _deadlines(self) -> Iterator[int]:
        if self._reader_news or self._board_news:
            yield 0
        yield self._reader.deadline_ns()
        yield self._board.deadline_ns()
        if self.passage.deadline_ns is not None:
            yield self.passage.deadline_ns

    # One event of each device a turn: a busy reader must not delay the board's acknowledgements.

    def _take_reader(self) -> None:
        event = self._reader.take()
        self._reader_news = event is not None
        if event is not None:
            self._handle(event)
            if not self.passage.hears_cards:
                self._reader.forget()
            self._arm()

    def _take_board(self) -> None:
        event = self._board.take()
        self._board_news = event is not None
        if event is not None:
            self._handle(event)
            self._arm()

    def _arm(self) -> None:
        # A reader reports a card once: one read while no card can be answered would be lost.
        if self.passage.hears_cards:
            self._reader.arm()

    def _decide(self, card: Card) -> Decision:
        return decide(card, self._lists.current, self._now(), self._list_policy)

    def _handle(self, event: Event) -> None:
        if isinstance(event, CardSeen) and self._is_late(LATE_NS, min(event.at_ns, self._awake_ns)):
            self._reader.forget()  # not decided: the card may have left
            return
        effects = self.passage.handle(event)
        decided_ns = self._monotonic_ns() - event.at_ns
        self._do(effects, event.at_ns, decided_ns)
        if isinstance(event, CardSeen) and self._is_learning():
            self._learn(event.card, effects)
        if isinstance(event, DEVICE_NEWS):
            self._note(event)

    def _do(self, effects: list[PassageEffect], at_ns: int, decided_ns: int) -> None:
        told_ns: int | None = None
        report_ns = 0
        for effect in effects:
            match effect:
                case Open() if self._is_late(LATE_NS, self._awake_ns):
                    self._give_up(effect.tap)
                    return
                case Open():
                    self._board.open(effect.tap, effect.direction, effect.hold_ms)
                    told_ns = self._monotonic_ns() - at_ns
                case Show() if effect.hold_ms and self._is_late(LATE_PICTURE_NS, self._awake_ns):
                    # A card that still lies there is decided again and shown then. A card for
                    # which the gate opened is not: it must not open twice.
                    if told_ns is None:
                        self._reader.forget()
                case Show():
                    self._board.show(effect.outcome, effect.hold_ms, board_date(effect.date_unix_s))
                    told_ns = self._monotonic_ns() - at_ns if told_ns is None else told_ns
                case FileReport():
                    report_ns = self._report(effect)
                case RecordTap():
                    self._keep(
                        effect,
                        TapTimes(decided_ns, told_ns or 0, report_ns),
                        was_told=told_ns is not None,
                    )
                case RecordPassage():
                    self._note(effect)
                case _:
                    assert_never(effect)

    def _learn(self, card: Card, effects: list[PassageEffect]) -> None:
        """Hand a refused or unknown card to the clerk. The passenger has been told.

        The number is read before the reader is armed: the card still lies there.
        """
        taps = [effect for effect in effects if isinstance(effect, RecordTap)]
        if any(tap.decision is not None and tap.decision.is_of_stranger for tap in taps):
            number = self._read_number() if self._read_number is not None else None
            self._note(CardToLearn(card.uid, number or ""))

    def _is_late(self, limit_ns: int, since_ns: int) -> bool:
        """Return whether the loop stood still since then: its knowledge may be as old."""
        return self._monotonic_ns() - since_ns > limit_ns

    def _give_up(self, unopened: int) -> None:
        """Admit no card that may have left. One that lies there still is decided again."""
        self._handle(StoodStill(unopened, self._monotonic_ns()))
        self._reader.forget()

    def _report(self, effect: FileReport) -> int:
        """Make the report durable. Past the commit budget the passenger is told all the same.

        Returns:
            How long the loop waited, in ns.
        """
        started_ns = self._monotonic_ns()
        now = self._now()
        decision = effect.decision
        denied = decision.verdict is Verdict.DENY
        kind = ReportKind.DENIED_BOARDING if denied else ReportKind.STAFF_CARD_USED
        report = Report(
            kind,
            effect.tap,
            effect.uid,
            decision.rule,
            decision.list_version,
            now.unix_s,
            now.synchronised,
        )
        if not self._file(report) and denied:
            self.told_before_durable += 1
        took_ns = self._monotonic_ns() - started_ns
        self._awake_ns += min(took_ns, LATE_NS)  # a slow disk is not a loop that stood still
        return took_ns

    def _keep(self, tap: RecordTap, times: TapTimes, *, was_told: bool) -> None:
        if not tap.waited:  # decided earlier, shown when the passenger ahead was through
            self.decided.add(times.decided_ns)
            if was_told:  # else it was too late
                self.told.add(times.told_ns)
        if times.report_ns:
            self.filed.add(times.report_ns)
        self._note(TapDone(tap, times))
