"""The demo's switches by its page: city, network, plug, reader, arms."""

import subprocess

from tests.processes.turnstile_rig import Page, SceneSeen
from tests.support.devices.demo_page import card, is_at_rest, outcome, received, tapped, taps


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
    assert outcome(page, "suspended") == "denied"
    assert outcome(page, "staff") == "admitted"
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
    at_rest = page.until(
        lambda scene: is_at_rest(scene) and scene["reports"]["city_received"] is not None
    )
    reports = at_rest["reports"]["city_received"]
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
