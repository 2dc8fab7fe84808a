"""What scenarios, keys and the visitor do to the running demo.

They see `Controls` by protocols of their own: scenarios/controls.py, terminal/keys.py,
turnstile/city_requests.py and turnstile/visitor_lane.py.
"""

import signal
from collections.abc import Callable

from rich.console import Console

from turnike_demo.city.back_office import BackOffice
from turnike_demo.city.network import Network
from turnike_demo.processes.child import Child
from turnike_demo.processes.events import Event
from turnike_demo.processes.programs import Programs
from turnike_demo.terminal.view import ViewState


class Controls:
    """The demo's children, network and view, for those who change them while it runs."""

    def __init__(
        self,
        programs: Programs,
        back_office: BackOffice,
        view: ViewState,
        console: Console,
        take: Callable[[Event], None],
    ) -> None:
        """`take` gets the last events of a program that `end_unseen` ends."""
        self._programs = programs
        self._back_office = back_office
        self._view = view
        self._console = console
        self._take = take
        self._network: Network | None = None
        self._crowd: Child | None = None
        self._killed: set[str] = set()

    def connect(self, network: Network) -> None:
        """Set the network that `cut` and `restore` switch. Call it before them."""
        self._network = network

    # What happens

    @property
    def list_version(self) -> int:
        """The version of the list by which the crowd's lane decides; 0 without one."""
        return self._view.list_version or 0

    @property
    def judged(self) -> int:
        """How many taps the crowd has judged."""
        return self._view.judged

    @property
    def network(self) -> str:
        """`up` or `cut`."""
        return self._view.network

    @property
    def courier(self) -> str:
        """The state that the courier logged last."""
        return self._view.courier

    @property
    def story(self) -> list[str]:
        """The lines announced last, newest last."""
        return [*self._view.story]

    def announce(self, text: str) -> None:
        """Show a line to the operator, in the view or on standard error."""
        self._view.story.append(text)
        if not self._console.is_terminal:
            self._console.print(text, soft_wrap=True)

    # The city

    def start_command(self, name: str, *arguments: str) -> None:
        """Start a command of the city's; its events have the source `name`."""
        self._back_office.start_command(name, *arguments)

    def cut(self) -> None:
        """Cut the network: neither lists nor reports pass. The city's server runs on."""
        assert self._network is not None  # noqa: S101 — `connect` comes first
        self._network.cut()
        self._view.network = self._network.state

    def restore(self) -> None:
        """Restore the network."""
        assert self._network is not None  # noqa: S101 — `connect` comes first
        self._network.restore()
        self._view.network = self._network.state

    # The crowd

    @property
    def has_crowd(self) -> bool:
        """Whether the crowd has started."""
        return self._crowd is not None

    def start_crowd(self, crowd: Child) -> None:
        """Take events of the crowd, and send verbs to it, from now on."""
        self._crowd = self._programs.add(crowd)

    def send_to_crowd(self, verb: str) -> None:
        """Send a verb to the crowd; before it has started, do nothing."""
        if self._crowd is not None:
            self._crowd.send(verb)

    def send_commuter(self, uid: bytes, outcome: str, *, report: bool) -> None:
        """Let a passenger come with this card, who must see `outcome`."""
        self.send_to_crowd(f"next {uid.hex()} {outcome} {'true' if report else 'false'}")

    def let_one_come(self) -> None:
        """Let the next passenger of a paused crowd come."""
        self.send_to_crowd("step")

    def accept_either(self, kind: str) -> None:
        """Make the crowd accept that a card of this kind is admitted, and that it is denied."""
        self.send_to_crowd(f"either {kind}")

    # Programs

    def start(self, name: str) -> None:
        """Start one of the gate's programs."""
        self._programs.start(name)

    def add(self, child: Child) -> Child:
        """Take events of this child from now on, and end it with the demo."""
        return self._programs.add(child)

    def kill(self, name: str) -> None:
        """Send SIGKILL to a program; the demo restarts it when it has ended."""
        self._killed.add(name)
        self._programs.kill(name)

    def was_killed(self, name: str) -> bool:
        """Return whether `kill` ended this program, and it was not restarted since."""
        return name in self._killed

    def restart(self, name: str) -> None:
        """Start a program that `kill` ended."""
        self._killed.remove(name)
        self._programs.start(name)

    def end_unseen(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End a program by a signal and take its last events; no event `ended` comes of it."""
        for event in self._programs.end_unseen(name, number):
            self._take(event)
