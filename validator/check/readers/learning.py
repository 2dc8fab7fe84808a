"""Learning how a reader types, from cards whose UIDs the person knows, at a terminal."""

import select
import time
from collections.abc import Callable

from validator.lane.readers.keyboard.input_device import InputDevice
from validator.lane.readers.keyboard.learning import (
    Finding,
    Learnt,
    NextCard,
    Tried,
    Unfit,
    learn,
    parse_uid,
)
from validator.lane.readers.keyboard.lines import Line, LineMaker

CARDS_MAX = 6

__all__ = ["Learnt", "NextCard", "Unfit", "learn_reader"]


def learn_reader(
    path: str, wait_s: float, ask_uid: Callable[[str], str], say: Callable[[str], object]
) -> Finding:
    """Ask for cards until it is clear how the reader at `path` types.

    The reader is this program's alone meanwhile, so that no UID reaches a console.

    Args:
        path: the input device.
        wait_s: how long to wait for each card.
        ask_uid: asks the person for a UID with this prompt, and returns the text.
        say: prints a line to the person.

    Raises:
        OSError: the device cannot be opened, or is gone.
        NoKeysError: it is no device with digit keys.
    """
    tried: list[Tried] = []
    device = InputDevice(path)
    try:
        lines = LineMaker(device.opened_ns)
        while True:
            uid = _uid(ask_uid, say)
            _heard(device, lines, 0.0)  # what was typed before the card was asked for
            say(f"now lay that card on the reader, within {wait_s:.0f} s")
            line = _heard(device, lines, wait_s)
            tried.append(Tried(uid, line.text, line.ended) if line else Tried(uid, ""))
            finding = learn(tried)
            if not isinstance(finding, NextCard) or len(tried) >= CARDS_MAX:
                return finding
            say(finding.reason)
    finally:
        device.close()


def _uid(ask_uid: Callable[[str], str], say: Callable[[str], object]) -> bytes:
    while True:
        try:
            return parse_uid(
                ask_uid("UID of a card, in hex, as a phone or another reader shows it")
            )
        except ValueError as error:
            say(str(error))


def _heard(device: InputDevice, lines: LineMaker, limit_s: float) -> Line | None:
    """Return the first line that the reader types whole within the time, or None."""
    end_ns = time.monotonic_ns() + int(limit_s * 1e9)
    while True:
        for event in device.read():
            for line in lines.feed(event):
                if limit_s and not line.lost_keys and not line.may_lack_head:
                    return line
        now_ns = time.monotonic_ns()
        paused = lines.pause(now_ns)
        if paused is not None and limit_s and not paused.lost_keys:
            return paused
        if now_ns >= end_ns:
            return None
        due_ns = min(end_ns, lines.deadline_ns() or end_ns)
        poll = select.poll()
        poll.register(device.fileno(), select.POLLIN)
        poll.poll(max(due_ns - now_ns, 0) / 1e6)
