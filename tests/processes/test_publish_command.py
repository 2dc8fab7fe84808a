"""`publish` and `serve` as processes.

A change is published by itself, a fixed error ends by itself, and a second publisher is refused.
"""

import fcntl
import http.client
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from backoffice.cli.program import main
from backoffice.home.config import load
from backoffice.home.folder import DAY_S
from backoffice.publishing.publisher import Publisher
from backoffice.registry.registry import IssuedCard, Registry
from tests.support.city.published_view import is_whole, view
from tests.support.city.registry_reads import set_state
from tests.support.city.town import uid
from tests.support.machine.programs import Program, program

EVERY = ("--every", "0.2")


class Home:
    """A home that was founded for development, with a few cards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.published = folder / "published"
        CliRunner(catch_exceptions=False).invoke(main, ["init", str(folder), "--development"])
        self.registry = Registry.open(load(folder).database_url)
        self.registry.add_cards([IssuedCard(uid(number)) for number in range(9)])

    def suspend(self, number: int) -> None:
        """A change."""
        set_state(self.registry, "suspended", uid(number))

    def publish(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """One run to its end."""
        command = [
            sys.executable,
            "-m",
            "backoffice",
            "publish",
            "--home",
            str(self.folder),
            *arguments,
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def watching(self) -> Program:
        """`publish --watch`."""
        return Program(
            "backoffice", "publish", "--home", str(self.folder), "--watch", "--json", *EVERY
        )


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home that has published nothing."""
    made = Home(tmp_path / "city")
    yield made
    made.registry.close()


@pytest.fixture
def watch(home: Home) -> Iterator[Program]:
    """A publisher that watches it, and has published the first list."""
    started = home.watching()
    try:
        started.event("published", list_version=1)
        yield started
    finally:
        started.close()


def said(program: Program, text: str) -> None:
    """Wait for a line on the standard error that has this in it."""
    assert program.process.stderr is not None
    for line in program.process.stderr:
        if text in line.decode():
            return
    raise AssertionError(f"{program.name} ended without printing {text!r}")


def test_publish_prints_what_it_did_in_words_and_as_json(home: Home) -> None:
    first = home.publish()
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith(
        "list 1 is public: the first list\n  suspended: a snapshot piece, whole, "
    )
    home.suspend(1)
    told = json.loads(home.publish("--json").stdout)
    assert (told["event"], told["list_version"], told["why"], told["changes"]) == (
        "published",
        2,
        ["1 changed"],
        1,
    )
    [minute, *_] = told["pieces"]
    assert (minute["rule"], minute["from"], minute["to"]) == ("suspended", 1, 2)
    assert {"manifest", "index", "timestamp.json"} <= set(told["files"])
    same = json.loads(home.publish("--json").stdout)
    assert (same["event"], same["list_version"], same["files"]) == ("unchanged", 2, {})
    assert is_whole(home.published)


def test_a_change_is_published_by_itself(home: Home, watch: Program) -> None:
    for version in (2, 3):
        home.suspend(version)
        assert watch.event("published")["list_version"] == version
    assert watch.end() in (0, -15, 143)
    assert is_whole(home.published)


def test_a_configuration_that_is_written_again_is_published_by_itself_and_a_wrong_one_is_reported(
    home: Home, watch: Program
) -> None:
    config = home.folder / "backoffice.toml"
    before = config.read_text()
    another = re.sub(
        r"(?m)^in_force_from = .*$", "in_force_from = 2031-01-15T00:00:00+03:00", before
    )
    assert another != before
    config.write_text(another)
    published = watch.event(
        "published", wait_s=50
    )  # sooner than it signs again, which is each minute
    assert (published["list_version"], published["why"]) == (2, ["the rules changed"])
    config.write_text("in_force_from = soon")
    said(watch, "backoffice.toml")
    config.write_text(before)
    published = watch.event("published", wait_s=50)
    assert (published["list_version"], published["why"]) == (3, ["the rules changed"])
    said(watch, "well again")


def test_killed_while_it_watches_the_next_one_goes_on(home: Home, watch: Program) -> None:
    home.suspend(1)
    watch.kill()
    home.suspend(2)
    with program(
        "backoffice", "publish", "--home", str(home.folder), "--watch", "--json", *EVERY
    ) as following:
        following.event("published")
        home.suspend(3)
        following.event("published")
    assert home.registry.pending() == 0
    assert is_whole(home.published)


def test_a_key_that_is_missing_is_reported_once_and_the_change_is_published_when_it_is_back(
    home: Home, watch: Program
) -> None:
    key = home.folder / "keys" / "online" / "timestamp.pem"
    away = key.rename(home.folder / "timestamp.pem")
    home.suspend(1)
    said(watch, "no key of timestamp")
    away.rename(key)
    assert watch.event("published", wait_s=50)["list_version"] == 2
    said(watch, "well again")
    assert is_whole(home.published)


def test_a_folder_that_takes_no_files_is_reported_and_the_change_is_published_when_it_does(
    home: Home, watch: Program
) -> None:
    indexes = home.published / "indexes"
    away = indexes.rename(home.folder / "indexes")
    indexes.write_bytes(b"in the way")
    home.suspend(1)
    said(watch, "indexes")
    indexes.unlink()
    away.rename(indexes)
    watch.event("published", wait_s=50)
    said(watch, "well again")
    assert is_whole(home.published)


def test_another_configuration_is_taken_up_and_a_wrong_one_is_reported(
    home: Home, watch: Program
) -> None:
    path = home.folder / "backoffice.toml"
    text = path.read_text()
    path.write_text("nonsense")
    home.suspend(1)
    said(watch, "is not TOML")
    path.write_text(re.sub(r"(?m)^reports = true", "reports = false", text, count=1))
    assert watch.event("published", wait_s=50)["why"] == ["1 changed", "the rules changed"]
    found = view(home.published)
    assert found is not None
    assert not found.manifest.rules[0].reports


def test_a_second_publisher_that_would_watch_is_sent_away(home: Home, watch: Program) -> None:
    second = home.publish("--watch")
    assert second.returncode == 2
    assert "another publisher is running" in second.stderr
    assert second.stderr.count("\n") == 1
    home.suspend(1)
    watch.event("published", list_version=2)


SELDOM = (
    "--every",
    "3600",
)  # it publishes the first list, and no other for an hour unless it is asked


def test_the_publisher_that_watches_is_asked_and_what_it_published_is_shown(home: Home) -> None:
    command = ("backoffice", "publish", "--home", str(home.folder), "--watch", "--json", *SELDOM)
    with program(*command) as watch:
        watch.event("published", list_version=1)
        home.suspend(1)
        asked = home.publish("--json")
        assert (asked.returncode, asked.stderr) == (0, "")
        told = json.loads(asked.stdout)
        assert (told["event"], told["list_version"], told["why"]) == ("published", 2, ["1 changed"])
        assert watch.event("published") == told
        home.suspend(2)
        in_words = home.publish().stdout.splitlines()
        assert in_words[0] == "list 3 is public: 1 changed"
        assert in_words[-1] == "published by the publisher that watches this home"
        assert home.publish().stdout.startswith("list 3 is public, and nothing has changed")
        key = home.folder / "keys" / "online" / "timestamp.pem"
        away = key.rename(home.folder / "timestamp.pem")
        home.suspend(3)
        wrong = home.publish()
        assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (2, "", 1)
        assert "no key of timestamp" in wrong.stderr
        away.rename(key)
        assert home.publish().stdout.startswith("list 4 is public")
    assert home.registry.pending() == 0
    assert is_whole(home.published)


def test_a_caller_of_a_publisher_that_is_killed_publishes_alone(home: Home) -> None:
    command = ("backoffice", "publish", "--home", str(home.folder), "--watch", "--json", *SELDOM)
    with program(*command) as watch:
        watch.event("published", list_version=1)
        home.suspend(1)
        watch.process.send_signal(signal.SIGSTOP)
        with program("backoffice", "publish", "--home", str(home.folder), "--json") as asks:
            watch.kill()
            assert asks.event("published")["list_version"] == 2
            assert asks.process.wait(60) == 0
    assert (home.folder / ".publisher.sock").is_socket(), "left behind, and in no one's way"
    home.suspend(2)
    with program(*command) as watch:
        watch.event("published", list_version=3)
        home.suspend(3)
        assert json.loads(home.publish("--json").stdout)["list_version"] == 4
    assert is_whole(home.published)


def test_two_that_publish_once_take_turns(home: Home) -> None:
    with (home.folder / ".publisher").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with program("backoffice", "publish", "--home", str(home.folder), "--json") as second:
            said(second, "waiting for another publisher to finish")
            fcntl.flock(held, fcntl.LOCK_UN)
            assert second.event("published")["list_version"] == 1
            assert second.process.wait(60) == 0


def test_a_home_may_lie_deeper_than_the_name_of_a_socket(tmp_path: Path) -> None:
    deep = Home(tmp_path.joinpath(*["a" * 60] * 3, "city"))
    command = ("backoffice", "publish", "--home", str(deep.folder), "--watch", "--json", *SELDOM)
    with program(*command) as watch:
        watch.event("published", list_version=1)
        deep.suspend(1)
        assert json.loads(deep.publish("--json").stdout)["list_version"] == 2
    deep.registry.close()


def test_serve_hands_out_what_is_published_and_takes_up_the_next(home: Home) -> None:
    with program("backoffice", "serve", "--home", str(home.folder), "--port", "0") as server:
        address = urlsplit(server.first_line())
        line = http.client.HTTPConnection(str(address.hostname), address.port or 0, timeout=90)

        def ask(path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
            line.request(method, path, headers=headers)
            answer = line.getresponse()
            return answer.status, answer.read()

        assert ask("/metadata/timestamp.json")[0] == 404
        home.publish()
        status, first = ask("/metadata/timestamp.json")
        assert (status, first) == (
            200,
            (home.published / "metadata" / "timestamp.json").read_bytes(),
        )
        assert ask("/metadata/timestamp.json", "HEAD") == (200, b"")
        home.suspend(1)
        home.publish()
        assert ask("/metadata/timestamp.json")[1] != first
        [piece, *_] = (home.published / "segments").iterdir()
        assert ask(f"/segments/{piece.name}", Range="bytes=100-") == (206, piece.read_bytes()[100:])
        for hidden in (
            "/backoffice.toml",
            "/../backoffice.toml",
            "/segments/../../backoffice.toml",
            "/.hold",
        ):
            assert ask(hidden)[0] == 404
        line.close()
        assert server.end() == 0


def test_serve_is_for_this_machine_alone(home: Home) -> None:
    everywhere = "0.0.0.0"  # noqa: S104
    ended = CliRunner().invoke(main, ["serve", "--home", str(home.folder), "--host", everywhere])
    assert ended.exit_code == 2
    assert "serve listens on this machine alone" in ended.output


def published_days_ago(home: Home, days: int) -> None:
    """The first list, signed so long ago: the clock jumped ahead, or the city was off."""
    config = load(home.folder)
    publisher = Publisher(config, home.registry)
    with publisher.alone():
        publisher.publish(int(time.time()) - days * DAY_S)


def test_a_clock_that_jumped_ahead_is_one_line_until_a_person_says_that_it_is_right(
    home: Home,
) -> None:
    published_days_ago(home, 40)
    home.suspend(1)
    for arguments in ((), ("--json",)):
        refused = home.publish(*arguments)
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
        assert "turnike-backoffice publish --clock-is-right" in refused.stderr
    assert home.registry.claimed() == 1
    said = home.publish("--clock-is-right")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("list 2 is public: 1 changed")


def test_a_publisher_that_watches_refuses_a_jump_in_one_line_and_goes_on_when_a_person_has_spoken(
    home: Home,
) -> None:
    published_days_ago(home, 7)
    home.suspend(1)
    command = ("publish", "--home", str(home.folder), "--watch", "--json")
    with program("backoffice", *command, *EVERY) as watching:
        said(watching, "publish --clock-is-right; trying again every 0.2 s")
        home.publish("--clock-is-right")  # the person confirms: another clock publishes here
        assert watching.event("published", wait_s=120)["list_version"] == 2
        assert watching.process.stderr is not None
        assert watching.process.stderr.readline() == b"well again\n"
