"""The board on a serial line, as docs/board-protocol.md describes it: board > link > frames."""

from validator.lane.ports import BoardAbilities

ABILITIES = BoardAbilities(
    confirms=True,
    passage=True,
    forced=True,
    emergency=True,
    tamper=True,
    lamps=True,
    picture=True,
    date=True,
    directions=True,
)
