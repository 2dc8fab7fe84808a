"""A back office in a folder and an operator who types commands, for tests in this process."""

import os
from pathlib import Path

from click.testing import CliRunner

from backoffice.cli.program import main
from backoffice.home.config import FILE_NAME, example
from backoffice.registry.registry import IssuedCard, Registry, State
from tests.support.city.registry_reads import members

# In memory: on a disk each command waits for its fsyncs.
SHELVES = next(filter(os.path.isdir, ["/dev/shm"]), None)  # noqa: S108
A, B, C = (bytes([4, 0x11, 0x22, 0x33, 0x44, 0x55, number]) for number in (0xA1, 0xB2, 0xC3))
NOBODY = bytes([4, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99])
NUMBER = "1234567812345678"


class Desk:
    """An operator's commands in a back office with three issued cards, A with a printed number."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / FILE_NAME).write_text(example(), encoding="utf-8")
        with self.registry() as registry:
            registry.add_cards([IssuedCard(A, int(NUMBER)), IssuedCard(B), IssuedCard(C)])

    def registry(self) -> Registry:
        return Registry.open(f"sqlite:///{self.home}/registry.db")

    def types(self, *arguments: str, code: int | tuple[int, ...] = 0) -> str:
        """Run a command; return its output. Asserts the exit code, and that no card is in it."""
        ended = CliRunner(catch_exceptions=False).invoke(
            main, arguments, env={"TURNIKE_HOME": str(self.home)}
        )
        assert ended.exit_code in (code if isinstance(code, tuple) else (code,)), ended.output
        for card in (A, B, C, NOBODY):
            assert card.hex() not in ended.output.lower().replace(":", "")
        assert NUMBER not in ended.output
        if ended.exit_code == 2:
            assert ended.stderr.count("\n") == 1, ended.stderr
        return str(ended.output)

    def file(self, name: str, content: str) -> Path:
        path = self.home / name
        path.write_text(content, encoding="utf-8")
        return path

    def members(self, rule: str = "suspended") -> list[State]:
        with self.registry() as registry:
            return list(members(registry, rule))
