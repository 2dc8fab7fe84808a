"""A finding of `turnike check`: a mark, and one line of what is wrong and what to do."""

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    `mark` is "ok", "note" (the gate serves, but needs attention) or "bad" (it could not serve).
    """

    subject: str
    mark: str
    text: str

    @property
    def fatal(self) -> bool:
        """Whether the gate could not serve because of it."""
        return self.mark == "bad"


def date(unix_s: int) -> str:
    """A moment (Unix seconds) as an operator reads it."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(unix_s))


def printable(text: str) -> str:
    """Return the text, which others may have written, on one line: `?` for control characters."""
    return "".join(character if character.isprintable() else "?" for character in text)
