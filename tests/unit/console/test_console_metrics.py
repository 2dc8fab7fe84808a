"""The metrics: Prometheus' own parser reads them, and they are the lane's own figures."""

import random
from pathlib import PurePath
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.gate.console_lane import CARDS, NOW_UNIX_S, counts, courier, status, tap
from validator.console.gate import Gate
from validator.console.lane_line import Gone
from validator.console.metrics import EDGES_NS, metrics_text

Key = tuple[str, tuple[tuple[str, str], ...]]


def gate(*sockets: str) -> Gate:
    return Gate("kadikoy-03", "0.2.0", [PurePath(socket) for socket in sockets or ("lane-1.sock",)])


def parsed(of: Gate) -> dict[Key, float]:
    samples = (
        sample
        for family in text_string_to_metric_families(metrics_text(of).decode())
        for sample in family.samples
    )
    told: dict[Key, float] = {}
    for sample in samples:
        key = (sample.name, tuple(sorted(sample.labels.items())))
        assert key not in told, "Prometheus takes nothing of an answer that has one metric twice"
        told[key] = sample.value
    return told


def one(of: Gate, name: str, **labels: str) -> float | None:
    return parsed(of).get((name, tuple(sorted({"lane": "1", **labels}.items()))))


def heard(**changes: Any) -> Gate:
    made = gate()
    made.lanes[0].take(status(**changes))
    return made


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("turnike_lane_up", {}, 1),
        ("turnike_lane_uptime_seconds", {}, 60),
        ("turnike_taps_total", {"outcome": "denied", "ground": "in table"}, 2),
        ("turnike_taps_total", {"outcome": "denied", "ground": "list missing"}, 1),
        ("turnike_taps_total", {"outcome": "try_again", "ground": ""}, 1),
        ("turnike_list_version", {}, 7),
        ("turnike_list_issued_timestamp_seconds", {}, NOW_UNIX_S - 40),
        ("turnike_list_expires_timestamp_seconds", {}, NOW_UNIX_S + 345_560),
        ("turnike_list_cards", {}, 8_260_000),
        ("turnike_list_state", {"state": "fresh"}, 1),
        ("turnike_list_state", {"state": "stale"}, 0),
        ("turnike_list_state", {"state": "corrupt"}, 0),
        ("turnike_list_state", {"state": "missing"}, 0),
        ("turnike_reports_waiting", {}, 2),
        ("turnike_reports_delivered_total", {}, 3),
        ("turnike_reports_lost_total", {}, 0),
        ("turnike_reports_rejected", {}, 0),
        ("turnike_told_before_durable_total", {}, 0),
        ("turnike_notes_dropped_total", {}, 0),
        ("turnike_device_ready", {"device": "reader"}, 1),
        ("turnike_device_ready", {"device": "board"}, 1),
        ("turnike_emergency", {}, 0),
        ("turnike_tamper", {}, 0),
        ("turnike_forced_total", {}, 0),
        ("turnike_clock_synchronised", {}, 1),
        ("turnike_disk_free_bytes", {}, 5_000_000_000),
        ("turnike_build_info", {"version": "0.1.0"}, 1),
    ],
)
def test_a_lane_s_figures_are_exported_as_they_are(
    name: str, labels: dict[str, str], value: float
) -> None:
    assert one(heard(), name, **labels) == value


@pytest.mark.parametrize(
    ("changes", "name", "labels"),
    [
        (
            {"devices": {"reader": "lost", "board": "ready"}},
            "turnike_device_ready",
            {"device": "reader"},
        ),
        ({"devices": {}}, "turnike_device_ready", {"device": "board"}),
        ({"clock_synchronised": False}, "turnike_clock_synchronised", {}),
        ({"list_state": "missing"}, "turnike_list_state", {"state": "fresh"}),
    ],
)
def test_what_is_not_well_is_zero(
    changes: dict[str, Any], name: str, labels: dict[str, str]
) -> None:
    assert one(heard(**changes), name, **labels) == 0


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("list_version", "turnike_list_version"),
        ("list_issued_unix_s", "turnike_list_issued_timestamp_seconds"),
        ("list_expires_unix_s", "turnike_list_expires_timestamp_seconds"),
        ("disk_free_bytes", "turnike_disk_free_bytes"),
    ],
)
def test_what_is_not_known_is_not_exported(field: str, name: str) -> None:
    assert one(heard(**{field: None}), name) is None


def test_histograms_are_exactly_the_lane_s() -> None:
    chance = random.Random(5)
    durations = {
        stage: [int(chance.lognormvariate(mean, 2)) for _ in range(5_000)]
        for stage, mean in (("decided", 11), ("filed", 13), ("told", 12))
    }
    made = heard()
    made.lanes[0].take(counts(durations))
    told = parsed(made)
    for stage, all_ns in durations.items():
        for edge_ns in EDGES_NS:
            key = (("lane", "1"), ("le", repr(edge_ns / 1e9)), ("stage", stage))
            assert told["turnike_stage_seconds_bucket", key] == sum(
                each <= edge_ns for each in all_ns
            )
        labels = (("lane", "1"), ("stage", stage))
        assert told["turnike_stage_seconds_count", labels] == len(all_ns)
        assert (
            sum(all_ns) <= told["turnike_stage_seconds_sum", labels] * 1e9 <= 1.0625 * sum(all_ns)
        )


def test_edges_do_not_change_with_what_was_measured() -> None:
    def edges(of: Gate) -> set[str]:
        return {
            dict(labels)["le"]
            for name, labels in parsed(of)
            if name == "turnike_stage_seconds_bucket"
        }

    few, many = heard(), heard()
    few.lanes[0].take(counts())
    many.lanes[0].take(counts({"told": [1, 5_000, 1 << 40]}))
    assert edges(few) == edges(many)
    assert len(edges(few)) == len(EDGES_NS) + 1


def test_of_a_lane_that_is_gone_only_that_is_exported() -> None:
    made = heard()
    made.lanes[0].take(counts({"told": [5_000]}))
    made.lanes[0].take(Gone("it hung up"))
    assert parsed(made) == {("turnike_lane_up", (("lane", "1"),)): 0}


def test_lanes_that_claim_one_number_do_not_spoil_the_metrics() -> None:
    made = gate("a.sock", "b.sock", "c.sock")
    made.lanes[0].take(status(lane=2))
    made.lanes[1].take(status(lane=2))
    told = parsed(made)
    assert [dict(labels)["lane"] for name, labels in told if name == "turnike_lane_up"] == [
        "2",
        "b.sock",
        "c.sock",
    ]


def test_no_metric_names_a_card_a_token_or_a_tap() -> None:
    made = heard()
    made.lanes[0].take(tap(uid=CARDS[0]))
    text = metrics_text(made).decode()
    assert not [each for each in (*CARDS, "4f1a", "token") if each in text]
    assert {name for _, labels in parsed(made) for name, _ in labels} == {
        "lane", "outcome", "ground", "state", "device", "version",
    }  # fmt: skip


def test_a_version_with_quotes_stays_one_label() -> None:
    assert one(heard(version='1"} 1 \\'), "turnike_build_info", version='1"} 1 \\') == 1


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"reports_waiting": None}, "turnike_reports_waiting"),
        ({"reports_rejected": None}, "turnike_reports_rejected"),
        ({"disk_free_bytes": None}, "turnike_disk_free_bytes"),
        ({"courier": None}, "turnike_courier_fresh"),
        ({"courier": None}, "turnike_courier_polled_timestamp_seconds"),
        ({"list_version": None}, "turnike_list_version"),
    ],
)
def test_a_figure_that_is_not_known_is_absent_and_not_0(changes: dict[str, Any], name: str) -> None:
    assert one(heard(), name) is not None
    assert one(heard(**changes), name) is None


def test_a_courier_that_fails_or_is_silent_and_a_disk_that_takes_nothing_are_metrics() -> None:
    assert one(heard(), "turnike_courier_fresh") == one(heard(), "turnike_reports_kept") == 1
    assert one(heard(courier=courier(state="disk")), "turnike_courier_fresh") == 0
    assert one(heard(courier=courier(silent=True)), "turnike_courier_fresh") == 0
    assert one(heard(reports_trouble="read-only"), "turnike_reports_kept") == 0
    assert one(heard(), "turnike_courier_polled_timestamp_seconds") == NOW_UNIX_S - 20
