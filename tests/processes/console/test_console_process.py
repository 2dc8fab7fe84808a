"""The console as a process beside a lane: it shows the lane's figures, and outlives the lane.

No caller keeps the others from it.
"""

import json
import random
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.processes.gate_rig import Gate, gate, serving
from tests.support.gate.console_lane import (
    CARDS,
    NOW_UNIX_S,
    FakeLane,
    fake_lane,
    histogram_line,
    status_line,
    tap_line,
)
from tests.support.gate.console_process import Console, console, with_console
from tests.support.machine.programs import WAIT_S, Program, lane_config, program
from validator.ipc.client import LaneClient

RSS_KIB_MAX = 35 << 10


PAGES = 5


def test_a_tap_is_on_every_open_page_without_its_ground(
    watched: tuple[Gate, Program, Console],
) -> None:
    devices, lane, made = watched
    with made.page() as one, made.page() as other:
        for stream in (one, other):
            stream.gate(up=True)
        tapped = devices.tap(lane, devices.card("suspended"))
        assert tapped["ground"] == "in table"
        for stream in (one, other):
            shown = stream.event("tap", token=tapped["token"])
            assert shown == {
                "lane": 1,
                **{key: tapped[key] for key in ("tap", "token", "outcome", "decided_us", "unix_s")},
                "told_us": None,  # a refusal that is reported takes longer than one that is not
            }
            for word in (b"ground", b"in table", b"rule"):
                assert word not in stream.heard


def test_metrics_are_the_lane_s_own_figures(watched: tuple[Gate, Program, Console]) -> None:
    devices, lane, made = watched
    devices.tap(lane, devices.card("suspended"))
    client = LaneClient(devices.folder / "lane.sock")
    status = client.status()
    client.close()
    with made.page() as page:
        while page.gate(up=True)["status"]["told_us"]["count"] < status.told_us.count:
            pass
    metrics = made.metrics()
    one = (("lane", "1"),)
    for tap in status.taps:
        labels = {"lane": "1", "outcome": tap.outcome, "ground": tap.ground}
        assert metrics["turnike_taps_total", tuple(sorted(labels.items()))] == tap.count
    assert {
        name: metrics[name, one]
        for name in ("turnike_lane_up", "turnike_list_version", "turnike_list_cards")
    } == {
        "turnike_lane_up": 1,
        "turnike_list_version": status.list_version,
        "turnike_list_cards": status.list_cards,
    }
    assert metrics["turnike_reports_waiting", one] == status.reports_waiting
    assert metrics["turnike_device_ready", (("device", "reader"), ("lane", "1"))] == 1


def test_a_page_stays_open_through_a_lane_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    with (
        gate(tmp_path) as devices,
        console(with_console(devices.config, tmp_path / "lane.sock")) as made,
        made.page() as page,
    ):
        page.gate(up=False)
        with serving(devices) as lane:
            run_id = page.gate(up=True)["status"]["run_id"]
            lane.kill()
            gone = page.gate(up=False)
            assert gone["problem"]
            assert gone["status"]["run_id"] == run_id
        with serving(devices) as lane:
            back = page.gate(up=True)
            assert back["status"]["run_id"] != run_id
            tapped = devices.tap(lane, devices.card("matched"))
            page.event("tap", token=tapped["token"])
        page.gate(up=False)


def test_a_reader_that_is_lost_is_on_the_page(told: tuple[FakeLane, Console]) -> None:
    lane, made = told
    with made.page() as page:
        page.gate(up=True)
        lost = status_line(devices={"reader": "lost", "board": "ready"})
        lane.answers = lambda request: (
            json.dumps(lost if request == "status" else {}).encode() + b"\n"
        )
        lane.say(b'{"event":"reader","state":"lost","reason":"gone"}\n')
        while page.gate(up=True)["status"]["devices"] != {"reader": "lost", "board": "ready"}:
            pass


def test_a_lane_that_sends_garbage_is_shown_as_such_and_read_when_it_is_well(
    told: tuple[FakeLane, Console],
) -> None:
    lane, made = told
    chance = random.Random(7)
    well = lane.answers
    with made.page() as page:
        page.gate(up=True)
        for _ in range(3):
            lane.answers = lambda _: chance.randbytes(4_000) + b"\n"
            lane.say(b'{"event":"tap","token":"%s"}\n' % CARDS[0].encode())
            gone = page.gate(up=False)
            assert gone["problem"]
            lane.answers = well
            page.gate(up=True)
        assert CARDS[0].encode() not in page.heard


def test_no_card_is_anywhere_in_its_answers(watched: tuple[Gate, Program, Console]) -> None:
    devices, lane, made = watched
    with made.page() as page:
        page.gate(up=True)
        for kind in ("matched", "suspended"):
            page.event("tap", token=devices.tap(lane, devices.card(kind))["token"])
        said = page.heard + b"".join(
            made.ask(path).body for path in ("/state", "/day", "/metrics", "/")
        )
    said += json.dumps(made.program.catch_up()).encode()
    deck = [
        json.loads(line)["uid"] for line in (devices.folder / "deck.jsonl").read_text().splitlines()
    ]
    assert len(deck) > 10
    assert not [uid for uid in deck if uid.lower().encode() in said.lower()]


def test_five_pages_a_day_of_history_and_prometheus_fit_into_its_memory(tmp_path: Path) -> None:
    lane_time, taps = (
        iter(range(NOW_UNIX_S, NOW_UNIX_S + 10 * 86_400, 100)),
        iter(range(1, 1_000_000)),
    )
    heard: list[int] = []
    chance = random.Random(3)

    def busy(request: str) -> bytes:
        if request == "status":
            said: Any = status_line(unix_s=next(lane_time))
        elif request == "histograms":
            heard.extend(int(chance.lognormvariate(13, 1)) for _ in range(3))
            said = histogram_line(dict.fromkeys(("decided", "filed", "told"), heard))
        else:
            said = {"watching": True}
        tap = json.dumps(tap_line(tap=next(taps))).encode() + b"\n"
        return json.dumps(said).encode() + b"\n" + (b"" if request == "watch" else tap)

    config = with_console(lane_config(tmp_path), tmp_path / "lane.sock")
    with (
        fake_lane(tmp_path / "lane.sock", busy) as lane,
        console(config, "tests.processes.hurried_console") as made,
        ExitStack() as stack,
    ):
        pages = [stack.enter_context(made.page()) for _ in range(PAGES)]
        while True:
            for page in pages:
                page.event("gate")
            slots = made.ask("/day").json["slots"]
            assert made.ask("/metrics").status == 200
            if slots and slots[-1]["unix_s"] - slots[0]["unix_s"] >= 86_400 - 2 * 300:
                break
        assert 280 <= len(slots) <= 288
        lane.wait_for(lambda lane: lane.calls == 1)
        print(f"{made.rss_kib} KiB")  # noqa: T201 — for whoever looks
        assert made.rss_kib < RSS_KIB_MAX


def test_it_ends_when_asked_to_and_so_do_its_pages(told: tuple[FakeLane, Console]) -> None:
    _, made = told
    with made.page() as page:
        page.gate(up=True)
        assert made.program.end() == 0
        assert page.is_ended()


def test_what_an_operator_must_fix_is_one_line(
    told: tuple[FakeLane, Console], tmp_path: Path
) -> None:
    _, made = told
    taken = tmp_path / "taken.toml"
    taken.write_text(
        f'{lane_config(tmp_path).read_text()}[console]\nlisten = "127.0.0.1:{made.port}"\n'
    )
    for config, wrong in (
        (taken, f"console.listen: 127.0.0.1:{made.port}: Address already in use"),
        (
            lane_config(tmp_path),
            "there is no [console] table; config/validator.example.toml explains it",
        ),
    ):
        with program("validator", "console", "--config", str(config)) as failed:
            assert failed.process.wait(WAIT_S) == 2
            assert failed.process.stderr is not None
            assert failed.process.stderr.read().decode() == f"turnike: {wrong}\n"
