"""The view of each gate's last status, for operators.

    for view in views(store.gate_rows(), now_unix_s):
        print(view.gate_id, view.troubles)

A stolen gate sends anything: every field is checked, and every text made safe for a terminal.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct

from validator.reports.gate_status import FRESH

SILENT_AFTER = 3  # so many missing statuses make a gate silent
# The interval of statuses, which a gate lengthens when this server was too busy.
EVERY_S = 60
EVERY_S_MAX = 900
READY = "ready"
TROUBLE_CHARACTERS_MAX = 200

_KeyId = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
_Count = Annotated[int, Meta(ge=0, lt=1 << 53)]


class _Way(Struct, frozen=True):
    """One direction of the courier: lists (`courier`) or reports (`carrier`)."""

    state: str = FRESH
    problem: str = ""


class _Lane(Struct, frozen=True):
    """A lane's status (validator/lane/clerk.py), or why there is none."""

    problem: str = ""
    list_version: _Count | None = None
    list_issued_unix_s: _Count | None = None
    list_problems: tuple[str, ...] = ()
    devices: dict[str, str] = {}
    emergency: bool = False
    tamper: bool = False
    forced: _Count = 0
    reports_waiting: _Count | None = None
    reports_refused: _Count = 0
    reports_rejected: _Count | None = None
    reports_trouble: str | None = ""


class _Status(Struct, frozen=True):
    courier: _Way = _Way()
    carrier: _Way = _Way()
    lanes: tuple[_Lane, ...] = ()
    fingerprint_keys: tuple[_KeyId, ...] | None = ()
    every_s: _Count = EVERY_S

    @property
    def silent_s(self) -> int:
        """The silence after which the gate is in trouble, in seconds."""
        return SILENT_AFTER * min(max(self.every_s, EVERY_S), EVERY_S_MAX)


class _Run(Struct, frozen=True):
    lane: Annotated[int, Meta(ge=1, le=99)] | None = None
    run_id: Annotated[str, Meta(max_length=64)] = ""


class _Runs(Struct, frozen=True):
    lanes: tuple[_Run, ...] = ()


_decoder = msgspec.json.Decoder(_Status, strict=True)
_runs = msgspec.json.Decoder(_Runs, strict=True)


class GateView(NamedTuple):
    """One gate.

    Times are Unix seconds, None if unknown; of several lanes, the oldest list counts.
    """

    gate_id: str
    enrolled_unix_s: int
    struck_off_unix_s: int | None
    heard_unix_s: int | None
    list_version: int | None
    list_issued_unix_s: int | None
    devices: tuple[Mapping[str, str], ...]
    reports_waiting: int | None
    """Of all lanes; None if one of them does not report it."""
    troubles: tuple[str, ...]
    fingerprint_keys: tuple[str, ...] | None
    """The ids of its keys; None if it cannot read its folder of keys."""


def views(rows: Iterable[Mapping[str, Any]], now_unix_s: int) -> Iterator[GateView]:
    """The view of each row of ReportStore.gate_rows."""
    return (_view(row, now_unix_s) for row in rows)


def lane_runs(status: str | None) -> dict[int, str]:
    """The lanes that a gate's status names, with the run of each; {} for a status without any."""
    try:
        lanes = _runs.decode(status or "{}").lanes
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}
    return {each.lane: each.run_id for each in lanes if each.lane is not None and each.run_id}


def span(seconds: int) -> str:
    """A span of time for people, such as "10 min"."""
    for unit_s, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds // unit_s} {name}"
    return f"{max(seconds, 0)} s"


def shown(text: str) -> str:
    """A gate's text, safe for a terminal: one line, without characters that move a cursor."""
    return "".join(each if each.isprintable() else "?" for each in text)[:TROUBLE_CHARACTERS_MAX]


def _view(row: Mapping[str, Any], now_unix_s: int) -> GateView:
    heard_unix_s, is_off = row["received_unix_s"], row["struck_off_unix_s"] is not None
    troubles: list[str] = []
    status = _Status()
    if heard_unix_s is not None and not is_off:
        try:
            status = _decoder.decode(row["status"])
        except (msgspec.MsgspecError, ValueError, RecursionError):
            troubles.append("its status cannot be read")
        if now_unix_s - heard_unix_s >= status.silent_s:
            troubles.insert(0, f"silent for {span(now_unix_s - heard_unix_s)}")
        elif heard_unix_s - now_unix_s >= status.silent_s:  # else it would not be silent until then
            ahead = span(heard_unix_s - now_unix_s)
            troubles.insert(0, f"no status since the clock here ran {ahead} ahead")
    troubles += _troubles(status)
    known = [lane for lane in status.lanes if lane.list_version is not None]
    oldest = min(known, key=lambda lane: lane.list_version or 0, default=_Lane())
    return GateView(
        shown(row["gate_id"]),
        row["enrolled_unix_s"],
        row["struck_off_unix_s"],
        heard_unix_s,
        oldest.list_version,
        oldest.list_issued_unix_s,
        tuple(
            {shown(name): shown(state) for name, state in lane.devices.items()}
            for lane in status.lanes
        ),
        _waiting(status.lanes),
        tuple(map(shown, troubles)),
        status.fingerprint_keys,
    )


def _waiting(lanes: Sequence[_Lane]) -> int | None:
    known = [lane.reports_waiting for lane in lanes if lane.reports_waiting is not None]
    return sum(known) if lanes and len(known) == len(lanes) else None


def _troubles(status: _Status) -> Iterator[str]:
    for name, way in (("lists", status.courier), ("reports", status.carrier)):
        if way.problem or way.state != FRESH:
            yield f"{name}: {way.problem or way.state}"
    if status.fingerprint_keys is None:
        yield (
            "it cannot read its fingerprint keys; list.keys must be a folder that its courier can"
            " read"
        )
    for place, lane in enumerate(status.lanes, start=1):
        of = f"lane {place}: " if len(status.lanes) > 1 else ""
        yield from (f"{of}{trouble}" for trouble in _lane_troubles(lane))


def _lane_troubles(lane: _Lane) -> Iterator[str]:
    if lane.problem:
        yield lane.problem
        return
    if lane.list_version is None:
        yield "no list"
    yield from lane.list_problems
    yield from (f"{name} {state}" for name, state in lane.devices.items() if state != READY)
    if lane.emergency:
        yield "emergency: its arms hang free"
    if lane.tamper:
        yield "its housing is open"
    if lane.forced:
        yield f"locked arms were turned {lane.forced} times since its start"
    if lane.reports_trouble:
        yield lane.reports_trouble
    if lane.reports_refused:
        yield f"{lane.reports_refused} reports refused: its outbox was full, or its disk failed"
    if lane.reports_rejected:
        yield f"{lane.reports_rejected} reports quarantined, since they were rejected here"
