"""A lane that ends locks the arms before anything that may take its time."""

from collections import deque
from random import Random

import pytest

from tests.simulation.lane.simulated_gate import START_NS, World, simulated
from validator.domain.events import ReaderBack
from validator.domain.outcomes import Outcome


def test_the_board_is_closed_before_a_reader_that_may_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(Random(0), 0.0)
    lane, reader = simulated(world, deque([ReaderBack(START_NS)]))
    lane.turn()
    order: list[object] = []
    monkeypatch.setattr(World, "show", lambda _world, outcome, *_: order.append(outcome))
    monkeypatch.setattr(World, "close", lambda _world: order.append("board"))
    monkeypatch.setattr(type(reader), "close", lambda _reader: order.append("reader"))
    lane.stop()
    lane.run()
    assert order == [Outcome.OUT_OF_SERVICE, "board", "reader"]
