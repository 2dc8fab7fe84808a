"""What each key of the demo's terminal does; the view's KEYS shows them."""

from typing import Protocol


class KeyControls(Protocol):
    """What keys need of the demo."""

    @property
    def network(self) -> str:
        """`up` or `cut`."""

    def start_command(self, name: str, *arguments: str) -> None:
        """Start a command of the city's; its events have the source `name`."""

    def cut(self) -> None:
        """Cut the network."""

    def restore(self) -> None:
        """Restore the network."""

    def announce(self, text: str) -> None:
        """Show a line to the operator."""

    def send_to_crowd(self, verb: str) -> None:
        """Send a verb to the crowd."""


def press(demo: KeyControls, key: str, commuter: str) -> None:
    """Do what the key does; any other key does nothing.

    Args:
        demo: does it.
        key: one character.
        commuter: the UID, in hexadecimal, of a card that the crowd does not have.
    """
    match key:
        case "q":
            demo.send_to_crowd("quit")
        case "n":
            (demo.cut if demo.network == "up" else demo.restore)()
            demo.announce(f"the network is {'restored' if demo.network == 'up' else 'cut'}")
        case "s":
            demo.announce("a commuter's card is suspended; c lets the commuter come")
            demo.start_command("suspend", "suspend", commuter)
        case "l":
            demo.announce("the commuter's suspension is lifted; c lets the commuter come")
            demo.start_command("lift", "lift", commuter)
        case "c":
            demo.announce("the commuter comes")
            demo.send_to_crowd(f"next {commuter} either true")
