"""Clocks that jump, at the city and at gates, between any two steps.

After the documented repair every gate decides as the registry has it. The publisher, the metadata
and the couriers are the real ones. The clock of the city, and of each gate, is wrong by the sum of
its jumps; the right time goes on beside them. The operator confirms a wrong clock
(`--clock-is-right`, or a ceremony) as often as not. The repair is that of docs/runbook.md: set the
clocks, and do what the commands ask for until one of them publishes.
"""

import os
import shutil
import tempfile
from contextlib import suppress
from itertools import count
from pathlib import Path

from hypothesis import Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from backoffice.home.config import RuleConfig
from backoffice.home.folder import put
from backoffice.publishing.fingerprints import CardsError
from backoffice.reports.store import ReportStore
from backoffice.signing import ceremonies, roots
from backoffice.signing import roles as signing
from backoffice.signing.clock import JUMP_S_MAX, STEP_S_MAX, ClockError
from backoffice.signing.roles import RoleError
from tests.support.city.published_view import view
from tests.support.city.publishing_rig import (
    MATCHED,
    STAFF,
    SUSPENDED,
    PublishingOffice,
    SocketlessGate,
)
from tests.support.city.registry_reads import members
from tests.support.city.statuses import set_status
from tests.support.city.town import uid
from validator.domain.decision import Verdict
from validator.errors import SourceState

HOUR_S, DAY_S = 3_600, 86_400
YEAR_S = 365 * DAY_S
GATES_MAX = 3
OFF_S_MAX = 12 * YEAR_S  # two jumps of ten years in one direction leave the range of Unix seconds
SIGNED_S_MAX = 2 * HOUR_S  # timestamp is signed again after a third of its six hours
# Memory, if there is some: no file here outlives a test.
SCRATCH = next(filter(os.path.isdir, ["/dev/shm"]), None)  # noqa: S108

JUMPS = (5 * HOUR_S, 20 * HOUR_S, 40 * DAY_S, YEAR_S, 10 * YEAR_S)
jumps = st.sampled_from([sign * jump for jump in JUMPS for sign in (1, -1)])
# More of them ahead, since those do the harm.
wrong = st.sampled_from([*JUMPS, *JUMPS[:3], -5 * HOUR_S, -40 * DAY_S])
cards = st.integers(0, 3).map(uid)
names = st.sampled_from([SUSPENDED.name, SUSPENDED.name, STAFF.name, MATCHED.name])
ends = st.sampled_from([None, 1, HOUR_S, 4 * HOUR_S, 4 * HOUR_S, 10 * DAY_S, 30 * DAY_S])
whiles = st.sampled_from([60, 60, HOUR_S, 5 * HOUR_S])
gates = st.integers(0, GATES_MAX - 1)


class ClocksMachine(RuleBasedStateMachine):
    """One city and its gates. `now_unix_s` is the right time, which only clocks show."""

    @initialize(synchronised=st.booleans())
    def found(self, *, synchronised: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="clocks-", dir=SCRATCH))
        self.town = PublishingOffice(self.folder)
        self.town.clock_is_right = False
        self.town.issue(*map(uid, range(4)))
        self.now_unix_s = self.town.now_unix_s
        # How far the city's clock is ahead, and the furthest at which it published.
        self.off_s = self.furthest_s = 0
        self.gates: list[SocketlessGate] = []
        self.numbers = count(1)
        self.town.publish()
        self.new_gate(synchronised=synchronised)
        self.poll(0)

    def teardown(self) -> None:
        if hasattr(self, "town"):
            try:
                self.repair()
            finally:
                self.town.close()
                for gate in self.gates:
                    gate.web.close()
                shutil.rmtree(self.folder)

    # Time

    @rule(seconds=whiles)
    def time_goes_by(self, seconds: int) -> None:
        self.now_unix_s += seconds
        self.town.now_unix_s += seconds
        for gate in self.gates:
            gate.clock.wait(seconds)

    @rule(seconds=jumps)
    def the_citys_clock_jumps(self, seconds: int) -> None:
        if abs(self.off_s + seconds) <= OFF_S_MAX:
            self.off_s += seconds
            self.town.now_unix_s += seconds

    @rule(number=gates, seconds=jumps, synchronised=st.booleans())
    def a_gates_clock_jumps(self, number: int, seconds: int, *, synchronised: bool) -> None:
        gate = self.gate(number)
        if abs(gate.clock.unix_s + seconds - self.now_unix_s) <= OFF_S_MAX:
            gate.clock.unix_s += seconds
            gate.clock.synchronised = synchronised

    # The back office

    @rule(name=names, card=cards, end_s=st.just(0) | ends)
    def change(self, name: str, card: bytes, end_s: int | None) -> None:
        """Put a card in until a time that an operator typed, by the wall clock; 0 takes it out."""
        if end_s == 0:
            self.town.remove(name, card)
        else:
            self.town.change(name, card, None if end_s is None else self.now_unix_s + end_s)

    @rule(believed=st.booleans(), with_snapshots=st.booleans())
    def publish(self, *, believed: bool, with_snapshots: bool = False) -> None:
        """Publish; the operator confirms the clock or not. Now and then all rules get snapshots."""
        if with_snapshots:
            self.town.rotate_fingerprint_key()
            for gate in self.gates:
                gate.hold(self.town.key)
        before = view(self.town.published)
        self.furthest_s = max(self.furthest_s, self.off_s)
        if believed:
            self.town.city.say_right(self.town.now_unix_s)
        try:
            self.town.publish()
        except (ClockError, RoleError, CardsError) as error:
            event(f"publish: {type(error).__name__}")
            assert view(self.town.published) == before

    @rule(steps=st.integers(1, 50))
    def publisher_is_killed(self, steps: int) -> None:
        self.furthest_s = max(self.furthest_s, self.off_s)
        with suppress(ClockError, RoleError, CardsError):
            self.town.publish_killed(steps)
        assert view(self.town.published) is not None

    @rule(roles=st.sampled_from([(), ("timestamp",), ("timestamp", "snapshot", "targets")]))
    def ceremony(self, roles: tuple[str, ...]) -> None:
        """Rotate roles as `root accept` does, and sign again if this clock may sign."""
        city, now_unix_s = self.town.city, self.town.now_unix_s
        try:
            path = ceremonies.rotate(city.home, roles, now_unix_s)
        except ClockError:
            return
        put(path, roots.draft_bytes(city.signed(roots.read_root(path), "bc")))
        ceremonies.accept(city.home, [path], now_unix_s)
        with suppress(ClockError):
            signing.sign_timestamp(city.home, now_unix_s)

    # Gates

    def gate(self, number: int) -> SocketlessGate:
        return self.gates[number % len(self.gates)]

    @precondition(lambda self: len(self.gates) < GATES_MAX)
    @rule(synchronised=st.booleans())
    def new_gate(self, *, synchronised: bool) -> None:
        """Add a gate with a right clock, or one without a battery that starts in 1970."""
        gate = self.town.gate(f"gate-{next(self.numbers)}")
        gate.clock.unix_s = self.now_unix_s if synchronised else 1_000
        gate.clock.synchronised = synchronised
        self.gates.append(gate)

    @rule(number=gates)
    def poll(self, number: int) -> None:
        gate = self.gate(number)
        status = gate.poll()
        self.send_status(number)
        event(f"polled: {status.state.value}")
        if gate.rules is not None and self.furthest_s <= JUMP_S_MAX:
            # While a clock is not further ahead than this, its lists are right at any time.
            self.town.assert_says(gate.rules, self.now_unix_s)

    def a_list_by_a_wrong_clock(
        self, number: int, card: bytes, seconds: int, *, with_snapshots: bool, polls: bool
    ) -> None:
        """Suspend a card for hours, poll, let the clock jump, and publish a list by it."""
        self.change(SUSPENDED.name, card, 4 * HOUR_S)
        self.publish(believed=True)
        self.poll(number)
        # From the right time, so that small jumps are not lost among large ones.
        self.the_citys_clock_jumps(seconds - self.off_s)
        self.change(SUSPENDED.name, uid(card[-1] ^ 1), 10 * DAY_S)
        self.publish(believed=True, with_snapshots=with_snapshots)
        if polls:
            self.poll(number)

    # Twice, since all rules are drawn equally often and this one matters most.
    _drawn = rule(
        number=gates, card=cards, seconds=wrong, with_snapshots=st.booleans(), polls=st.booleans()
    )
    a_first_list_by_a_wrong_clock = _drawn(a_list_by_a_wrong_clock)

    @_drawn
    def another_list_by_a_wrong_clock(
        self, number: int, card: bytes, seconds: int, *, with_snapshots: bool, polls: bool
    ) -> None:
        self.a_list_by_a_wrong_clock(
            number, card, seconds, with_snapshots=with_snapshots, polls=polls
        )

    @rule(number=gates, power=st.booleans())
    def restart(self, number: int, *, power: bool) -> None:
        if power:
            self.gate(number).power_cut()
        else:
            self.gate(number).start()

    def send_status(self, number: int) -> None:
        """Send a gate's status to the city.

        Not if its clock is wrong although the kernel calls it synchronised: nothing guards against
        such a gate.
        """
        now = self.gate(number).lane_clock.now()
        if now.synchronised and abs(now.unix_s - self.now_unix_s) > JUMP_S_MAX:
            return
        synchronised = "true" if now.synchronised else "false"
        status = f'{{"lanes": [{{"clock_synchronised": {synchronised}}}]}}'
        with ReportStore.open(self.town.config.database_url) as store:
            set_status(store, f"gate-{number}", now.unix_s, self.town.now_unix_s, status)

    # The repair

    @precondition(lambda self: self.off_s or self.furthest_s)
    @rule()
    def repair(self) -> None:
        self.town.now_unix_s, self.off_s = self.now_unix_s, 0
        for gate in self.gates:
            if gate.clock.synchronised:
                gate.clock.unix_s = self.now_unix_s
        self.publish_as_the_commands_say()
        self.furthest_s = 0
        self.the_registry_holds_what_was_put_in()
        for gate in self.gates:
            gate.hold(self.town.key)
            self.decides_what_the_registry_says(gate)
        for synchronised in (True, False):
            self.new_gate(synchronised=synchronised)
            gate = self.gates.pop()
            self.decides_what_the_registry_says(gate)
            gate.web.close()

    def publish_as_the_commands_say(self) -> None:
        """Publish, and do what each message asks for. Nothing has to be done twice."""
        done: list[str] = []
        while True:
            try:
                self.town.publish()
            except (ClockError, RoleError) as error:
                [wanted] = [
                    each
                    for each in ("publish --clock-is-right", "rotate timestamp", "rotate root")
                    if each in str(error)
                ]
                if wanted in done:
                    raise
                done.append(wanted)
                if wanted == "publish --clock-is-right":
                    self.town.city.say_right(self.now_unix_s)
                else:
                    self.ceremony(("timestamp",) if wanted == "rotate timestamp" else ())
            else:
                event(f"repaired by: {', '.join(done) or 'nothing'}")
                break
        if self.town.registry.pending():
            self.town.publish()  # the first one only finished an earlier publication

    def the_registry_holds_what_was_put_in(self) -> None:
        held = {
            (each.name, state.uid): state.ends_unix_s
            for each in self.town.rules
            for state in members(self.town.registry, each.name)
        }
        for key, end in self.town.states.items():
            if end is None or end > self.now_unix_s:
                assert held.get(key, 0) == end, key

    def decides_what_the_registry_says(self, gate: SocketlessGate) -> None:
        status = gate.poll()
        assert status.state is SourceState.FRESH, status
        seen = view(self.town.published)
        assert seen is not None
        assert gate.rules is not None
        assert gate.version == seen.manifest.list_version
        assert self.town.said[gate.version].ends == self.town.states
        gates_unix_s = gate.lane_clock.now().unix_s
        assert self.now_unix_s - SIGNED_S_MAX <= gates_unix_s <= self.now_unix_s + STEP_S_MAX
        self.town.assert_says(gate.rules, gates_unix_s)
        self.town.assert_says(gate.rules, self.now_unix_s)
        for card in map(uid, range(4)):
            is_in = {each.name: self.is_in(each, card, gates_unix_s) for each in self.town.rules}
            admitted = not is_in["suspended"] and (is_in["staff"] or is_in["matched"])
            assert gate.decides(card).verdict is (Verdict.ADMIT if admitted else Verdict.DENY)

    def is_in(self, of: RuleConfig, card: bytes, at_unix_s: int) -> bool:
        end = self.town.said[self.town.registry.claimed()].end(of, card)
        return end is None or at_unix_s < end


TestClocks = ClocksMachine.TestCase
# Not shrunk: that takes minutes, and the limit of a test would hide what failed.
TestClocks.settings = settings(
    max_examples=25, stateful_step_count=15, phases=(Phase.explicit, Phase.reuse, Phase.generate)
)
