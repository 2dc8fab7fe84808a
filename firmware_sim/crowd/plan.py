"""The crowd's plan: who comes next, with which card, and which outcome is right. Pure and seeded.

A deck has the right outcome of each card. The plan adds what no deck has: phones, two cards at
once, a card pulled away too early or held for long, a passenger who is admitted and does not walk.
passenger.py plays them.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from random import Random
from typing import Literal, get_args

import msgspec

from firmware_sim.cards import parse_uid

ADMITTED = ("admitted", "admitted_with_notice")
DENIED = "denied"
VERDICTS = (*ADMITTED, DENIED)
Expected = Literal["admitted", "admitted_with_notice", "denied", "try_again", "unsupported"]
OUTCOMES = get_args(Expected)
# Of a passenger of `next`: admitted or denied, while a new list is on its way to the gate.
EITHER = "either"
ANY_VERDICT = "any_verdict"  # of a kind of the verb `either`: also admitted with a notice
KINDS_MAX = 100  # of the verb `either`
ASKED_MAX = 1_000  # passengers of `next` who have not come yet
DECK_CARDS_MAX = 1_000_000  # a deck is held in memory
MADE_UP_UID_BYTES = 7
WALK_MIN_MS, WALK_MAX_MS = 300, 900  # from the green lamp to the other side, at human pace


class Play(Enum):
    """The behaviour of a passenger."""

    PLAIN = "plain"  # presents the card, follows the display, takes it away
    PHONE = "phone"  # a phone with a random UID
    CLASH = "clash"  # two cards at once
    PULLED = "pulled"  # pulls the card away before it has answered, then presents it again
    HELD = "held"  # walks through and leaves the card on the reader
    STAYS = "stays"  # is admitted and does not walk


# Of a thousand taps; the others are PLAIN. Enough for 200 taps to have some of each, few enough
# that a run does not wait for them.
MIX_PER_MILLE = {Play.PHONE: 20, Play.CLASH: 15, Play.PULLED: 15, Play.HELD: 10, Play.STAYS: 10}

# The reader's stages at which a card leaves so early that the reader reports nothing of it.
EARLY_STAGES = ("before-anticollision", "in-anticollision", "before-select", "before-rats")


class DeckError(ValueError):
    """The deck cannot be used; the text is one line."""


class AskedError(ValueError):
    """The words after `next` are wrong; the text is one line, and may have a UID."""


@dataclass(frozen=True, slots=True)
class DeckCard:
    """One card of the deck.

    Attributes:
        uid: in hex.
        kind: any word.
        expect: the outcome that is right.
        report: whether the gate must report that outcome.
    """

    uid: str
    kind: str
    expect: Expected
    report: bool


@dataclass(frozen=True, slots=True)
class Tap:
    """One passenger.

    Attributes:
        n: counts from 1.
        play: the behaviour.
        uids: in hex; two for a clash.
        kind: of the card.
        expect: the outcome that is right, EITHER or ANY_VERDICT.
        report: whether the gate must report it.
        leaves: for PULLED, the reader's stage at which the card leaves.
        walk_after_ms: from OPEN until the passenger walks.
    """

    n: int
    play: Play
    uids: tuple[str, ...]
    kind: str
    expect: str
    report: bool
    leaves: str | None
    walk_after_ms: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A passenger of the verb `next`.

    Attributes:
        uid: in hex.
        expect: an outcome, or EITHER.
        report: whether a report is due; with EITHER, only of a denial.
    """

    uid: str
    expect: str
    report: bool


def read_asked(words: Sequence[str]) -> Asked:
    """Parse the words after the verb `next`. Raises AskedError."""
    if len(words) != len(("UID", "OUTCOME", "REPORT")):
        raise AskedError("write next UID OUTCOME REPORT")
    uid, expect, report = words
    if expect not in (*OUTCOMES, EITHER):
        raise AskedError(
            f"{expect} is not an outcome; write one of {', '.join((*OUTCOMES, EITHER))}"
        )
    if report not in {"true", "false"}:
        raise AskedError(f"{report}: whether a report is due is true or false")
    try:
        return Asked(parse_uid(uid).hex(), expect, report == "true")
    except ValueError as error:
        raise AskedError(str(error)) from error


def in_place_of(tap: Tap, asked: Asked) -> Tap:
    """Return the tap with the asked passenger in place of the planned one."""
    return replace(
        tap,
        play=Play.PLAIN,
        uids=(asked.uid,),
        kind="asked",
        expect=asked.expect,
        report=asked.report,
        leaves=None,
    )


def either_for(tap: Tap, kinds: Collection[str]) -> Tap:
    """Return the tap as it is to be judged: for a card of these kinds any verdict is right.

    A tap that must have no verdict stays as it is.
    """
    return replace(tap, expect=ANY_VERDICT) if tap.kind in kinds and tap.expect in VERDICTS else tap


def read_deck(text: str, name: str) -> list[DeckCard]:
    """Read a deck in JSON Lines; empty lines are skipped.

    Args:
        text: the deck.
        name: the file, for errors.

    Raises:
        DeckError: no cards, too many, one twice, or a wrong line; the text names the line.
    """
    cards: dict[str, DeckCard] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        card = _read_card(line, f"{name}:{number}")
        if card.uid in cards:
            raise DeckError(
                f"{name}:{number}: this card is in the deck already; remove one of the two"
            )
        cards[card.uid] = card
        if len(cards) > DECK_CARDS_MAX:
            raise DeckError(f"{name}: more than {DECK_CARDS_MAX} cards")
    if not cards:
        raise DeckError(f"{name}: no cards; write one JSON object a line")
    return list(cards.values())


def _read_card(line: str, where: str) -> DeckCard:
    try:
        card = msgspec.json.decode(line, type=DeckCard)
        return replace(card, uid=parse_uid(card.uid).hex())
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise DeckError(f"{where}: {error}") from error


def plan(deck: Sequence[DeckCard], seed: int, *, human: bool) -> Iterator[Tap]:
    """Yield passengers without end; with `human` each takes time to walk, otherwise none."""
    random = Random(seed)  # noqa: S311  (a run must repeat; nothing here is a secret)
    cards = _shuffled_without_end(deck, random)
    n = 0
    while True:
        n += 1
        walk_after_ms = random.randint(WALK_MIN_MS, WALK_MAX_MS) if human else 0
        play = _draw_play(random)
        if play is Play.PHONE:
            phone = "08" + random.randbytes(3).hex()
            yield Tap(
                n,
                play,
                (phone,),
                "phone",
                "unsupported",
                report=False,
                leaves=None,
                walk_after_ms=0,
            )
        elif play is Play.CLASH:
            pair = (_made_up(random), _made_up(random))
            yield Tap(
                n, play, pair, "clash", "try_again", report=False, leaves=None, walk_after_ms=0
            )
        else:
            yield _with_card(n, play, next(cards), random, walk_after_ms)


def _with_card(n: int, play: Play, card: DeckCard, random: Random, walk_after_ms: int) -> Tap:
    if play in {Play.HELD, Play.STAYS} and card.expect not in ADMITTED:
        play = Play.PLAIN  # only an admitted passenger can do these
    leaves = random.choice(EARLY_STAGES) if play is Play.PULLED else None
    return Tap(n, play, (card.uid,), card.kind, card.expect, card.report, leaves, walk_after_ms)


def _draw_play(random: Random) -> Play:
    drawn = random.randrange(1000)
    for play, per_mille in MIX_PER_MILLE.items():
        if drawn < per_mille:
            return play
        drawn -= per_mille
    return Play.PLAIN


def _shuffled_without_end(deck: Sequence[DeckCard], random: Random) -> Iterator[DeckCard]:
    """Yield every card once; then again and again those of which no report is due.

    A gate reports a card once in a while, however often it comes: a second round of the others
    would make the number of reports a matter of timing. A deck of only such cards is repeated.
    """
    cards = list(deck)
    random.shuffle(cards)
    yield from cards
    again = [card for card in cards if not card.report] or cards
    while True:
        random.shuffle(again)
        yield from again


def _made_up(random: Random) -> str:
    return "04" + random.randbytes(MADE_UP_UID_BYTES - 1).hex()
