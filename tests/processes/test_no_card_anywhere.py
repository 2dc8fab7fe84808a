"""No card's UID, in any form, is in what the gate of a whole demo wrote, printed or sent."""

import base64
import csv
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from backoffice.home.config import load
from backoffice.reports.store import ReportStore

LIMIT_S = 240
TAPS = 60  # the scenario runs: a suspension, a lift, a cut network
SHORT_BYTES = 4  # UIDs of MIFARE Classic: in random bytes, one comes up by chance
DRAWN = (".seg", ".wire")  # fingerprints under a drawn key
# In the demo's folder, but not the gate's: the city, the files it imported, and the crowd's cards.
NOT_THE_GATES = ("city", "cards.csv", "matched.csv", "suspended.csv", "staff.csv", "deck.jsonl")
PRINTED_BY_THE_GATE = (
    "lane.stdout",
    "lane.stderr",
    "courier.stdout",
    "courier.stderr",
    "answers",
    "watch",
    "commands",
)


def as_base64(uid: bytes) -> Iterator[bytes]:
    """Yield the UID in base64 at each offset in a longer text, without the neighbours' bits."""
    if len(uid) <= SHORT_BYTES:
        yield base64.b64encode(uid)
        return
    for before in range(3):
        first, last = (before * 8 + 5) // 6, (before + len(uid)) * 8 // 6
        for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(before) + uid + bytes(3))[first:last]


def as_text(uid: bytes) -> Iterator[bytes]:
    """Yield the UID as text, in lower case."""
    for between in ("", ":", "-", " "):
        yield (uid.hex(between) if between else uid.hex()).encode()
    yield repr(uid)[2:-1].lower().encode()
    for between in (",", ", "):
        yield between.join(str(byte) for byte in uid).encode()
    if len(uid) > SHORT_BYTES:
        yield str(int.from_bytes(uid, "big")).encode()


class Cards:
    """Finds cards in bytes."""

    def __init__(self, uids: Iterable[bytes]) -> None:
        self._exact: dict[int, set[bytes]] = defaultdict(set)
        self._lower: dict[int, set[bytes]] = defaultdict(set)
        self._long: dict[int, set[bytes]] = defaultdict(set)
        for uid in uids:
            for each in (uid, uid[::-1]):
                for form in (each, *as_base64(each)):
                    self._exact[len(form)].add(form)
                    if len(uid) > SHORT_BYTES:
                        self._long[len(form)].add(form)
                for form in as_text(each):
                    self._lower[len(form)].add(form)

    def found(self, content: bytes, *, is_drawn: bool = False) -> set[bytes]:
        """Return the forms in `content`; in random bytes, only those too long for chance."""
        exact = self._long if is_drawn else self._exact
        return _found(exact, content) | _found(self._lower, content.lower())


def _found(forms: Mapping[int, set[bytes]], content: bytes) -> set[bytes]:
    return {
        content[at : at + length]
        for length, wanted in forms.items()
        for at in range(len(content) - length + 1)
        if content[at : at + length] in wanted
    }


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run a demo; return the folder with what it left and what its processes printed."""
    folder = tmp_path_factory.mktemp("recorded")
    command = ["tests.processes.recorded_demo", str(folder), "demo"]
    options = ["--cards", "2000", "--taps", str(TAPS), "--timing", "ideal"]
    ended = subprocess.run(
        [sys.executable, "-m", *command, *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return folder


@pytest.fixture(scope="module")
def uids(recorded: Path) -> list[bytes]:
    """Return the UID of every issued card, with the deck's and the scenario's."""
    with (recorded / "demo" / "cards.csv").open() as lines:
        issued = {row["uid"] for row in csv.DictReader(lines)}
    deck = {
        json.loads(line)["uid"]
        for line in (recorded / "demo" / "deck.jsonl").read_text().splitlines()
    }
    assert len(deck) > 2_000
    return [bytes.fromhex(uid) for uid in issued | deck]


def written_by_the_gate(recorded: Path) -> dict[str, bytes]:
    """Return every file of the gate and everything it printed, by name."""
    demo, printed = recorded / "demo", recorded / "printed"
    files = [
        path
        for path in demo.rglob("*")
        if path.is_file() and path.relative_to(demo).parts[0] not in NOT_THE_GATES
    ]
    files += [printed / name for name in PRINTED_BY_THE_GATE]
    names = "\n".join(str(path) for path in files)
    return {"names of files": names.encode(), **{str(path): path.read_bytes() for path in files}}


def test_the_gate_names_no_card_in_anything_that_it_keeps_prints_or_answers(
    recorded: Path, uids: list[bytes]
) -> None:
    cards = Cards(uids)
    written = written_by_the_gate(recorded)
    found = {
        name: sorted(hits)
        for name, content in written.items()
        if (hits := cards.found(content, is_drawn=name.endswith(DRAWN)))
    }
    assert found == {}
    kinds = {Path(name).name for name in written}
    assert {"cache.db", "courier.json", "accepted.json", "validator.toml"} < kinds
    taps = [
        line
        for line in written[str(recorded / "printed" / "lane.stdout")].splitlines()
        if b'"tap"' in line
    ]
    assert len(taps) >= TAPS
    assert written[str(recorded / "printed" / "watch")].count(b'"event":"tap"') >= TAPS // 2
    assert b'"status"' in written[str(recorded / "printed" / "answers")]


def test_the_gate_names_no_card_in_anything_that_it_sends(
    recorded: Path, uids: list[bytes]
) -> None:
    with ReportStore.open(load(recorded / "demo" / "city").database_url) as store:
        rows = [dict(row) for row in store.select(0, 1 << 40)]
        statuses = [dict(row) for row in store.gate_rows()]
    assert all(row["sealed"] for row in rows)
    assert len(rows) >= 2, "at least the two of the scenario"
    assert any("lanes" in str(status["status"]) for status in statuses)
    assert Cards(uids).found(repr([rows, statuses]).encode()) == set()


@pytest.mark.parametrize(
    "leak",
    [
        lambda uid: b"\x00" + uid + b"\xff",
        lambda uid: uid.hex().encode(),
        lambda uid: b"uid=" + uid.hex().upper().encode(),
        lambda uid: uid.hex(":").upper().encode(),
        lambda uid: uid[::-1],
        lambda uid: uid[::-1].hex(" ").encode(),
        base64.b64encode,
        lambda uid: base64.b64encode(b"7 bytes" + uid + b"and more"),
        lambda uid: base64.urlsafe_b64encode(b"some bytes " + uid),
        lambda uid: repr({"uid": uid}).encode(),
        lambda uid: json.dumps(list(uid)).encode(),
        lambda uid: b"%d" % int.from_bytes(uid, "big"),
        lambda uid: b"%d" % int.from_bytes(uid, "little"),
    ],
)
def test_a_card_would_be_found_in_any_of_these_forms(leak: Callable[[bytes], bytes]) -> None:
    uid = bytes.fromhex("04a1fe07ff3b92")
    assert Cards([bytes(7), uid]).found(b"before " + leak(uid) + b" after")
    assert not Cards([bytes.fromhex("04a1fe07fe3b92")]).found(b"before " + leak(uid) + b" after")
