"""The commands publish, which makes lists public, and serve, which serves them to gates."""

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

import click
from click.core import ParameterSource

from backoffice.cli.shared import (
    a_number,
    held,
    home_option,
    now_unix_s,
    os_errors_on_one_line,
    progress,
)
from validator.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backoffice.publishing.publish_requests import Wish
    from backoffice.publishing.publisher import Outcome
    from backoffice.registry.registry import Registry

ASK_S = 1.0  # how often `--watch` reads the registry for changes: it costs a millisecond
FORGET_S = 3_600.0  # how often it deletes reports at the end of retention
TURN_S = 0.2  # how often a publisher that waits for another checks whether that has ended
SIGN_S = 60.0  # how often it checks whether to sign again, or to publish without a change
LOOPBACK = ("127.0.0.1", "::1", "localhost")
WORKERS_MAX = 64
GATES_MAX = 1_000_000


@click.command(epilog="Example: turnike-backoffice publish --home city --watch")
@home_option
@click.option("--watch", is_flag=True, help="Publish every change until a signal ends the command.")
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(0.1, 3_600),
    callback=a_number,
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="With --watch: the least time between lists. A single change is published at once.",
)
@click.option(
    "--clock-is-right",
    is_flag=True,
    help="This machine's time is right, though the last signature is more than a day old.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each list.")
def publish(
    home_folder: Path, watch: bool, every_s: float, as_json: bool, *, clock_is_right: bool
) -> None:
    """Publish what changed: the pieces that are due, the manifest that names them, and signatures.

    If a publisher watches this home, it is asked to publish now, and its result is shown.

    After a kill anywhere, gates see the list before or the list after; run it again. Without a
    change it signs again what is due, if anything. Reports at the end of retention are deleted as
    well ([reports] retention_days).
    """
    is_given = (
        click.get_current_context().get_parameter_source("every_s") is not ParameterSource.DEFAULT
    )
    if is_given and not watch:
        raise click.UsageError("--every goes with --watch; without it publish runs once")
    if clock_is_right:  # first, since a publisher that watches needs it too
        _confirm_clock(home_folder)
    with os_errors_on_one_line():
        if watch:
            with _Publishing.alone(home_folder) as publishing:
                _watch(publishing, every_s, as_json=as_json)
        is_waiting = False
        while not (
            _publish_alone(home_folder, as_json=as_json) or _hand_over(home_folder, as_json=as_json)
        ):
            if not is_waiting:
                click.echo("waiting for another publisher to finish …", err=True)
            is_waiting = True
            time.sleep(TURN_S)


def _publish_alone(home_folder: Path, *, as_json: bool) -> bool:
    """Publish. Returns False if another publisher is running."""
    from backoffice.publishing.publisher import BusyError

    try:
        with _Publishing.alone(home_folder) as publishing:
            _publish_once(publishing, as_json=as_json)
    except BusyError:
        return False
    return True


def _publish_once(publishing: "_Publishing", *, as_json: bool) -> None:
    try:
        for outcome in publishing.publish_all():
            _tell(_told(outcome), as_json=as_json)
    finally:  # also when publishing failed
        _tell_forgotten(publishing.forget(), as_json=as_json)


def _hand_over(home_folder: Path, *, as_json: bool) -> bool:
    """Let the publisher that watches publish, and show its result. Returns whether there is one.

    Raises OperatorError with the error of that publisher.
    """
    from backoffice.publishing.publish_requests import handed_over

    answer = handed_over(home_folder)
    if answer is None:
        return False
    if "error" in answer:
        raise OperatorError(answer["error"])
    for told in answer["published"]:
        _tell(told, as_json=as_json)
    if not as_json:
        click.echo("published by the publisher that watches this home")
    return True


def _confirm_clock(home_folder: Path) -> None:
    from backoffice.signing.clock import say_right

    with held(home_folder) as home:
        say_right(home, now_unix_s())


@dataclass(frozen=True, slots=True)
class _Publishing:
    """The only publisher of a home; it reads the configuration at each publication."""

    home: Path
    registry: "Registry"
    database_url: str

    @classmethod
    @contextmanager
    def alone(cls, home_folder: Path) -> "Iterator[Self]":
        """Open the home for the length of a block."""
        from backoffice.home.config import load
        from backoffice.publishing.publisher import Publisher
        from backoffice.registry.registry import Registry

        config = load(home_folder)
        with Registry.open(config.database_url) as registry, Publisher(config, registry).alone():
            yield cls(home_folder, registry, config.database_url)

    def configuration(self) -> object:
        """The version of the configuration: it differs after each time that the file is written."""
        from backoffice.home.config import FILE_NAME

        found = (self.home / FILE_NAME).stat()
        return found.st_mtime_ns, found.st_size, found.st_ino

    def is_begun(self) -> bool:
        """Whether a run was killed in the middle of a list."""
        return self.registry.publications.building() is not None

    def is_pending(self) -> bool:
        """Whether a change, or a list that was begun, waits to be published."""
        return self.registry.pending() > 0 or self.is_begun()

    def publish(self) -> "Outcome":
        """Publish, or sign again what is due. Raises OperatorError, OSError."""
        from backoffice.home.config import load
        from backoffice.publishing.publisher import Publisher
        from validator.errors import ConfigError

        config = load(self.home)
        if config.database_url != self.database_url:
            raise ConfigError("the configuration names another database: start publish again")
        with progress() as say:
            return Publisher(config, self.registry, say=say).publish(now_unix_s())

    def publish_all(self) -> "Iterator[Outcome]":
        """Publish the list that a killed run had begun, if any, and then what changed since."""
        was_begun = self.is_begun()
        yield self.publish()
        if was_begun and self.is_pending():
            yield self.publish()

    def forget(self) -> int:
        """Delete reports at the end of retention.

        Returns how many; raises OperatorError, OSError.
        """
        from backoffice.home.config import load
        from backoffice.reports.retention import forget_due

        return forget_due(load(self.home), now_unix_s())


def _watch(publishing: _Publishing, every_s: float, *, as_json: bool) -> NoReturn:
    """Publish for ever.

    An error is printed once and tried again: gates keep their list meanwhile.
    """
    from backoffice.publishing.publish_requests import Wishes

    with Wishes.heard_in(publishing.home) as wishes:
        watch = _Watch(publishing, every_s, as_json)
        asked: list[Wish] = []
        while True:
            answer = watch.publish(is_asked=bool(asked))
            for wish in asked:
                wish.answer(answer)
            watch.forget()
            asked = wishes.wait(min(ASK_S, every_s))


class _Watch:
    """The work of `publish --watch`, and when it last did what."""

    def __init__(self, publishing: _Publishing, every_s: float, as_json: bool) -> None:
        self._publishing = publishing
        self._every_s = every_s
        self._as_json = as_json
        self._wrong = ""  # the last error, until a publication succeeds
        self._published_s = self._signed_s = self._forgot_s = float("-inf")
        self._written: object = None  # the configuration of the last publication

    def publish(self, *, is_asked: bool) -> dict[str, Any]:
        """Publish or sign what is due, or in any case if a client asked.

        Returns the client's answer.
        """
        now_s = time.monotonic()
        published = []
        try:
            with os_errors_on_one_line():
                written = self._publishing.configuration()
                if is_asked or self._is_due(now_s, written):
                    self._written = written
                    for outcome in self._publishing.publish_all():
                        self._signed_s = now_s
                        published.append(_told(outcome))
                        if outcome.why:
                            self._published_s = now_s
                            _tell(published[-1], as_json=self._as_json)
                    if self._wrong:
                        click.echo("well again", err=True)
                    self._wrong = ""
        except OperatorError as error:
            self._published_s = self._signed_s = now_s
            if str(error) != self._wrong:
                self._wrong = str(error)
                again_s = min(self._every_s, SIGN_S)
                click.echo(f"{self._wrong}; trying again every {again_s:g} s", err=True)
            return {"error": str(error)}
        return {"published": published}

    def _is_due(self, now_s: float, written: object) -> bool:
        is_wanted = bool(self._wrong) or written != self._written or self._publishing.is_pending()
        return (
            now_s - self._published_s >= self._every_s and is_wanted
        ) or now_s - self._signed_s >= SIGN_S

    def forget(self) -> None:
        """Delete reports at the end of retention, each hour."""
        now_s = time.monotonic()
        if now_s - self._forgot_s < FORGET_S:
            return
        self._forgot_s = now_s
        try:
            with os_errors_on_one_line():
                _tell_forgotten(self._publishing.forget(), as_json=self._as_json)
        except OperatorError as error:
            click.echo(str(error), err=True)


def _tell_forgotten(count: int, *, as_json: bool) -> None:
    if count and as_json:
        click.echo(json.dumps({"event": "forgotten", "reports": count}))
    elif count:
        click.echo(f"{count:,} reports deleted: their retention is over")


def _told(outcome: "Outcome") -> dict[str, Any]:
    """What a run did, as --json prints it."""
    pieces = [
        {
            "rule": rule,
            "kind": piece.kind.name.lower(),
            "from": piece.from_version,
            "to": piece.to_version,
            "bytes": piece.bytes,
        }
        for rule, piece in outcome.built
    ]
    return {
        "event": "published" if outcome.why else "unchanged",
        "list_version": outcome.version,
        "why": outcome.why,
        "changes": outcome.changes,
        "pieces": pieces,
        "files": dict(outcome.files),
    }


def _tell(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(told))
        return
    version = told["list_version"]
    if not told["why"]:
        signed = f"; signed again: {', '.join(told['files'])}" if told["files"] else ""
        click.echo(f"list {version} is public, and nothing has changed{signed}")
        return
    click.echo(f"list {version} is public: {', '.join(told['why'])}")
    for piece in told["pieces"]:
        span = f"from {piece['from']}" if piece["from"] else "whole"
        click.echo(f"  {piece['rule']}: a {piece['kind']} piece, {span}, {piece['bytes']:,} bytes")


@click.command(epilog="Example: turnike-backoffice serve --home city --port 8080")
@home_option
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8080,
    show_default=True,
    help="0 takes a free one.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, WORKERS_MAX),
    default=1,
    show_default=True,
    help="How many processes; one answers some 250 gates a second. Several need PostgreSQL.",
)
@click.option(
    "--gates",
    type=click.IntRange(1, GATES_MAX),
    default=20_000,
    show_default=True,
    help="How many gates may return at once, each with a connection that it keeps.",
)
def serve(home_folder: Path, host: str, port: int, workers: int, gates: int) -> None:
    """Receive reports, send fingerprint keys, and serve the published folder.

    It answers HTTP on this machine alone.

    A city puts a web server with TLS before it, which serves the published folder itself and passes
    on what begins with /v1/, with the Host header. The first line printed is the address, for
    courier.url and upload.url.
    """
    from backoffice.home.config import load
    from backoffice.receiver.serving import listener
    from backoffice.receiver.serving import serve as serve_

    if host not in LOOPBACK:
        raise OperatorError(
            f"--host {host}: serve listens on this machine alone; put a web server with TLS"
            " before it"
        )
    with os_errors_on_one_line():
        config = load(home_folder)
        with listener(host, port) as listening:
            shown = f"[{host}]" if ":" in host else host
            address = f"http://{shown}:{listening.getsockname()[1]}/"
            serve_(
                config,
                listening,
                workers,
                say=lambda line: click.echo(line, err=True),
                ready=lambda: click.echo(address),
                gates=gates,
            )
