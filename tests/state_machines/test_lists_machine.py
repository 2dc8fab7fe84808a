"""Lists from the registry to the gate over simulated weeks, whatever happens on the way.

The publisher and the couriers are the real ones. Cards change, publishers and gates are killed
between any two steps, keys rotate, files are lost, a backup is restored. Whenever the publication
is whole, a gate that polls follows it, and its tables hold exactly what the registry held when that
list version was published.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.support.city.published_view import is_whole, named_files, view
from tests.support.city.publishing_rig import (
    MATCHED,
    STAFF,
    SUSPENDED,
    Backup,
    KilledError,
    PublishingOffice,
    SocketlessGate,
    durable_steps,
)
from tests.support.city.town import uid
from tests.support.gate.gate_courier import Gate
from tests.support.machine.rot import damaged, write_over
from validator.courier.list_sync import SyncStatus
from validator.errors import SourceState
from validator.lane.lists_in_force import ListFolder
from validator.lists.held_keys import held_keys
from validator.lists.manifest import INDEX_BYTES_MAX, MANIFEST_BYTES_MAX

if TYPE_CHECKING:
    from backoffice.publishing.publisher import Outcome

HOUR_S, DAY_S = 3_600, 86_400
GATES_MAX = 3
ROOT_RENEWED_S = 90 * DAY_S  # before it expires
# Memory, if there is some: no file here outlives a test.
SCRATCH = next(filter(os.path.isdir, ["/dev/shm"]), None)  # noqa: S108

cards = st.integers(0, 5).map(uid)
rules = st.sampled_from([SUSPENDED.name, SUSPENDED.name, MATCHED.name, STAFF.name])
ends = st.one_of(
    st.none(),
    st.sampled_from([1, 59, 61, HOUR_S, 5 * HOUR_S, DAY_S, 10 * DAY_S]),
    st.integers(1, 30 * DAY_S),
)
whiles = st.sampled_from([1, 60, 600, HOUR_S, HOUR_S, 5 * HOUR_S, DAY_S, 3 * DAY_S, 21 * DAY_S])
roles = st.lists(st.sampled_from(["targets", "snapshot", "timestamp"]), unique=True, max_size=3)
gates = st.integers(0, GATES_MAX - 1)


class ListsMachine(RuleBasedStateMachine):
    """One city with its registry and its publisher, and up to three gates."""

    @initialize()
    def found(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="lists-", dir=SCRATCH))
        self.town = PublishingOffice(self.folder)
        self.town.issue(*map(uid, range(3)))
        self.gates: list[SocketlessGate] = []
        self.lowest: dict[int, int] = {}
        self.backup: Backup | None = None
        self.numbers = count(1)
        self.publish()
        self.new_gate()

    def teardown(self) -> None:
        if hasattr(self, "town"):
            self.town.close()
            for gate in self.gates:
                gate.web.close()
            shutil.rmtree(self.folder)

    # The back office

    @rule(name=rules, card=cards, end_s=ends)
    def put_in(self, name: str, card: bytes, end_s: int | None) -> None:
        self.town.issue(card)
        self.town.change(name, card, None if end_s is None else self.town.now_unix_s + end_s)

    @rule(name=rules, card=cards)
    def take_out(self, name: str, card: bytes) -> None:
        self.town.issue(card)
        self.town.remove(name, card)

    @rule()
    def publish(self) -> None:
        was_whole = is_whole(self.town.published)
        steps = self.town.steps()
        while True:
            try:
                step = next(steps)
            except StopIteration as done:
                outcome: Outcome = done.value
                break
            assert not was_whole or view(self.town.published), (
                f"{step}: something named is not there"
            )
        seen = view(self.town.published)
        assert seen is not None
        assert seen.manifest.list_version == outcome.version
        assert seen.timestamp_expires_unix_s > self.town.now_unix_s
        assert seen.index_bytes <= INDEX_BYTES_MAX
        assert len(seen.manifest_bytes) <= MANIFEST_BYTES_MAX
        for reason in outcome.why:
            event(f"published: {reason.lstrip('0123456789 ')}")

    @rule(name=rules, card=cards, steps=st.integers(1, 50), end_s=ends, changes_again=st.booleans())
    def publisher_is_killed(
        self, name: str, card: bytes, steps: int, end_s: int | None, changes_again: bool
    ) -> None:
        self.put_in(name, card, end_s)
        was_whole = is_whole(self.town.published)
        step = self.town.publish_killed(steps)
        assert not was_whole or is_whole(self.town.published), (
            f"{step}: something named is not there"
        )
        if changes_again:
            self.take_out(name, card)
        event(f"publisher killed: {step is not None}")

    @rule(seconds=whiles)
    def time_goes_by(self, seconds: int) -> None:
        self.town.now_unix_s += seconds
        if int(self.town.city.root.expires.timestamp()) - self.town.now_unix_s < ROOT_RENEWED_S:
            self.rotate_root([])

    @rule(roles=roles)
    def rotate_root(self, roles: list[str]) -> None:
        if not is_whole(self.town.published):
            self.publish()  # else the ceremony asks to publish again
        self.town.city.rotate(*roles, now_unix_s=self.town.now_unix_s)

    @rule(prompt=st.sets(gates))
    def rotate_fingerprint_key(self, prompt: set[int]) -> None:
        self.town.rotate_fingerprint_key()
        for number in prompt:
            self.hand_out_key(number)

    @rule(number=gates)
    def hand_out_key(self, number: int) -> None:
        self.gate(number).hold(self.town.key)

    @rule(unit_s=st.sampled_from([60, 300]), with_staff=st.booleans())
    def configure(self, unit_s: int, with_staff: bool) -> None:
        suspended = type(SUSPENDED)(
            name=SUSPENDED.name, effect=SUSPENDED.effect, until_unit_s=unit_s, reports=True
        )
        self.town.rules = (suspended, *((STAFF,) if with_staff else ()), MATCHED)

    # What can be lost

    @rule(
        what=st.sampled_from(
            ["file", "file", "file", "timestamp", "everything", "fingerprints", "record"]
        ),
        place=st.integers(0, 30),
    )
    def lose(self, what: str, place: int) -> None:
        there = named_files(self.town.published)
        match what:
            case "file" if there:
                there[place % len(there)].unlink(missing_ok=True)
            case "timestamp":
                (self.town.home.metadata / "timestamp.json").unlink(missing_ok=True)
            case "everything":
                shutil.rmtree(self.town.published, ignore_errors=True)
            case "fingerprints":
                shutil.rmtree(self.town.home.folder / "fingerprints", ignore_errors=True)
            case "record":
                self.town.lose_publications()

    @rule(again=st.booleans())
    def back_up_or_restore(self, again: bool) -> None:
        if not is_whole(self.town.published):
            return  # with both lost, no record is left of the list versions that were used
        if again and self.backup is not None:
            self.town.restore(self.backup)
            event("restored")
        else:
            self.backup = self.town.back_up()

    # Gates

    def gate(self, number: int) -> SocketlessGate:
        gate = self.gates[number % len(self.gates)]
        gate.clock.boottime_s += max(0, self.town.now_unix_s - gate.clock.unix_s)
        gate.clock.unix_s = self.town.now_unix_s
        return gate

    @precondition(lambda self: len(self.gates) < GATES_MAX)
    @rule()
    def new_gate(self) -> None:
        self.gates.append(self.town.gate(f"gate-{next(self.numbers)}"))

    @rule(number=gates)
    def gate_is_replaced(self, number: int) -> None:
        place = number % len(self.gates)
        self.gates[place].web.close()
        self.gates[place] = self.town.gate(f"gate-{next(self.numbers)}")

    @rule(number=gates)
    def poll(self, number: int) -> None:
        self.polled(self.gate(number), lambda gate: gate.poll())

    @rule(number=gates)
    def publish_and_poll(self, number: int) -> None:
        self.publish()
        self.poll(number)

    @rule(
        number=gates,
        changes=st.lists(st.tuples(rules, cards, st.just(0) | ends), min_size=1, max_size=4),
    )
    def an_everyday_minute_or_more(
        self, number: int, changes: list[tuple[str, bytes, int | None]]
    ) -> None:
        """Change a card each minute (0 takes it out), and let a gate follow."""
        for name, card, end_s in changes:
            if end_s == 0:
                self.take_out(name, card)
            else:
                self.put_in(name, card, end_s)
            self.town.now_unix_s += 60
            self.publish_and_poll(number)

    @rule(number=gates)
    def poll_while_a_lane_starts_at_every_step(self, number: int) -> None:
        def poll(gate: Gate) -> SyncStatus:
            with durable_steps(lambda: self.check_lane_start(gate)):
                return gate.poll()
            raise AssertionError("a check killed the gate")

        self.polled(self.gate(number), poll)

    @rule(number=gates, after=st.integers(0, 8))
    def publish_in_the_middle_of_a_poll(self, number: int, after: int) -> None:
        """Publish during a poll: the files of its beginning stay until it ends."""
        gate, left = self.gate(number), count(after, -1)

        def asked(_path: str) -> None:
            if next(left) == 0:
                self.publish()

        def poll(gate: SocketlessGate) -> SyncStatus:
            with gate.asking(asked):
                return gate.poll()

        self.polled(gate, poll, newest=False)

    @rule(number=gates, steps=st.integers(1, 30), power=st.booleans())
    def gate_is_killed_in_a_poll(self, number: int, steps: int, power: bool) -> None:
        gate, left = self.gate(number), count(steps - 1, -1)
        before = gate.version

        def step() -> None:
            if next(left) == 0:
                raise KilledError

        with durable_steps(step):
            gate.poll()
        if power:
            gate.power_cut()
        else:
            gate.start()
        assert gate.version >= before
        self.check_lane_start(gate)

    @rule(number=gates)
    def power_cut(self, number: int) -> None:
        gate = self.gate(number)
        before = gate.version
        gate.power_cut()
        assert gate.version >= before, gate.problems

    @rule(
        number=gates, place=st.integers(0, 50), seed=st.integers(0, 1 << 20), when=st.integers(0, 3)
    )
    def bits_rot(self, number: int, place: int, seed: int, when: int) -> None:
        """Damage one file of the gate; the next poll repairs it, if the city can be followed."""
        gate = self.gate(number)
        folders = (gate.lists, gate.recent, gate.lists / "pieces")
        there = [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir())]
        files = [path for path in there if path.is_file() and path.stat().st_size]
        if not files or not self.followed(gate):
            return
        path = files[place % len(files)]
        write_over(path, damaged(path.read_bytes(), Random(seed)))
        (lambda: None, gate.start_lane, gate.start, gate.power_cut)[when]()
        self.polled(gate, lambda gate: gate.poll())
        event(f"rotted: {path.suffix}")

    def polled(
        self,
        gate: SocketlessGate,
        poll: Callable[[SocketlessGate], SyncStatus],
        *,
        newest: bool = True,
    ) -> None:
        """Poll: the gate follows the publication if it can, and keeps its list if not."""
        before, public = gate.version, self.followed(gate)
        status = poll(gate)
        event(f"polled: {status.state.value}")
        if public and not newest and not self.followed(gate):
            assert status.state in (SourceState.FRESH, SourceState.NO_KEY), (
                status
            )  # the key changed meanwhile
        elif public:
            assert status.state is SourceState.FRESH, status
            assert not gate.problems
            seen = view(self.town.published)
            assert seen is not None
            assert gate.version == seen.manifest.list_version or (
                not newest and gate.version >= public
            )
        else:
            assert gate.version in (before, status.list_version)
        assert gate.version >= before
        if gate.rules is not None:
            self.town.assert_says(gate.rules)

    def followed(self, gate: SocketlessGate) -> int:
        """Return the list version that the gate must reach by a poll now; 0 if no gate can."""
        if not is_whole(self.town.published):
            return 0
        seen = view(self.town.published)
        assert seen is not None
        held = {held.hex() for held in held_keys(gate.folder / "keys")}
        if (
            seen.timestamp_expires_unix_s <= self.town.now_unix_s
            or seen.manifest.fingerprint_key not in held
        ):
            return 0
        return seen.manifest.list_version

    def check_lane_start(self, gate: Gate) -> None:
        """Check that a lane that starts now finds a whole list, or none."""
        held = held_keys(gate.folder / "keys")
        found = ListFolder(gate.lists, held, gate.recent, read_keys=lambda: held).settled()
        assert found.rules is not None or gate.version == 0 or found.problems
        if found.rules is not None:
            self.town.assert_says(found.rules)


TestLists = ListsMachine.TestCase
TestLists.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
