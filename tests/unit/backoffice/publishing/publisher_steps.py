"""What the tests of the publisher do and check again and again."""

from tests.support.city.published_view import View, view
from tests.support.city.publishing_rig import PublishingOffice
from tests.support.city.town import uid
from validator.errors import SourceState

CARDS = tuple(map(uid, range(8)))


def later(town: PublishingOffice, *suspended: bytes, seconds: int = 60) -> View:
    """So much later these cards are suspended, and the list is published."""
    town.now_unix_s += seconds
    for card in suspended:
        town.change("suspended", card)
    town.publish()
    return seen(town)


def seen(town: PublishingOffice) -> View:
    """What is public, whole."""
    found = view(town.published)
    assert found is not None
    return found


def spans(found: View, rule: str = "suspended") -> list[tuple[int, int]]:
    """The pieces on offer."""
    return [(entry.from_version, entry.to_version) for entry in found.index.rules[rule]]


def assert_followed(town: PublishingOffice, name: str = "a new gate") -> None:
    """A new gate gets what the registry holds."""
    gate = town.gate(name)
    assert gate.poll().state is SourceState.FRESH
    assert gate.rules is not None
    town.assert_says(gate.rules)
    gate.web.close()


def names(town: PublishingOffice) -> set[str]:
    """The published files whose names come from their content."""
    folders = ("segments", "indexes", "targets")
    return {path.name for each in folders for path in (town.published / each).iterdir()}
