"""The reader of a board that reads cards itself: `driver = "serial"` under [reader].

Such a board sends its cards on its own line, in CARD frames, among its other events. So this reader
owns no port. It shares the board's, through the five methods of `CardLine`. Readers and boards do
not import each other: `validator/programs/devices.py` hands the board to this reader.
"""

from typing import Protocol

from validator.domain.events import ReaderEvent
from validator.lane.ports import ReaderAbilities

ABILITIES = ReaderAbilities(
    clash=True, early_leave=True, laid_before=True, leaving=True, apdus=False
)


class CardLine(Protocol):
    """What a board offers to its own reader (lane/boards/serial/board.py). No method blocks."""

    def fileno(self) -> int:
        """Return the descriptor of the line, or -1 while there is none."""

    def deadline_ns(self) -> int:
        """Return the monotonic time at which the board's own `take` is due."""

    def card_deadline_ns(self, *, armed: bool) -> int:
        """Return the monotonic time at which `take_card` is due; 0 if an event is here."""

    def take_card(self, *, armed: bool) -> ReaderEvent | None:
        """Return the next event of the board's reader, or None. Cards wait until `armed`."""

    def forget_card(self) -> None:
        """Report the card that was reported last again, if it still lies there."""


class BoardReader:
    """A validator.lane.ports.Reader on the line of a board.

    Such a board is always armed and reports a card once, so a card that comes before `arm` waits.
    One that has waited for more than 0.3 s may have left: the board is asked what lies there now.
    """

    def __init__(self, board: CardLine) -> None:
        """Share the line of `board`. The loop may call reader and board in any order.

        Args:
            board: stays open until its owner closes it, also after this reader was closed.
        """
        self._board = board
        self._armed = False
        self._closed = False

    def fileno(self) -> int:
        """Return the board's descriptor; -1 once closed."""
        return -1 if self._closed else self._board.fileno()

    def deadline_ns(self) -> int:
        """See ports.Reader."""
        return (
            self._board.deadline_ns()
            if self._closed
            else self._board.card_deadline_ns(armed=self._armed)
        )

    def arm(self) -> None:
        """See ports.Reader. Only this object learns of it: the board reads all the time."""
        self._armed = True

    def forget(self) -> None:
        """See ports.Reader. The board is asked what lies there now."""
        self._board.forget_card()

    def take(self) -> ReaderEvent | None:
        """See ports.Reader."""
        if self._closed:
            return None
        event = self._board.take_card(armed=self._armed)
        if event is not None:
            self._armed = False
        return event

    def close(self) -> None:
        """Report nothing any more. The line stays open: the board's owner closes it."""
        self._closed = True
