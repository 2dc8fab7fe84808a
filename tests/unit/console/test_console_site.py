"""The console's answers: its page and no other file, the state without grounds, reading only."""

import json
from pathlib import Path, PurePath

import pytest

from tests.support.gate.console_lane import CARDS, counts, status, tap
from tests.support.web.asgi import Answered, ask
from validator.console.assets import FOLDER, TYPES, assets
from validator.console.gate import Gate
from validator.console.site import Site

ADDRESS = "http://localhost:8021"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    page = tmp_path / "page"
    (page / "vendor").mkdir(parents=True)
    (page / "status.html").write_text("<!doctype html>")
    (page / "status.js").write_text("// a script")
    (page / "vendor" / "LICENSE.txt").write_text("theirs")
    (page / "README.md").write_text("not for browsers")
    (page / "run.py").write_text("not for browsers")
    (tmp_path / "secret.txt").write_text("no part of the page")
    gate = Gate("kadikoy-03", "0.2.0", [PurePath("lane-1.sock")])
    gate.lanes[0].take(status(uid=CARDS[0]))
    gate.lanes[0].take(counts({"told": [5_000]}))
    gate.lanes[0].take(tap(uid=CARDS[0]))
    return Site(gate, assets(page))


def asked(site: Site, path: str, method: str = "GET", **headers: str) -> Answered:
    return ask(
        site,
        method,
        ADDRESS + path,
        {name.replace("_", "-"): value for name, value in headers.items()},
    )


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/", "text/html; charset=utf-8", b"<!doctype html>"),
        ("/static/status.js", "text/javascript; charset=utf-8", b"// a script"),
        ("/static/vendor/LICENSE.txt", "text/plain; charset=utf-8", b"theirs"),
        ("/?from=elsewhere", "text/html; charset=utf-8", b"<!doctype html>"),
    ],
)
def test_the_page_and_what_it_is_made_of_are_handed_out(
    site: Site, path: str, kind: str, body: bytes
) -> None:
    answered = asked(site, path)
    assert (answered.status, answered.headers["content-type"], answered.body) == (200, kind, body)
    assert answered.headers["content-length"] == str(len(body))


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static",
        "/static/../secret.txt",
        "/static/../../secret.txt",
        "/static/vendor/../../secret.txt",
        "/static/vendor/../status.js",
        "/static//status.js",
        "/static/./status.js",
        "/static/vendor",
        "/static/vendor/",
        "/static/status.js/",
        "/static/status.js\0",
        "/static/STATUS.JS",
        "/static/status.html",
        "/static/README.md",
        "/static/run.py",
        "/static/%2e%2e/secret.txt",
        "/static/..\\secret.txt",
        "/static//etc/passwd",
        "/etc/passwd",
        "//etc/passwd",
        "/../secret.txt",
        "/status.html",
        "/status.js",
        "status.js",
        "/events/",
        "/State",
        "/metrics/x",
        "/do",
        "",
        "*",
        "http://evil.example/",
    ],
)
def test_whatever_else_is_asked_for_is_not_there(site: Site, path: str) -> None:
    answered = _ask_path(site, path)
    assert (answered.status, answered.body) == (404, b"there is no such page\n")


def _ask_path(site: Site, path: str) -> Answered:
    """As a server hands it on, which a URL might tidy."""

    async def app(scope: dict[str, object], receive: object, send: object) -> None:
        await site(scope | {"path": path}, receive, send)  # type: ignore[arg-type]  # ask's own

    return ask(app, "GET", ADDRESS + "/")  # type: ignore[arg-type]  # likewise


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW", "get"]
)
@pytest.mark.parametrize(
    "path", ["/", "/events", "/state", "/day", "/metrics", "/static/status.js", "/other"]
)
def test_nothing_can_be_done_but_reading(site: Site, method: str, path: str) -> None:
    answered = asked(site, path, method)
    assert (answered.status, answered.headers["allow"]) == (405, "GET, HEAD")


def test_a_browser_that_has_the_file_is_not_sent_it_again(site: Site) -> None:
    first = asked(site, "/static/status.js")
    again = asked(site, "/static/status.js", If_None_Match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    weak = asked(site, "/static/status.js", If_None_Match=f'"other", W/{first.headers["etag"]}')
    assert weak.status == 304
    assert asked(site, "/static/status.js", If_None_Match='"other"').status == 200
    assert asked(site, "/", If_None_Match=first.headers["etag"]).status == 200


def test_state_day_and_metrics_are_sent_and_never_cached(site: Site) -> None:
    for path, kind in (
        ("/state", "application/json"),
        ("/day", "application/json"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
    ):
        answered = asked(site, path)
        assert (answered.status, answered.headers["content-type"]) == (200, kind)
        assert answered.headers["cache-control"] == "no-store"
    assert asked(site, "/state").json["lanes"][0]["status"]["taps"] == {
        "admitted": 5,
        "denied": 3,
        "try_again": 1,
    }
    assert [*asked(site, "/day").json] == ["step_s", "slots", "hour"]


def test_no_answer_names_a_card_and_none_but_the_metrics_a_ground(site: Site) -> None:
    for path in ("/", "/state", "/day", "/metrics"):
        body = asked(site, path).body.decode()
        assert not [card for card in CARDS if card in body]
        if path != "/metrics":
            assert not [
                word
                for word in ("ground", "in table", "in_table", "matched", "rule")
                if word in body
            ]


def test_the_stream_has_the_outcome_of_a_tap_and_not_its_ground(site: Site) -> None:
    page = site.pages.open()
    assert page is not None
    lane = Gate("a", "b", [PurePath("lane-4.sock")]).lanes[0]
    site.send_tap(lane, tap())
    _, data, *_ = page._waiting().decode().split("\n")
    assert json.loads(data.removeprefix("data: ")) == {
        "lane": 4,
        "tap": 9,
        "token": "4f1a",
        "outcome": "denied",
        "decided_us": 12,
        "told_us": None,
        "unix_s": 1_780_000_000,
    }


def test_a_page_that_left_makes_room(site: Site) -> None:
    for _ in range(40):
        assert asked(site, "/events").status == 200  # gone at once, as `ask` is
        assert len(site.pages) == 0


def test_every_file_of_the_page_has_a_kind_and_is_handed_out() -> None:
    made = assets()
    shipped = {file.relative_to(FOLDER).as_posix() for file in FOLDER.rglob("*") if file.is_file()}
    assert shipped == set(made), "a file of another kind is shipped, and no browser can ask for it"
    assert {f".{name.rpartition('.')[2]}" for name in made} <= set(TYPES)
