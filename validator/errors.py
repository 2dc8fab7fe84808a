"""The errors that more than one of the gate's programs raises or catches."""


class LaneGoneError(Exception):
    """A lane that does not answer; the message is one clear line."""
