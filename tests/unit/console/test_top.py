"""`turnike top` beside fake lanes: one picture, the same as JSON, and lanes that are not well."""

import json
from pathlib import Path

import pytest

from tests.support.gate.console_lane import CARDS, fake_lane, status_line, unheard_courier
from tests.support.machine.programs import lane_config
from validator.config import Config, load
from validator.console.faults import Fault
from validator.console.gate import Lane
from validator.console.terminal.top import top
from validator.errors import OperatorError


def config(folder: Path, *lanes: Path) -> Config:
    for name in ("lists", "keys"):
        (folder / name).mkdir(exist_ok=True)
    named = ", ".join(f'"{lane}"' for lane in lanes)
    return load(lane_config(folder, more=f"[console]\nlanes = [{named}]\n" if lanes else ""))


def shown(capsys: pytest.CaptureFixture[str], config: Config, **how: bool) -> str:
    top(config, **how)
    return capsys.readouterr().out


def test_of_a_lane_that_is_well_it_shows_what_that_rests_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with fake_lane(tmp_path / "lane-1.sock"):
        said = shown(capsys, config(tmp_path, tmp_path / "lane-1.sock"), once=True)
    assert "✓ test is well" in said
    for fact in (
        "reader     ready",
        "7, fresh, 40 s old",
        "2 waiting, 3 delivered",
        "4.7 GiB free",
        "5 admitted",
    ):
        assert fact in said
    assert not [card for card in CARDS if card in said]


def test_a_lane_that_is_not_there_is_shown_as_such(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with fake_lane(tmp_path / "lane-1.sock"):
        said = shown(
            capsys, config(tmp_path, tmp_path / "lane-1.sock", tmp_path / "lane-2.sock"), once=True
        )
    assert "lane 2: not running" in said


def test_as_json_it_prints_what_a_page_is_sent_and_no_ground(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with fake_lane(tmp_path / "lane-1.sock"):
        told = json.loads(shown(capsys, config(tmp_path, tmp_path / "lane-1.sock"), as_json=True))
    assert told["lanes"][0]["status"]["taps"] == {"admitted": 5, "denied": 3, "try_again": 1}
    assert "ground" not in json.dumps(told)


def test_without_a_socket_there_is_one_clear_line(tmp_path: Path) -> None:
    made = config(tmp_path)
    text = (
        (tmp_path / "validator.toml").read_text().replace(f'socket = "{tmp_path}/lane.sock"\n', "")
    )
    (tmp_path / "validator.toml").write_text(text)
    assert made.reports.socket
    with pytest.raises(
        OperatorError,
        match=r"^reports\.socket: not set, so no program can ask this lane; name a socket there$",
    ):
        top(load(tmp_path / "validator.toml"), once=True)


def test_a_lane_that_has_sent_nothing_is_not_well() -> None:
    assert Lane(Path("lane-1.sock")).faults == (Fault("away", why="no answer yet"),)


def test_what_is_not_known_is_shown_as_unknown_and_not_as_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = {
        "reports_waiting": None,
        "reports_rejected": None,
        "disk_free_bytes": None,
        "courier": unheard_courier(),
    }
    with fake_lane(tmp_path / "lane-1.sock") as lane:
        lane.answers = lambda _: json.dumps(status_line(**unknown)).encode() + b"\n"
        said = shown(capsys, config(tmp_path, tmp_path / "lane-1.sock"), once=True)
        told = json.loads(shown(capsys, config(tmp_path, tmp_path / "lane-1.sock"), as_json=True))
    assert "unknown number waiting" in said
    assert "courier    unknown" in said
    assert "is well" not in said
    assert "0 waiting" not in said
    assert {name: told["lanes"][0]["status"][name] for name in unknown} == unknown
