"""The story that the demo tells on a terminal: what it says of passengers is what the crowd has judged."""

import pytest

from turnike_demo.children import Heard
from turnike_demo.city.story import TAPS_CUT, Story


class City:
    """A world that writes down what is said, and in which nothing else happens."""

    list_version = 3

    def __init__(self) -> None:
        self.said: list[str] = []

    def city(self, name: str, *arguments: str) -> None:
        raise AssertionError((name, *arguments))

    def ask(self, uid: bytes, outcome: str, *, report: bool) -> None:
        raise AssertionError((uid, outcome, report))

    def let_come(self) -> None: ...

    def cut(self) -> None: ...

    def mend(self) -> None: ...

    def say(self, what: str) -> None:
        self.said.append(what)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (0, "5 passengers noticed nothing"),
        (2, "2 of 5 passengers saw something else than they had to"),
    ],
)
def test_without_a_network_passengers_noticed_nothing_if_the_crowd_says_so(
    wrong: int, words: str
) -> None:
    city = City()
    telling = Story(city, [])._cut()
    next(telling)
    telling.send(Heard("courier", {"event": "courier", "state": "unreachable"}))
    for number in range(TAPS_CUT):
        telling.send(Heard("crowd", {"event": "tap", "right": number >= wrong}))
    [said] = city.said
    assert words in said
    assert said.startswith("the network was cut, and the courier says so: ")
