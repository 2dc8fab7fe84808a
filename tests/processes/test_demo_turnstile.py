"""The demo's turnstile over HTTP, as its page uses it, with real processes from chip to city."""

import csv
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.turnstile_rig import Page, SceneSeen, playing
from turnike_demo.city.people import TRAY

OUTCOMES = {
    "matched": "admitted",
    "suspended": "denied",
    "unmatched": "denied",
    "brief": "denied",
    "staff": "admitted",
    "phone": "unsupported",
}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One demo for all of these tests; each leaves it as it found it."""
    with playing(tmp_path_factory.mktemp("demo")) as played:
        played.until(is_at_rest)
        yield played
        assert played.end() == 0, played.printed.decode()
        assert played.result["reports_lost"] == played.result["reports_duplicated"] == 0


def is_at_rest(scene: SceneSeen) -> bool:
    """Return whether the lane serves, no passage is under way, and the reader is empty.

    The display may still show the last passenger's picture.
    """
    board, lane = scene["board"], scene["lane"]
    serves = (lane["plug"], lane["reader"], lane["board"]) == ("in", "ready", "ready")
    here = board["linked"] and board["shows"] != "out_of_service" and board["arms"] == "locked"
    return serves and here and not scene["reader"]["cards"]


def taps(scene: SceneSeen) -> int:
    """Return the number of the last tap."""
    return int(scene["tap"]["n"]) if scene["tap"] else 0


def stages(scene: SceneSeen) -> set[str]:
    """Return the names of the known stages of the last tap."""
    return {str(stage["name"]) for stage in scene["tap"]["stages"]}


def card(scene: SceneSeen, name: str) -> dict[str, object]:
    """Return a card of the tray."""
    return next(dict(each) for each in scene["tray"] if each["name"] == name)


def tapped(page: Page, verb: str, **more: object) -> SceneSeen:
    """Send a verb; return the scene in which its tap is the last, with all stages known."""
    before = taps(page.until(is_at_rest))
    assert page.do(verb, **more) == (204, "")
    # Reader, lane and board have a pipe each, so their lines may be read in any order.
    seen = page.until(lambda scene: taps(scene) > before and {"radio", "wire"} <= stages(scene))
    page.until(is_at_rest)
    return seen


def outcome(page: Page, name: str) -> str:
    """Tap this card; return its outcome.

    If the reader may still remember the card, two others of which no report is made are tapped
    first: a remembered card could meet a moment without a field, and need another try.
    """
    if name in page.lately:
        for other in [each for each in ("phone", "unmatched", "matched") if each != name][:2]:
            tapped(page, "tap", card=other)
    return str(tapped(page, "tap", card=name)["tap"]["outcome"])


def received(page: Page, reports: int) -> SceneSeen:
    """Wait until the city has this many reports of the lane, and none waits."""
    return page.until(
        lambda scene: (
            scene["reports"]["city_received"] == scene["reports"]["delivered"] == reports
            and scene["reports"]["waiting"] == 0
        )
    )


def test_each_card_of_the_tray_has_its_outcome_and_every_stage(page: Page) -> None:
    before = page.until(lambda scene: card(scene, "brief")["suspended"] and is_at_rest(scene))
    for name in TRAY:
        seen = tapped(page, "tap", card=name)
        tap = seen["tap"]
        assert (name, tap["outcome"]) == (name, OUTCOMES[name])
        assert [stage["name"] for stage in tap["stages"]] == [
            "radio",
            "decide",
            "report",
            "tell",
            "wire",
        ]
        assert tap["total_us"] == sum(stage["us"] for stage in tap["stages"]) > 0
        shown = {stage["name"]: stage["us"] for stage in tap["stages"]}
        assert (shown["report"] > 0) is (name in {"suspended", "brief"}), (
            "an admitted passenger waits for no report"
        )
    reports = before["reports"]["delivered"] + 3  # suspended, brief, and the use of a staff card
    ended = received(page, reports)
    assert ended["reports"]["city_missing"] == 0
    assert ended["board"]["passed"] == before["board"]["passed"] + 2
    assert ended["board"]["forced"] == before["board"]["forced"]
    counted = (scene["percentiles"]["decided_us"]["count"] for scene in (before, ended))
    assert next(counted) + len(TRAY) == next(counted)
    numbers = [tap["n"] for tap in ended["taps"]]
    assert numbers == sorted(numbers, reverse=True)
    assert ended["tap"]["n"] == numbers[0] + 1


def test_two_cards_at_once_and_one_that_is_pulled_away_too_early_get_no_verdict(page: Page) -> None:
    assert tapped(page, "clash")["tap"]["outcome"] == "try_again"
    before = page.until(is_at_rest)
    assert page.do("pull_early") == (204, "")
    after = page.until(
        lambda scene: scene["reader"]["left_early"] == before["reader"]["left_early"] + 1
    )
    assert after["tap"] == before["tap"]
    assert outcome(page, "matched") == "admitted", "presented again, it counts"


def test_a_card_that_is_left_lying_is_one_tap_and_lies_there_until_it_is_taken(page: Page) -> None:
    assert page.do("take") == (409, "no_card")
    before = taps(page.until(is_at_rest))
    assert page.do("lay", card="unmatched") == (204, "")
    page.until(lambda scene: scene["reader"]["cards"] == ["unmatched"] and taps(scene) > before)
    assert page.do("tap", card="unmatched") == (409, "card_lies")
    assert page.do("take") == (204, "")
    assert taps(page.until(is_at_rest)) == before + 1


def test_an_impatient_hand_shows_its_card_again_and_the_gate_is_not_confused(page: Page) -> None:
    before = page.until(is_at_rest)
    for verb in ("tap", "tap", "lay", "tap", "clash", "pull_early", "tap"):
        named = {"card": "unmatched"} if verb in {"tap", "lay"} else {}
        assert page.do(verb, **named)[0] in {204, 409}
    page.until(lambda scene: taps(scene) > taps(before))  # before that, none may have been read
    page.do("take")
    settled = page.until(is_at_rest)
    # On a slow machine events of these verbs come only now; those of the last card come last.
    assert page.do("tap", card="matched") == (204, "")
    page.until(
        lambda scene: (
            taps(scene) > taps(settled)
            and scene["tap"]["outcome"] == "admitted"
            and scene["board"]["passed"] == settled["board"]["passed"] + 1
        )
    )
    assert outcome(page, "unmatched") == "denied"


def test_suspended_in_the_city_a_card_is_refused_and_reinstated_it_is_admitted(page: Page) -> None:
    assert page.do("suspend", card="matched") == (204, "")
    assert page.do("suspend", card="matched") == (409, "city_is_busy")
    page.until(
        lambda scene: card(scene, "matched") | {"ends_unix_s": None} == standing("matched", True)
    )
    assert outcome(page, "matched") == "denied"
    assert page.do("suspend", card="matched") == (409, "is_so")
    assert page.do("reinstate", card="matched") == (204, "")
    page.until(lambda scene: card(scene, "matched") == standing("matched", False))
    assert outcome(page, "matched") == "admitted"
    assert page.do("suspend", card="phone") == (409, "no_list_can_name_it")


def programs(page: Page) -> dict[int, str]:
    """Return the demo's own programs by their process ids."""
    running = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(page.process.pid)],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = (line.split(None, 1) for line in running.stdout.splitlines())
    return {int(pid): args for pid, args in lines if not args.startswith("ps ")}


def test_a_request_at_the_city_starts_no_program_and_is_timed(page: Page) -> None:
    before = programs(page)
    assert sum(" backoffice " in args for args in before.values()) == 3, (
        "server, publisher, and one for all else"
    )
    for verb, more in (("suspend", {"card": "staff"}), ("reinstate", {"card": "staff"})):
        version = page.until(is_at_rest)["list"]["version"]
        assert page.do(verb, **more) == (204, "")
        page.until(lambda scene: card(scene, "staff")["asked"])
        seen = page.until(lambda scene: card(scene, "staff")["asked"] is None)
        followed = seen["followed"]["card"]
        assert (followed["name"], followed["list_version"]) == ("staff", seen["list"]["version"])
        assert seen["list"]["version"] > version
        assert followed["took_ms"] > 0

    def past(scene: SceneSeen) -> bool:
        return bool(scene["cut_off"]["in_force"])

    def ahead(scene: SceneSeen) -> bool:
        return not past(scene)

    for in_force in (False, True):
        assert page.do("cut_off", in_force=in_force) == (204, "")
        seen = page.until(past if in_force else ahead)
        assert seen["followed"]["cut_off"]["list_version"] == seen["list"]["version"]
    assert programs(page) == before


def test_a_cut_network_ends_no_program_and_taps_with_a_verdict_are_counted(
    page: Page,
) -> None:
    before = programs(page)
    assert page.do("network", up=False) == (204, "")
    page.until(lambda scene: scene["courier"] == "unreachable")
    assert programs(page) == before
    assert outcome(page, "suspended") == "denied"
    assert tapped(page, "clash")["tap"]["outcome"] == "try_again"
    cut = page.until(lambda scene: scene["reports"]["waiting"] == 1)["facts"]["cut"]
    assert (cut["decided"], cut["waited"]) == (1, None), "two cards at once were no verdict"
    assert page.do("network", up=True) == (204, "")
    page.until(lambda scene: scene["reports"]["waiting"] == 0 and scene["courier"] == "fresh")
    assert page.until(bool)["facts"]["cut"]["waited"] == 1
    assert programs(page) == before


def test_the_city_knows_of_a_lost_reader_only_once_the_network_is_up(
    page: Page,
) -> None:
    assert page.do("network", up=False) == (204, "")
    page.until(lambda scene: scene["courier"] == "unreachable")
    assert page.do("reader", plugged=False) == (204, "")
    page.until(lambda scene: scene["lane"]["reader"] == "lost")
    # The city answers what it knew before the cut.
    assert page.until(lambda scene: scene["facts"]["lost"])["facts"]["lost"]["city_knows"] is False
    assert page.do("network", up=True) == (204, "")
    page.until(lambda scene: scene["facts"]["lost"]["city_knows"])
    assert page.do("reader", plugged=True) == (204, "")
    page.until(lambda scene: scene["facts"]["lost"]["took_ms"] is not None and is_at_rest(scene))


def test_what_was_on_the_disk_when_the_plug_was_pulled_is_there_when_it_is_back(page: Page) -> None:
    assert page.do("network", up=False) == (204, "")
    page.until(lambda scene: scene["courier"] == "unreachable")
    for name in ("suspended", "staff"):
        tapped(page, "tap", card=name)
    page.until(lambda scene: scene["reports"]["waiting"] == 2)
    assert page.do("plug", **{"in": False}) == (204, "")
    pulled = page.until(lambda scene: scene["lane"]["plug"] == "pulled")
    assert pulled["facts"]["pull"] == {"on_disk": 2, "kept": None, "took_ms": None}
    assert (pulled["reports"]["waiting"], pulled["list"]["version"]) == (2, None)
    assert page.do("push") == (204, "")
    forced = page.until(lambda scene: scene["board"]["forced"] > pulled["board"]["forced"])
    assert forced["facts"]["forced"]["noticed"] is False, "no lane runs that could notice"
    assert page.do("plug", **{"in": True}) == (204, "")
    back = page.until(is_at_rest)
    assert (back["facts"]["pull"]["on_disk"], back["facts"]["pull"]["kept"]) == (2, 2)
    assert back["facts"]["pull"]["took_ms"] > 0
    assert page.do("push") == (204, "")
    page.until(lambda scene: scene["facts"]["forced"]["noticed"])
    assert page.do("network", up=True) == (204, "")
    page.until(lambda scene: scene["reports"]["waiting"] == 0)


def standing(name: str, suspended: bool) -> dict[str, object]:
    return {"name": name, "suspended": suspended, "asked": None, "ends_unix_s": None}


def test_before_the_cut_off_date_an_unmatched_card_is_admitted_with_a_notice(page: Page) -> None:
    assert page.do("cut_off", in_force=False) == (204, "")
    ahead = page.until(lambda scene: scene["cut_off"]["in_force"] is False)
    assert ahead["cut_off"]["unix_s"] > ahead["now_unix_s"]
    before = taps(page.until(is_at_rest))
    assert page.do("tap", card="unmatched") == (204, "")
    shown = page.until(lambda scene: scene["board"]["shows"] == "admitted_with_notice")
    assert shown["board"]["date"]
    page.until(lambda scene: taps(scene) > before)
    assert page.do("cut_off", in_force=True) == (204, "")
    page.until(lambda scene: scene["cut_off"]["in_force"] is True)
    assert outcome(page, "unmatched") == "denied"


def test_without_a_network_and_with_its_plug_pulled_the_gate_loses_no_report(page: Page) -> None:
    reports = page.until(is_at_rest)["reports"]["city_received"]
    assert page.do("network", up=False) == (204, "")
    page.until(lambda scene: (scene["network"], scene["courier"]) == ("cut", "unreachable"))
    assert outcome(page, "suspended") == "denied"
    waiting = page.until(lambda scene: scene["reports"]["waiting"])["reports"]["waiting"]
    assert page.do("plug", **{"in": False}) == (204, "")
    pulled = page.until(lambda scene: scene["lane"]["plug"] == "pulled")
    assert (pulled["lane"]["up"], pulled["courier"]) == (False, "off")
    page.until(
        lambda scene: not scene["board"]["linked"] and scene["board"]["shows"] == "out_of_service"
    )
    assert page.do("plug", **{"in": False}) == (409, "is_so")
    assert page.do("plug", **{"in": True}) == (204, "")
    back = page.until(is_at_rest)
    assert back["reports"]["waiting"] == waiting
    assert page.do("network", up=True) == (204, "")
    page.until(lambda scene: (scene["network"], scene["courier"]) == ("up", "fresh"))
    assert received(page, reports + waiting)["reports"]["city_missing"] == 0


def test_without_its_reader_the_gate_is_out_of_service_until_it_is_plugged_in(page: Page) -> None:
    assert page.do("reader", plugged=False) == (204, "")
    page.until(
        lambda scene: (
            scene["lane"]["reader"] == "lost"
            and not scene["reader"]["plugged"]
            and scene["board"]["shows"] == "out_of_service"
        )
    )
    assert page.do("reader", plugged=False) == (409, "is_so")
    assert page.do("reader", plugged=True) == (204, "")
    assert outcome(page, "matched") == "admitted"


def test_arms_that_are_pushed_give_way_only_when_they_are_free(page: Page) -> None:
    before = page.until(is_at_rest)["board"]
    assert page.do("push") == (204, "")
    page.until(lambda scene: scene["board"]["forced"] == before["forced"] + 1)
    assert page.do("emergency", on=True) == (204, "")
    page.until(
        lambda scene: (scene["board"]["arms"], scene["board"]["emergency"]) == ("free", True)
    )
    page.until(lambda scene: scene["board"]["shows"] == "emergency")
    assert page.do("push") == (204, "")
    page.until(lambda scene: scene["board"]["walked_free"] == before["walked_free"] + 1)
    assert page.do("emergency", on=False) == (204, "")
    page.until(is_at_rest)
    assert page.do("tap", card="matched") == (204, "")
    page.until(lambda scene: scene["board"]["arms"] == "released")
    assert page.do("push") == (204, "")
    page.until(lambda scene: scene["board"]["passed"] == before["passed"] + 1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"tap",
        b"[]",
        b'{"verb":"format"}',
        b'{"verb":"tap"}',
        b'{"verb":"tap","card":"04a1b2c3d4e5f6"}',
        b'{"verb":"tap","card":"matched","uid":"04a1b2c3d4e5f6"}',
        b'{"verb":"plug","in":1}',
        b"[" * 1_000,
        b'{"verb":"' + b"x" * 5_000 + b'"}',
    ],
)
def test_what_is_no_verb_gets_one_line(page: Page, body: bytes) -> None:
    status, problem = page.post(body)
    assert status == 422
    assert problem
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"host": "evil.example"}, 421),
        ({"content-type": "text/plain"}, 415),
    ],
)
def test_another_site_s_page_can_do_nothing(
    page: Page, headers: dict[str, str], status: int
) -> None:
    before = page.until(is_at_rest)["board"]["forced"]
    assert page.post(b'{"verb":"push"}', headers)[0] == status
    assert (
        page.ask("POST", "/do", b'{"verb":"push"}', {"content-type": "application/json"})[0] == 403
    )
    assert page.ask("GET", "/events", headers={"host": "evil.example"})[0] == 421
    assert page.ask("GET", "/do")[0] == 405
    assert page.do("take")[0] == 409  # asked after it, and answered
    assert page.until(is_at_rest)["board"]["forced"] == before


def test_no_card_s_uid_is_in_anything_that_a_page_gets(page: Page) -> None:
    folder = next(page.folder.glob("turnike-demo-*"))
    with (folder / "cards.csv").open() as lines:
        uids = [row["uid"] for row in csv.DictReader(lines)]
    assert len(uids) > 1_000
    got = bytes(page.received).lower() + page.ask("GET", "/")[1]
    assert b'"brief"' in got
    assert [uid for uid in uids if uid.encode() in got] == []


def test_its_port_taken_the_page_is_found_on_another(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        demo = Page(tmp_path, "--page-port", str(port))
        try:
            assert demo.port not in {0, port}
            demo.until(is_at_rest)
            demo.do("plug", **{"in": False})
            demo.do("network", up=False)
            assert demo.end() == 0, (
                "ended in the middle, it still delivers every report of the crowd"
            )
            assert demo.result["reports_lost"] == 0
            assert list(tmp_path.iterdir()) == []
            running = subprocess.run(
                ["ps", "-eo", "args"], capture_output=True, text=True, check=True
            ).stdout
            assert str(tmp_path) not in running
        finally:
            demo.stop()
