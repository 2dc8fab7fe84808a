"""The words that Turnike's texts leave behind, each with the forms and the senses that are right.

A word is counted in every inflected form. `senses` are phrases in which the same letters are the
field's word or plain English; a match inside such a phrase is not counted. `instead` is what a
writer is shown. The column's `callers` is missing here: it was one Protocol's name, and in prose a
caller is the right actor.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One word to leave: its forms as an alternation, what to take, and its right senses."""

    forms: str
    instead: str
    senses: tuple[str, ...] = ()


# Who can be told something by the gate, and who can stand or say something.
_RIDER = r"(?:passengers?|commuters?|riders?)"
_PERSON = r"(?:passengers?|commuters?|people|persons?|riders?|operators?|technicians?|staff)"
_HELPER = r"(?:is|are|was|were|be|been|being|has|have|can|must|may|will|not|never|only|yet)"
_TEXT = r"(?:README|docs?|pages?|sections?|datasheets?|manuals?|specifications?|RFC\s+\d+)"

GLOSSARY = (
    Entry(
        "tell|tells|told|telling",
        "report, return, send, display",
        (
            # "the passenger was told" is the field's sense, also as "tells the passenger".
            rf"\b{_RIDER}\s+(?:who\s+)?(?:{_HELPER}\s+){{1,4}}told",
            rf"\b(?:tell|tells|told|telling)\s+(?:the|a|each|every|that)\s+{_RIDER}",
            r"(?:→|to)\s+told\b",  # the name of a measured interval, a key of the JSON
        ),
    ),
    Entry("hear|hears|heard|hearing", "receive"),
    Entry(
        "say|says|said|saying",
        "log, send, display, state",
        (
            r"\bthat\s+is\s+to\s+say\b",
            # A text says something, and so does a person.
            rf"(?:\.md|\b{_TEXT}|\b{_PERSON})[\"')`]*\s+say(?:s|ing)?\b",
        ),
    ),
    Entry(
        "stand|stands|stood|standing",
        "is stored, is, is listed",
        (
            rf"\b{_PERSON}\s+(?:who\s+)?(?:stand|stands|stood|standing)\b",
            r"\b(?:stand|stands|stood|standing)\s+(?:for|in\s+for)\b",  # to represent
            r"\bstand-(?:in|ins|alone|by)\b",
            r"\blong-standing\b",
        ),
    ),
    Entry("anew", "again"),
    Entry("mend|mends|mended|mending", "fix, repair"),
    Entry(
        "fare|fares|fared|faring",
        "status, result",
        (  # what a passenger pays
            r"\b(?:a|the|no|of|pay|pays|paid|free|full|reduced|collect|collects)\s+fares?\b",
            r"\bfare\s+(?:cards?|evasion|product|system|payment|collection)\b",
        ),
    ),
    Entry("awake", "available, running"),
    Entry("affair|affairs", "responsibility, task"),
    Entry("whoever|whomever|somebody|nobody", "the actor: caller, client, gate, operator"),
    Entry("doubt|doubts|doubted|doubting", "suspect", (r"\b(?:in|no|without)\s+doubt\b",)),
    Entry(r"(?:put|puts|putting)\s+(?:\w+\s+)?aside", "quarantine"),
    Entry("rubbish", "invalid"),
    Entry("mad|madly", "faulty"),
    Entry(
        "look|looks|looked|looking",
        "scan, check, verify",
        (
            r"\blook(?:s|ed|ing)?[\s-]+(?:like|as\s+if)\b",  # to resemble
            r"\blook(?:s|ed|ing)?[\s-]+up\b",  # a lookup
        ),
    ),
    Entry("town|towns", "metadata source"),
    Entry("book|books", "accepted store"),
    Entry("shelf|shelves", "list store"),
    Entry(
        "desk|desks",
        "clerk queue",
        (r"\b(?:operator's|help|service|customer|information)\s+desks?\b", r"\bdesk-\w+"),
    ),
    Entry(
        r"carriers?|courier\.py",
        "report_upload, list_sync",
        (
            r"\bcarrier\s+(?:wave|frequency)\b",  # of the radio field
            r"\bprograms/courier\.py",
        ),
    ),
    Entry(
        "office|offices",
        "home (the folder), back office (the system)",
        (r"\bback[\s-]+offices?\b",),
    ),
)

_CODE_SPAN = re.compile(r"``[^`]+``|`[^`]+`")
# Letters with an underscore, a slash, a dot or a hyphen of a name beside them are an identifier
# or a path (`put_aside`, `tests/support/city/town.py`, `turnike-office`), not a word of a sentence.
_IDENTIFIER = re.compile(
    r"\S*\w_\w\S*|\S*_\w+|--\w[\w-]*|\bturnike-\w[\w.@-]*|\w+(?:\.\w+)+\(?|[\w.<>-]*/[\w./<>*-]+"
)
# A line of an example in a docstring, up to its comment: `home = Home(folder)`.
_EXAMPLE = re.compile(r"^ {4,}(?:[\w.]+(?:, [\w.]+)* = |[\w.]+\()(?:(?!  #)[^\n])*", re.MULTILINE)
_KEEP = re.compile(r"\b(?:[\w-]+/)*(?:courier|carrier)\.py\b")


@dataclass(frozen=True, slots=True)
class Hit:
    """A word that is to be replaced: the offset at which it begins, itself, and what to take."""

    offset: int
    word: str
    instead: str


def _pattern(forms: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?:{forms})(?![\w]|-\w)", re.IGNORECASE)


_ENTRIES = tuple(
    (
        _pattern(entry.forms),
        entry,
        tuple(re.compile(sense, re.IGNORECASE) for sense in entry.senses),
    )
    for entry in GLOSSARY
)


def prose_only(text: str) -> str:
    """`text` with code, identifiers and paths blanked, so that offsets and lines stay."""
    without_code = text
    for code in (_CODE_SPAN, _EXAMPLE):
        without_code = code.sub(lambda span: re.sub(r"\S", " ", span[0]), without_code)
    return _IDENTIFIER.sub(
        lambda part: part[0] if _KEEP.search(part[0]) else re.sub(r"\S", " ", part[0]),
        without_code,
    )


def hits(text: str) -> Iterator[Hit]:
    """Every word of the glossary's left column in `text`, an entry at a time."""
    prose = prose_only(text)
    for pattern, entry, senses in _ENTRIES:
        right = [found.span() for sense in senses for found in sense.finditer(text)]
        for match in pattern.finditer(prose):
            if not any(begin <= match.start() and match.end() <= end for begin, end in right):
                yield Hit(match.start(), " ".join(match[0].split()), entry.instead)


# Words that stand for a noun, join, or help a verb. A sentence made of these alone says nothing.
_EMPTY = frozenset(
    word
    for line in (
        "it its itself they them their theirs themselves he him his she her this that these those",
        "who whom whose which what where when why how whether one ones other others another each",
        "both all any some none such same so is are was were be been being am has have had having",
        "do does did done doing can could may might must shall should will would a an the and or",
        "nor but if than then as at by for from in into of on onto off out over to up with without",
        "until not no yes only also too yet still now here there more again",
    )
    for word in line.split()
)
_SUBJECT = re.compile(
    r"(?:(?:whether|what|which|when|where|how|who|whom|whose|why|if|as|that|until|unless)\s+)?"
    r"(?:it|they|he|she)\b",
    re.IGNORECASE,
)


def is_of_pronouns(docstring: str) -> bool:
    """True for a docstring whose first sentence has a pronoun where its noun belongs.

    Either the sentence has pronouns, question words and auxiliaries alone ("All of them."), or it
    begins with a pronoun, or with a question word and a pronoun ("It was cut.", "Whether it is
    up."): there the reader has met no noun yet.
    """
    sentence = re.split(r"(?<=[.!?:])(?:\s|$)", docstring.strip(), maxsplit=1)[0]
    if _SUBJECT.match(sentence):
        return True
    words = re.findall(r"[^\W\d_]+(?:'[a-z]+)?", sentence)
    names_code = _CODE_SPAN.search(sentence) is not None
    return (
        bool(words)
        and not names_code
        and all(word.lower().removesuffix("'s") in _EMPTY for word in words)
    )
