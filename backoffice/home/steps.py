"""Work that is done step by step, so that a test can stop it between any two steps."""

from collections.abc import Generator
from typing import TypeVar

_ResultT = TypeVar("_ResultT")


def finished(steps: Generator[str, None, _ResultT]) -> _ResultT:
    """Do all the steps. Returns and raises what the generator does."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: _ResultT = done.value
            return result
