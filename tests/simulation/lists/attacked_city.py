"""What the attacks on a city's lists share: a thief, faulty answers, and what a gate must hold."""

import shutil
from dataclasses import replace as changed
from pathlib import Path

from backoffice.home.folder import Home
from tests.support.city.backoffice_rig import City
from tests.support.city.town import Town, uid
from tests.support.gate.gate_courier import Gate
from tests.support.web.web_server import Fault
from validator.errors import SourceState

SUSPENDED, LATER, NEVER = uid(1), uid(2), uid(3)


class PowerCutError(BaseException):
    """The power fails: nothing after this happens."""


def assert_serves(gate: Gate, version: int) -> None:
    """Assert that the gate decides by the whole list of this version."""
    assert gate.version == version
    assert gate.holds("suspended", SUSPENDED)
    assert gate.holds("suspended", uid(9))
    assert not gate.holds("suspended", NEVER)


def assert_refuses(gate: Gate, state: SourceState, text: str = "", *, version: int = 2) -> None:
    """Assert that a poll ends with this state and that the list stays."""
    status = gate.poll()
    assert (status.state, status.list_version) == (state, version), status.problem
    assert text in status.problem
    assert_serves(gate, version)


def snapshot_of(city: Town, name: str) -> Path:
    """A copy of what is published now, to be replayed later."""
    return Path(shutil.copytree(city.published, city.folder / name))


def thief(city: Town) -> Town:
    """An attacker with a copy of the back office, its online keys included, who publishes too."""
    home = Path(shutil.copytree(city.city.home.folder, city.folder / "thief"))
    (city.folder / "of the thief").mkdir()
    stolen = City(city.folder / "of the thief")
    stolen.home = Home(home, home / "published")
    return changed(city, city=stolen, offered=list(city.offered))


def answer_with(city: Town, what: str, fault: Fault, name: str = "") -> None:
    """Answer requests for every file of this folder, or for the one, with the fault.

    The next root is excepted: the server still answers 404 for it.
    """
    for path in (city.published / what).iterdir():
        if not path.name.endswith("root.json") and name in path.name:
            city.server.faults[f"{what}/{path.name}"] = fault
