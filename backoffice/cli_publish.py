"""The commands that bring lists to the gates: `publish` makes what is public, `serve` hands it out. The group they belong to is in cli.py."""

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Self

import click

from backoffice.cli_shared import OperatorError, a_number, held, home_option, now_unix_s, one_line, progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backoffice.publisher import Outcome
    from backoffice.registry import Registry

ASK_S = 1.0  # how often `--watch` asks the registry whether something changed: it costs a millisecond
FORGET_S = 3_600.0  # how often it deletes the reports whose time is over
SIGN_S = 60.0  # how often it looks whether something must be signed again, or published without a change
LOOPBACK = ("127.0.0.1", "::1", "localhost")
WORKERS_MAX = 64


@click.command(epilog="Example: turnike-backoffice publish --home city --watch")
@home_option
@click.option("--watch", is_flag=True, help="Go on until a signal comes, and publish whatever changes.")
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(0.1, 3_600),
    callback=a_number,
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="With --watch: publish at most so often. A single change, of the configuration too, is published at once.",
)
@click.option(
    "--clock-is-right",
    is_flag=True,
    help="This machine shows the right time, though the last signature is more than a day old.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each list.")
def publish(home: Path, watch: bool, every_s: float, as_json: bool, *, clock_is_right: bool) -> None:
    """Publish what changed: the pieces that are due, the manifest that names them, and signatures.

    Killed anywhere, gates see the list before or the list after; run it again. Without a change it signs again what is due, if anything.
    Reports whose time is over are deleted as well ([reports] retention_days).
    """
    if clock_is_right:  # before it is known whether another one publishes: that one goes on by it
        _say_clock_is_right(home)
    with one_line(), _Publishing.alone(home) as publishing:
        if watch:
            _watch(publishing, every_s, as_json=as_json)
        try:
            was_begun = publishing.is_begun()
            _tell(publishing.publish(), as_json=as_json)
            if was_begun and publishing.is_pending():
                # What was begun is finished as it was claimed; what changed since is the next list.
                _tell(publishing.publish(), as_json=as_json)
        finally:  # whatever is wrong with lists
            _tell_forgotten(publishing.forget(), as_json=as_json)


def _say_clock_is_right(home: Path) -> None:
    from backoffice.office_clock import say_right

    with held(home) as office:
        say_right(office, now_unix_s())


@dataclass(frozen=True, slots=True)
class _Publishing:
    """A publisher that is alone in its home, by the configuration as it is at each publication."""

    home: Path
    registry: "Registry"
    database_url: str

    @classmethod
    @contextmanager
    def alone(cls, home: Path) -> "Iterator[Self]":
        """Open the home for the length of a block."""
        from backoffice.config import load
        from backoffice.publisher import Publisher
        from backoffice.registry import Registry

        config = load(home)
        with Registry.open(config.database_url) as registry, Publisher(config, registry).alone():
            yield cls(home, registry, config.database_url)

    def configuration(self) -> object:
        """Which writing of the configuration it is: another one after each time that it is written."""
        from backoffice.config import FILE_NAME

        found = (self.home / FILE_NAME).stat()
        return found.st_mtime_ns, found.st_size, found.st_ino

    def is_begun(self) -> bool:
        """Whether a run was killed in the middle of a list."""
        return self.registry.publications.building() is not None

    def is_pending(self) -> bool:
        """Whether a change waits to be published, or a list that was begun waits to be finished."""
        return self.registry.pending() > 0 or self.is_begun()

    def publish(self) -> "Outcome":
        """Publish, or sign again what is due. Raises what can go wrong, see `one_line`."""
        from backoffice.config import ConfigError, load
        from backoffice.publisher import Publisher

        config = load(self.home)
        if config.database_url != self.database_url:
            raise ConfigError("the configuration names another database: start publish again")
        with progress() as say:
            return Publisher(config, self.registry, say=say).publish(now_unix_s())

    def forget(self) -> int:
        """Delete the reports whose time is over; how many. Raises what can go wrong, see `one_line`."""
        from backoffice.config import load
        from backoffice.retention import forget_due

        return forget_due(load(self.home), now_unix_s())


def _watch(publishing: _Publishing, every_s: float, *, as_json: bool) -> NoReturn:
    """Publish for ever. What goes wrong is told once, and tried again: gates keep the list they have meanwhile."""
    told = ""
    published_s = signed_s = forgot_s = float("-inf")
    written: object = None  # the configuration by which it was published last
    while True:
        now_s = time.monotonic()
        try:
            with one_line():
                now_written = publishing.configuration()
                is_wanted = bool(told) or now_written != written or publishing.is_pending()
                if (now_s - published_s >= every_s and is_wanted) or now_s - signed_s >= SIGN_S:
                    written = now_written
                    outcome = publishing.publish()
                    signed_s = now_s
                    if outcome.why:
                        published_s = now_s
                        _tell(outcome, as_json=as_json)
                    if told:
                        click.echo("well again", err=True)
                    told = ""
        except OperatorError as error:
            published_s = signed_s = now_s
            if error.message != told:
                told = error.message
                click.echo(f"{told}; trying again every {min(every_s, SIGN_S):g} s", err=True)
        if now_s - forgot_s >= FORGET_S:
            forgot_s = now_s
            try:
                with one_line():
                    _tell_forgotten(publishing.forget(), as_json=as_json)
            except OperatorError as error:
                click.echo(error.message, err=True)
        time.sleep(min(ASK_S, every_s))


def _tell_forgotten(count: int, *, as_json: bool) -> None:
    if count and as_json:
        click.echo(json.dumps({"event": "forgotten", "reports": count}))
    elif count:
        click.echo(f"{count:,} reports are deleted: their time is over")


def _tell(outcome: "Outcome", *, as_json: bool) -> None:
    if as_json:
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
        told = {
            "event": "published" if outcome.why else "unchanged",
            "list_version": outcome.version,
            "why": outcome.why,
            "changes": outcome.changes,
            "pieces": pieces,
            "files": dict(outcome.files),
        }
        click.echo(json.dumps(told))
        return
    if not outcome.why:
        signed = f"; signed again: {', '.join(outcome.files)}" if outcome.files else ""
        click.echo(f"list {outcome.version} is public, and nothing has changed{signed}")
        return
    click.echo(f"list {outcome.version} is public: {', '.join(outcome.why)}")
    for rule, piece in outcome.built:
        span = f"from {piece.from_version}" if piece.from_version else "whole"
        click.echo(f"  {rule}: a {piece.kind.name.lower()} piece, {span}, {piece.bytes:,} bytes")


@click.command(epilog="Example: turnike-backoffice serve --home city --port 8080")
@home_option
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8080, show_default=True, help="0 takes a free one."
)
@click.option(
    "--workers",
    type=click.IntRange(1, WORKERS_MAX),
    default=1,
    show_default=True,
    help="So many processes; one hears some 250 gates a second. More than one want PostgreSQL.",
)
def serve(home: Path, host: str, port: int, workers: int) -> None:
    """Receive the gates' reports, bring them fingerprint keys, and hand out the published folder, over HTTP on this machine.

    A city puts a web server with TLS before it: it hands out the published folder by itself, and passes on what begins with /v1/, Host header and all.
    The first line printed is the address, for courier.url and upload.url.
    """
    from backoffice.config import load
    from backoffice.serving import listener
    from backoffice.serving import serve as serve_

    if host not in LOOPBACK:
        raise OperatorError(f"--host {host}: serve is for this machine; put a web server with TLS before it")
    with one_line():
        config = load(home)
        with listener(host, port) as listening:
            shown = f"[{host}]" if ":" in host else host
            address = f"http://{shown}:{listening.getsockname()[1]}/"
            serve_(
                config,
                listening,
                workers,
                say=lambda line: click.echo(line, err=True),
                ready=lambda: click.echo(address),
            )
