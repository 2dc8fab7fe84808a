"""What a gate with this board cannot promise: one note for each thing that the board cannot do."""

from collections.abc import Iterator

from validator.check.finding import Finding
from validator.config import Config
from validator.lane.ports import BoardAbilities
from validator.programs.devices import board_abilities


def examine_board_limits(config: Config) -> Iterator[Finding]:
    """Name what follows for the gate; nothing for a board that can do everything."""
    for text in board_limits(board_abilities(config), config):
        yield Finding("board", "note", f"{config.board.driver}: {text}")


def board_limits(can: BoardAbilities, config: Config) -> Iterator[str]:
    """Say in one line each what the board cannot do, and what the gate therefore cannot promise."""
    if not can.confirms:
        yield (
            "it acknowledges nothing: a broken wire or a stuck relay is not noticed, and a tap that"
            " was admitted may not have opened"
        )
    if not can.passage:
        yield (
            "no passage sensor: whether a passenger went through is unknown, and several may pass"
            f" while the arms are open; {_unknown_passages(config)}"
        )
    if not can.forced:
        yield "it does not notice who goes through the locked arms: free rides are not counted"
    if not can.emergency:
        yield (
            "it does not report the emergency release: cards are decided on while the arms hang"
            " free, and the gate does not say so"
        )
    if not can.tamper:
        yield "it does not report an open housing"
    if not can.lamps and not can.picture:
        yield "it shows no outcome: a passenger sees only whether the arms open"
    elif can.lamps and not can.picture:
        yield "lamps and tones only: no words, and no date for a card that has to be matched"
    if not can.directions:
        yield (
            f"one release for both directions: passage.direction = {config.passage.direction!r} is"
            " not held by the board; wire the relay to that direction"
        )


def _unknown_passages(config: Config) -> str:
    if config.passage.same_card_after_passing == "admit":
        return "one card may pay for several people"
    return (
        "a card counts as passed once the arms lock, so a passenger who did not get through is told"
        f" to try again for {config.passage.repeat_guard_s} s"
    )
