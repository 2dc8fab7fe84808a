"""Single keys of a terminal, without Enter and without echo."""

import os
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def single_keys(descriptor: int) -> Iterator[bool]:
    """Switch the terminal to single keys for the length of a block; Ctrl-C stays a signal.

    Yields:
        Whether it did: False without a terminal, and for a program in the background, which must
        not touch it. The terminal's settings are restored however the block ends.
    """
    if not os.isatty(descriptor) or os.tcgetpgrp(descriptor) != os.getpgrp():
        yield False
        return
    before = termios.tcgetattr(descriptor)
    changed = termios.tcgetattr(descriptor)
    changed[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(descriptor, termios.TCSADRAIN, changed)
    try:
        yield True
    finally:
        with suppress(termios.error):  # the terminal was closed, or belongs to another program
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
