"""The demo's turnstile with each kind of USB reader, simulated at the level of its USB bytes."""

from pathlib import Path

import pytest

from tests.processes.turnstile_rig import playing
from tests.support.devices.demo_page import is_at_rest, outcome, tapped


@pytest.mark.parametrize("kind", ["rcs380", "pcsc"])
def test_the_turnstile_plays_with_a_usb_reader(tmp_path: Path, kind: str) -> None:
    with playing(tmp_path, "--reader", kind) as page:
        page.until(is_at_rest)
        assert page.until(bool)["reader_kind"] == kind
        for name, right in (
            ("matched", "admitted"),
            ("suspended", "denied"),
            ("phone", "unsupported"),
        ):
            assert outcome(page, name) == right
        assert page.do("reader", plugged=False) == (204, "")
        page.until(lambda scene: scene["lane"]["reader"] == "lost")
        assert page.do("reader", plugged=True) == (204, "")
        page.until(lambda scene: scene["lane"]["reader"] == "ready" and is_at_rest(scene))
        assert page.do("plug", **{"in": False}) == (204, "")
        page.until(lambda scene: scene["lane"]["plug"] == "pulled")
        assert page.do("plug", **{"in": True}) == (204, "")
        page.until(lambda scene: scene["lane"]["plug"] == "in" and is_at_rest(scene))
        assert outcome(page, "suspended") == "denied"
        if kind == "rcs380":
            assert tapped(page, "clash")["tap"]["outcome"] == "try_again"
