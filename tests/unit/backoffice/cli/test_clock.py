"""Commands that count from now: none believes a clock that jumped, went back, or was never set."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from backoffice.cli.program import main
from backoffice.home.config import load
from backoffice.home.folder import DAY_S
from backoffice.publishing.publisher import Publisher
from backoffice.registry.registry import IssuedCard, Registry
from tests.support.city.town import uid

HOUR_S = 3_600
CARD = uid(1).hex()
AHEAD = "publish --clock-is-right"
BEHIND = "later than this clock shows"


class Home:
    """A home whose first list was signed so long before now; in seconds."""

    def __init__(self, folder: Path, signed_ago_s: int) -> None:
        self.folder = folder
        assert self.run("init", str(folder), "--development", home=False).exit_code == 0
        config = load(folder)
        self.registry = Registry.open(config.database_url)
        self.registry.add_cards([IssuedCard(uid(number)) for number in range(3)])
        publisher = Publisher(config, self.registry)
        with publisher.alone():
            publisher.publish(int(time.time()) - signed_ago_s)

    def run(self, *arguments: str, home: bool = True) -> Result:
        where = ("--home", str(self.folder)) if home else ()
        return CliRunner(catch_exceptions=False).invoke(main, [*arguments, *where])


@pytest.fixture(
    params=[
        (40 * DAY_S, AHEAD),
        (DAY_S + HOUR_S, AHEAD),
        (-5 * HOUR_S, BEHIND),
        (-40 * DAY_S, BEHIND),
    ]
)
def wrong(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Home, str]]:
    """A home on a machine whose clock is wrong by the last signature, and the line about it."""
    signed_ago_s, said = request.param
    home = Home(tmp_path / "city", signed_ago_s)
    yield home, said
    home.registry.close()


def test_no_end_is_counted_from_a_wrong_clock(wrong: tuple[Home, str], tmp_path: Path) -> None:
    home, said = wrong
    ends = int(time.time()) + 10 * DAY_S
    (tmp_path / "cards.csv").write_text(f"uid,ends\n{CARD},{ends}\n")
    for command in (
        ("suspend", CARD, "--for", "4h"),
        ("suspend", CARD, "--until", str(ends)),
        ("add", "staff", CARD, "--for", "4h"),
        ("import", "suspended", str(tmp_path / "cards.csv")),
    ):
        refused = home.run(*command)
        assert (refused.exit_code, refused.stdout) == (2, ""), command
        assert said in refused.stderr
        assert refused.stderr.count("\n") == 1
    assert home.registry.pending() == 0


def test_what_has_no_end_needs_no_clock(wrong: tuple[Home, str]) -> None:
    home, _ = wrong
    assert home.run("suspend", CARD).exit_code == 0
    assert home.run("lift", CARD).exit_code == 0


def test_a_root_is_drafted_by_a_clock_that_was_set_back_and_by_none_that_jumped_ahead(
    wrong: tuple[Home, str],
) -> None:
    home, said = wrong
    drafted = home.run("rotate", "timestamp")
    assert drafted.exit_code == (2 if said == AHEAD else 0)
    if said == AHEAD:
        assert said in drafted.stderr
        assert home.run("publish", "--clock-is-right").exit_code == 0
        assert home.run("rotate", "timestamp").exit_code == 0


def test_a_clock_that_was_never_set_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "city", 0)
    monkeypatch.setattr(time, "time", lambda: 100.0)
    for command in (("publish",), ("enroll", "kadikoy-03"), ("suspend", CARD, "--for", "4h")):
        refused = home.run(*command)
        assert refused.exit_code == 2
        assert (
            refused.stderr
            == "turnike-backoffice: this machine's clock shows 1970-01-01 00:01:40 UTC: set it\n"
        )
    home.registry.close()
