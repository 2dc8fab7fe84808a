"""Lists at the city's true size, in wire form, signed and served; and the courier of a gate."""

import hashlib
import mmap
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from backoffice.home.steps import finished
from backoffice.signing import roles
from benchmarks.as_unit import MB
from tests.support.city.backoffice_rig import City
from tests.support.machine.programs import Line, Program, lane_config, program
from validator.ipc.courier_status import COURIER_STATUS_FILE
from validator.lists.fingerprint_keys import format_key_file, key_id
from validator.lists.manifest import (
    IndexEntry,
    Manifest,
    PieceEntry,
    RuleEntry,
    SegmentEntry,
    encode,
)
from validator.lists.piece_index import PieceIndex
from validator.lists.piece_index import encode as encode_index
from validator.lists.wire import encode as encode_wire

DAY_S = 86_400
BROUGHT_S = 600.0
COURIER_UNIT = "turnike-courier"
MEMORY_BACKED = Path("/dev/shm")  # noqa: S108  as /run on a gate; in a folder of its own below it
_CHECK_S = 0.000_2
_WATCH_S = 0.005


@dataclass
class Published:
    """A city's published folder. It begins empty, with root 1 in force."""

    folder: Path
    key: bytes
    city: City = field(init=False)
    offered: dict[str, list[PieceEntry]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.city = City.founded(self.folder, int(time.time()))
        for made in ("segments", "indexes"):
            (self.public / made).mkdir()

    @property
    def public(self) -> Path:
        """What the web server shows."""
        return self.city.home.published

    def wire(self, segment: Path, from_version: int, to_version: int) -> PieceEntry:
        """Publish a segment's wire form; no list names it yet. Returns its entry."""
        temporary = self.public / "segments" / "new"
        with (
            segment.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
            temporary.open("w+b") as out,
        ):
            built = encode_wire(mapped, out)
        temporary.rename(temporary.with_name(f"{built.sha256}.wire"))
        return PieceEntry(from_version, to_version, built.bytes, built.sha256)

    def offer(self, rule: str, segment: Path, from_version: int, to_version: int) -> None:
        """Put a segment on offer besides what is offered already."""
        self.offered.setdefault(rule, []).append(self.wire(segment, from_version, to_version))

    def publish(self, version: int, rules: tuple[RuleEntry[SegmentEntry], ...]) -> None:
        """Sign a list of this version, with the pieces on offer for its rules."""
        now_unix_s = int(time.time())
        index = encode_index(
            PieceIndex({rule.name: tuple(self.offered[rule.name]) for rule in rules})
        )
        sha256 = hashlib.sha256(index).hexdigest()
        (self.public / "indexes" / f"{sha256}.json").write_bytes(index)
        named = tuple(rule.with_files(tuple(self.offered[rule.name][:-4:-1])) for rule in rules)
        manifest = Manifest(
            version,
            now_unix_s,
            now_unix_s + 5 * DAY_S,
            named,
            index=IndexEntry(len(index), sha256),
            fingerprint_key=key_id(self.key).hex(),
        )
        finished(roles.publication_steps(self.city.home, encode(manifest), now_unix_s))


class Server:
    """The web server (benchmarks/lists/web.py)."""

    def __init__(self, process: Program) -> None:
        self.url = process.first_line()
        self._process = process

    def passed(self) -> Line:
        """Requests and bytes since the start."""
        self._process.say("")
        return self._process.event("passed")


@contextmanager
def served(public: Path) -> Iterator[Server]:
    """A web server over a published folder."""
    with program("benchmarks.lists.web", str(public)) as process:
        yield Server(process)


@dataclass(frozen=True, slots=True)
class Gate:
    """The folders of a gate; `recent` is memory-backed, as on a gate."""

    folder: Path
    recent: Path

    @property
    def lists(self) -> Path:
        """The list folder."""
        return self.folder / "lists"

    @property
    def keys(self) -> Path:
        """The folder of fingerprint keys."""
        return self.folder / "keys"


@contextmanager
def new_gate(folder: Path, key: bytes, public: Path) -> Iterator[Gate]:
    """A gate without a list, that trusts root 1 of this published folder."""
    memory = MEMORY_BACKED if MEMORY_BACKED.is_dir() else folder.parent
    with tempfile.TemporaryDirectory(prefix="turnike-bench-", dir=memory) as recent:
        gate = Gate(folder, Path(recent))
        for made in (gate.lists, gate.keys):
            made.mkdir(parents=True)
        (gate.keys / "city.key").write_bytes(format_key_file(key))
        (folder / "root.json").write_bytes((public / "metadata" / "1.root.json").read_bytes())
        yield gate


class Courier:
    """The courier's process, with the priorities of its unit. It polls at start and at a signal."""

    def __init__(self, process: Program, gate: Gate, started_ns: int) -> None:
        self.process = process
        self.gate = gate
        self.started_ns = started_ns
        """The start of the process (CLOCK_MONOTONIC ns)."""
        self.peak_own = 0.0
        """The most memory of its own in MB that `watch` saw."""
        self._proc = Path(f"/proc/{process.process.pid}")
        self._status = gate.recent / COURIER_STATUS_FILE

    def ask(self) -> int:
        """Wait until the courier sleeps, then let it poll; return the time (CLOCK_MONOTONIC ns)."""
        while not self._sleeps():
            time.sleep(_CHECK_S)
        at_ns = time.monotonic_ns()
        self.process.process.send_signal(signal.SIGHUP)
        return at_ns

    def poll(self) -> int:
        """Let the courier poll, and wait for its new status file; return the ns taken."""
        before = self._status.stat().st_ino
        asked_ns, ends_s = self.ask(), time.monotonic() + BROUGHT_S
        while self._status.stat().st_ino == before:
            if time.monotonic() > ends_s:
                raise TimeoutError("the courier did not poll")
            time.sleep(_CHECK_S)
        return time.monotonic_ns() - asked_ns

    def fresh(self, version: int) -> Line:
        """Wait until the courier holds this list; return its log line."""
        return self.process.event("courier", BROUGHT_S, state="fresh", list_version=version)

    def holds(self, version: int) -> bool:
        """True if the courier has logged by now that it holds this list. Never waits."""
        lines = self.process.catch_up()
        return any(
            (line.get("state"), line.get("list_version")) == ("fresh", version) for line in lines
        )

    def watch(self, version: int) -> Line:
        """Wait as `fresh` does, and sample the courier's memory meanwhile for `peak_own`."""
        ends_s = time.monotonic() + BROUGHT_S
        while not self.holds(version):
            if time.monotonic() > ends_s:
                raise TimeoutError(
                    f"the courier did not bring list {version}: {self.process.heard[-3:]}"
                )
            self.peak_own = max(self.peak_own, self._memory("RssAnon"))
            time.sleep(_WATCH_S)
        return self.process.heard[-1]

    def peak(self) -> float:
        """The courier's peak memory in MB, pages of mapped files included."""
        return self._memory("VmHWM")

    def written(self) -> float:
        """MB that the courier has written to the disk since its start, in whole pages."""
        lines = (self._proc / "io").read_text("ascii").splitlines()
        return int(dict(line.split(": ") for line in lines)["write_bytes"]) / MB

    def _sleeps(self) -> bool:
        return (self._proc / "stat").read_text("ascii").rpartition(")")[2].split()[0] == "S"

    def _memory(self, name: str) -> float:
        status = (self._proc / "status").read_text("utf-8")
        return int(status.partition(f"{name}:")[2].split()[0]) * 1_024 / MB


@contextmanager
def courier(gate: Gate, url: str) -> Iterator[Courier]:
    """The courier of this gate."""
    more = f'[courier]\nurl = "{url}"\nroot = "{gate.folder}/root.json"\npoll_s = 3600\n'
    config = lane_config(gate.folder, more=more)
    config.write_text(config.read_text().replace('keys = "', f'recent = "{gate.recent}"\nkeys = "'))
    command = ("benchmarks.as_unit", COURIER_UNIT, "validator", "courier", "--config", str(config))
    started_ns = time.monotonic_ns()
    with program(*command) as process:
        yield Courier(process, gate, started_ns)


@contextmanager
def gate_of(folder: Path, key: bytes, public: Path) -> Iterator[tuple[Gate, Server, Courier]]:
    """A new gate, its web server, and its courier, which fetches the first list."""
    with ExitStack() as stack:
        gate = stack.enter_context(new_gate(folder, key, public))
        server = stack.enter_context(served(public))
        yield gate, server, stack.enter_context(courier(gate, server.url))
