"""What somebody at the demo's terminal does to the city, key by key (view.KEYS names them)."""

from typing import Protocol


class World(Protocol):
    """What keys need of the demo."""

    @property
    def network(self) -> str:
        """Whether it is up or cut."""

    def city(self, name: str, *arguments: str) -> None:
        """Start a command of the city's."""

    def cut(self) -> None:
        """Cut the network."""

    def mend(self) -> None:
        """Mend it."""

    def say(self, what: str) -> None:
        """Tell a person."""

    def tell_crowd(self, words: str) -> None:
        """A verb for the crowd."""


def press(world: World, key: str, commuter: str) -> None:
    """Do what this key stands for; `commuter` is the UID of somebody whom the crowd does not have."""
    match key:
        case "q":
            world.tell_crowd("quit")
        case "n":
            (world.cut if world.network == "up" else world.mend)()
            world.say(f"the network is {'mended' if world.network == 'up' else 'cut'}")
        case "s":
            world.say("a commuter's card is suspended; c lets the commuter come")
            world.city("suspend", "suspend", commuter)
        case "l":
            world.say("the commuter's suspension is lifted; c lets the commuter come")
            world.city("lift", "lift", commuter)
        case "c":
            world.say("the commuter comes")
            world.tell_crowd(f"next {commuter} either true")
