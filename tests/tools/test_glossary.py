"""Which words are hits, which senses are right, and which docstrings name nothing."""

import pytest

from tools.glossary import hits, is_of_pronouns


def words(text: str) -> list[str]:
    return [hit.word for hit in hits(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The lane tells the courier what it was told.", ["tells", "told"]),
        ("What was heard and said stands there.", ["heard", "said", "stands"]),
        ("Begin anew, mend it, see how it fares.", ["anew", "mend", "fares"]),
        ("Whoever asks; somebody's key; NOBODY", ["Whoever", "somebody", "NOBODY"]),
        ("Reports are put aside, or put\n    it aside.", ["put aside", "put it aside"]),
        ("Look at the shelves", ["Look", "shelves"]),
        ("books on desks in town", ["books", "desks", "town"]),
        ("The operator is told, and tells the operator.", ["told", "tells"]),
        ("the office keeps it", ["office"]),
        ("courier.py and carrier.py", ["courier.py", "carrier"]),
        ("rubbish from a mad chip", ["rubbish", "mad"]),
        ("while awake, doubted: its affair", ["awake", "doubted", "affair"]),
    ],
)
def test_each_form_of_a_word_is_found(text: str, expected: list[str]) -> None:
    assert sorted(words(text)) == sorted(expected)


@pytest.mark.parametrize(
    "text",
    [
        "The report is on the disk before the passenger was told.",
        "A passenger who is not told goes away",
        "It tells the passenger: denied.",
        "denied → told takes 1.5 ms",
        "docs/reports.md says which; the datasheet says 5 ms; the operator says why",
        "`told` and `put_aside` and ``shelf`` are JSON keys",
        "put_aside, tests/support/city/town.py, turnike-office and --look are names",
        "the back office, the back\n    office's keys, two back offices",
        "a lookup; look up a card; it looks like a card",
        "a passenger stands in front; OK stands for ready; a stand-in",
        "fare evasion; fare cards; pay the fare",
        "in doubt it is closed; no doubt is left",
        "An example:\n\n    office = Office(desk)\n    town.look(shelf)\n",
        "understand, bookkeeping, bookmark, desktop, hearth, told-off",
        "the operator's desk; programs/courier.py",
    ],
)
def test_the_field_s_own_senses_are_right(text: str) -> None:
    assert words(text) == []


def test_the_comment_of_an_example_is_prose() -> None:
    assert words("    home = Office(desk)  # nobody waits") == ["nobody"]


def test_a_hit_has_the_offset_of_its_word() -> None:
    text = "the `said` key\nis said"
    (hit,) = hits(text)
    assert text[hit.offset :] == "said"


@pytest.mark.parametrize(
    "docstring",
    [
        "It.",
        "What it is.",
        "All of them.",
        "Until this is so.",
        "It was cut.",
        "They end with the demo.",
        "Whether it strikes this time.",
        "What it answers. Raises LaneGoneError.",
        "It:\n\n    more about the board.",
    ],
)
def test_a_docstring_without_its_noun_is_found(docstring: str) -> None:
    assert is_of_pronouns(docstring)


@pytest.mark.parametrize(
    "docstring",
    [
        "True if the fault is due at this frame.",
        "One `Report`.",
        "As `serve` does.",
        "What the chip answers.",
        "The board. It has no clock.",
        "Its port.",
        "",
    ],
)
def test_a_docstring_with_a_noun_is_left_alone(docstring: str) -> None:
    assert not is_of_pronouns(docstring)
