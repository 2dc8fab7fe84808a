"""A turnstile on GPIO lines: board > arms, signals > lines > the kernel's chip."""

from validator.lane.boards.gpio.wiring import Wiring
from validator.lane.ports import BoardAbilities


def abilities(wiring: Wiring) -> BoardAbilities:
    """Return what a board with this wiring can tell and do."""
    return BoardAbilities(
        confirms=False,  # nothing answers a relay
        passage=wiring.passage is not None,
        forced=wiring.forced is not None or wiring.passage is not None,
        emergency=wiring.emergency is not None,
        tamper=wiring.tamper is not None,
        lamps=wiring.green is not None and wiring.red is not None,
        picture=False,
        date=False,
        directions=False,
    )
