"""The faults of the simulated devices, and the stages at which their cards can leave."""

from validator.domain.events import CardSeen, LeftEarly, ReaderEvent

PN532_PASSING = (
    "noise=1",
    "dropped=1",
    "dropped=2",
    "dropped-ack=1",
    "dropped-ack=2",
    "truncated=1",
    "bad-checksum=1",
    "delayed=40/3",
    "delayed=400/1",
    "echo=0/1",
    "echo-cut=1",
    "dead=1",
)
PN532_LASTING = (
    "noise",
    "noise=0.5",
    "dropped=0.5",
    "dropped-ack=0.5",
    "truncated",
    "truncated=0.5",
    "bad-checksum",
    "bad-checksum=0.5",
    "delayed=30",
    "delayed=400",
    "stuck-baud",
    "every-second",
    "echo",
    "echo-cut",
    "dead",
)
# A PN532 that tries for ever (MxRtyPassiveActivation FF) answers InListPassiveTarget only when it
# has a card. An exchange that failed is one try like any other, and the next try drops it. The
# reader knows no more than its chip.
PN532_STAGES: dict[str, type[ReaderEvent] | None] = {
    "before-anticollision": None,
    "in-anticollision": None,
    "before-select": None,
    # Assumed. If a chip lists such a card without its ATS, it is LeftEarly (targets.py).
    "before-rats": None,
    "before-reply": CardSeen,  # its whole UID was read
    "before-release": CardSeen,
}
BOARD_PASSING = (
    "noise=1",
    "dropped=1",
    "dropped=3",
    "dropped=4",  # one more than the board's resends: it then begins a new session
    "truncated=1",
    "bad-checksum=1",
    "duplicate=1",
    "delayed=40/1",
    "delayed=400/1",
    "silent=2",
    "deaf=1",
    "echo=30/3",
    "echo-cut=3",
    "hears-itself=3",
)
BOARD_LASTING = (
    "noise=0.5",
    "dropped",
    "truncated",
    "duplicate",
    "delayed=30",
    "delayed=400",
    "silent",
    "deaf",
    "reader-broken",
    "echo",
    "echo-cut",
    "hears-itself",
    "dead",
)
RCS380_PASSING = (
    "noise=1",
    "dropped=1",
    "dropped=2",
    "dropped-ack=1",
    "wrong-frame=1",
    "wrong-frame=2",
    "error-frame=1",
    "truncated=1",
    "bad-checksum=1",
    "delayed=40/3",
    "delayed=400/1",
    "stall=1",
    "stall=3",
    "babble=1",
    "silent=1",
)
RCS380_LASTING = (
    "noise",
    "noise=0.5",
    "dropped",
    "dropped=0.5",
    "dropped-ack",
    "wrong-frame",
    "wrong-frame=0.5",
    "error-frame",
    "truncated",
    "bad-checksum=0.5",
    "delayed=30",
    "delayed=400",
    "stall",
    "stall=0.1",
    "babble",
    "silent",
    "flood",
)
# The lane itself sends each frame to the card, so it knows how far the card came.
RCS380_STAGES: dict[str, type[ReaderEvent] | None] = {
    "before-anticollision": LeftEarly,
    "in-anticollision": LeftEarly,
    "before-select": LeftEarly,
    "before-rats": CardSeen,  # RATS is not sent: its whole UID was read
    "before-reply": CardSeen,
    "before-release": CardSeen,
}
