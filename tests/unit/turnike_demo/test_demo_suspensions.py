"""What the scenario announces about passengers is what the crowd has judged."""

import pytest

from turnike_demo.processes.events import Event
from turnike_demo.scenarios.suspensions import TAPS_CUT, Suspensions


class RecordedControls:
    """Controls that record what is announced, and do nothing else."""

    list_version = 3

    def __init__(self) -> None:
        self.announced: list[str] = []

    def start_command(self, name: str, *arguments: str) -> None:
        raise AssertionError((name, *arguments))

    def send_commuter(self, uid: bytes, outcome: str, *, report: bool) -> None:
        raise AssertionError((uid, outcome, report))

    def let_one_come(self) -> None: ...

    def cut(self) -> None: ...

    def restore(self) -> None: ...

    def announce(self, text: str) -> None:
        self.announced.append(text)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (0, "5 passengers noticed nothing"),
        (2, "2 of 5 passengers saw a wrong outcome"),
    ],
)
def test_passengers_noticed_nothing_of_a_cut_if_the_crowd_judged_so(wrong: int, words: str) -> None:
    demo = RecordedControls()
    steps = Suspensions(demo, [])._cut()
    next(steps)
    steps.send(Event("courier", {"event": "courier", "state": "unreachable"}))
    for number in range(TAPS_CUT):
        steps.send(Event("crowd", {"event": "tap", "right": number >= wrong}))
    [announced] = demo.announced
    assert words in announced
    assert announced.startswith("the network was cut, and the courier logged it: ")
