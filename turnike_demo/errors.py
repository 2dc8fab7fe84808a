"""What ends the demo before its time; each message is one line for the terminal.

DemoError                the demo could not go on: exit 1
├── StoppedError         a signal or a closed terminal stopped it: exit 128 + the signal
├── CityCommandError     a command of the back office failed
└── ScenarioError        a scripted run saw what must not happen
"""


class DemoError(Exception):
    """The demo could not go on."""


class StoppedError(DemoError):
    """The operator, or the end of the operator's terminal, stopped the demo.

    Attributes:
        code: the demo's exit code.
    """

    def __init__(self, why: str, number: int) -> None:
        """`number` is the signal that stopped it, or that would have."""
        super().__init__(why)
        self.code = 128 + number


class CityCommandError(DemoError):
    """A command of the back office failed; the message has what it printed."""


class ScenarioError(DemoError):
    """A scripted run saw what must not happen; the message has it."""
