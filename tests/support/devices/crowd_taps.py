"""A tap of the crowd as its tests make it."""

from firmware_sim.crowd.plan import (
    EARLY_STAGES,
    Expected,
    Play,
    Tap,
)


def tap(play: Play, expect: Expected, *, report: bool = False) -> Tap:
    uids = ("04a1b2c3d4e5f6", "04a1b2c3d4e5f7")[: 2 if play is Play.CLASH else 1]
    leaves = EARLY_STAGES[0] if play is Play.PULLED else None
    return Tap(1, play, uids, "any", expect, report, leaves, walk_after_ms=0)
