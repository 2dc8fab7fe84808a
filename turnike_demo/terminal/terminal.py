"""Single keys of a terminal, without Enter and without showing them. The terminal is as it was afterwards, however the block ends."""

import os
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def single_keys(descriptor: int) -> Iterator[bool]:
    """Whether there is a terminal that tells each key at once, for the length of the block. Ctrl-C stays a signal."""
    if not os.isatty(descriptor) or os.tcgetpgrp(descriptor) != os.getpgrp():
        yield False  # no terminal, or somebody else's: a program in the background must not touch it
        return
    before = termios.tcgetattr(descriptor)
    changed = termios.tcgetattr(descriptor)
    changed[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(descriptor, termios.TCSADRAIN, changed)
    try:
        yield True
    finally:
        with suppress(termios.error):  # it has gone, or is somebody else's by now
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
