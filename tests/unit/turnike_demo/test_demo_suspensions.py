"""The story that the demo tells on a terminal: what it says of passengers is what the crowd has judged."""

import pytest

from turnike_demo.processes.events import Event
from turnike_demo.scenarios.suspensions import TAPS_CUT, Suspensions


class City:
    """A world that writes down what is said, and in which nothing else happens."""

    list_version = 3

    def __init__(self) -> None:
        self.said: list[str] = []

    def start_command(self, name: str, *arguments: str) -> None:
        raise AssertionError((name, *arguments))

    def send_commuter(self, uid: bytes, outcome: str, *, report: bool) -> None:
        raise AssertionError((uid, outcome, report))

    def let_one_come(self) -> None: ...

    def cut(self) -> None: ...

    def restore(self) -> None: ...

    def announce(self, text: str) -> None:
        self.said.append(text)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (0, "5 passengers noticed nothing"),
        (2, "2 of 5 passengers saw a wrong outcome"),
    ],
)
def test_without_a_network_passengers_noticed_nothing_if_the_crowd_says_so(
    wrong: int, words: str
) -> None:
    city = City()
    telling = Suspensions(city, [])._cut()
    next(telling)
    telling.send(Event("courier", {"event": "courier", "state": "unreachable"}))
    for number in range(TAPS_CUT):
        telling.send(Event("crowd", {"event": "tap", "right": number >= wrong}))
    [said] = city.said
    assert words in said
    assert said.startswith("the network was cut, and the courier logged it: ")
