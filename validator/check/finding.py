"""What `turnike check` has to say of one thing: a mark, and one line of what is wrong and how to mend it."""

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: "ok", "note" (the gate serves, but look at it) or "bad" (it could not serve)."""

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
    """The same on one line and without control characters: some of it was written by others."""
    return "".join(character if character.isprintable() else "?" for character in text)
