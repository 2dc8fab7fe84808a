"""The demo's page for tests: what is asked of it, and the scene that it sends."""

from tests.processes.turnstile_rig import Page, SceneSeen


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
        others = [each for each in ("phone", "unmatched", "matched") if each != name]
        for other in sorted(others, key=lambda each: each in page.lately)[:2]:
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
