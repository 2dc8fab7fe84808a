"""Each import rule of pyproject.toml is shown to bite: every import planted here is reported by it.

All imports are planted at once in a copy of the packages, over which the real `lint-imports` runs.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WAIT_S = 300

GATE = "a gate's folders: lane, courier, console are independent; programs puts them together"
LANE = "lane: the loops and the adapters do not know each other, nor a reader a board"
COURIER = "courier: the loops and the adapters do not know each other"
LANE_LOADS = "the lane loads no numpy, requests, tuf, asyncio"
CONSOLE = "the console knows lanes by their sockets alone"
GUARD = "the guard of a page does not know what it guards"
PURE = "the domain is pure: no clock, I/O, log, random, thread"
CITY = "the back office does not import the gate's processes"
CITY_FOLDERS = "the back office's folders: imports go down"
CODECS = "two codecs, one written protocol: gate and simulated hardware do not import each other"
SIMULATED = (
    "simulated hardware: reader and board do not know each other, nor the crowd that uses them"
)
NO_CITY = "a gate does not import the city's programs"
INSTALLED = "the demo and the repository's tools are not part of what is installed on a gate"

# By rule, imports that it forbids: a layer to the one above it, and a folder to its neighbour.
PLANTED = {
    GATE: [
        "validator.check.finding -> validator.cli",
        "validator.programs.bench -> validator.check.finding",
        "validator.lane.tally -> validator.programs.bench",
        "validator.lane.tally -> validator.courier.ports",
        "validator.courier.ports -> validator.console.faults",
        "validator.console.faults -> validator.lane.tally",
        "validator.ipc.requests -> validator.lane.ports",
        "validator.config.devices -> validator.courier.signed_metadata",
        "validator.config.devices -> validator.ipc.client",
        "validator.reports.ids -> validator.ipc.requests",
        "validator.lists.names -> validator.reports.ids",
        "validator.host.clock -> validator.lists.names",
        "validator.command_line.output -> validator.host.clock",
        "validator.formats.shown -> validator.command_line.output",
        "validator.domain.cards -> validator.formats.shown",
        "validator.errors -> validator.domain.cards",
    ],
    LANE: [
        "validator.lane.loop -> validator.lane.clerk",
        "validator.lane.clerk -> validator.lane.loop",
        "validator.lane.loop -> validator.lane.readers.pn532.reader",
        "validator.lane.readers.pn532.reader -> validator.lane.boards.serial.board",
        "validator.lane.boards.serial.board -> validator.lane.readers.pn532.reader",
        "validator.lane.outbox.view -> validator.lane.lists_in_force",
        "validator.lane.lists_in_force -> validator.lane.lane_socket",
        "validator.lane.lane_socket -> validator.lane.time_file",
        "validator.lane.time_file -> validator.lane.courier_file",
        "validator.lane.courier_file -> validator.lane.outbox.view",
        "validator.lane.tally -> validator.lane.loop",
        "validator.lane.ports -> validator.lane.tally",
    ],
    COURIER: [
        "validator.courier.list_sync -> validator.courier.report_upload",
        "validator.courier.report_upload -> validator.courier.signed_metadata",
        "validator.courier.signed_metadata -> validator.courier.receiver_client",
        "validator.courier.receiver_client -> validator.courier.lane_lists",
        "validator.courier.lane_lists -> validator.courier.store.scrub",
        "validator.courier.store.scrub -> validator.courier.list_sync",
        "validator.courier.receiver_refusals -> validator.courier.receiver_client",
        "validator.courier.web.client -> validator.courier.receiver_refusals",
        "validator.courier.ports -> validator.courier.web.part",
    ],
    LANE_LOADS: [
        "validator.lane.loop -> numpy",
        "validator.lane.clerk -> requests",
        "validator.lane.ports -> tuf",
        "validator.lane.tally -> asyncio",
        "validator.programs.lane -> numpy",
        "validator.programs.lane -> requests",
        "validator.programs.lane -> tuf",
        "validator.programs.lane -> asyncio",
    ],
    CONSOLE: [
        "validator.console.gate -> nfc",
        "validator.console.gate -> numpy",
        "validator.console.gate -> requests",
        "validator.console.gate -> serial",
    ],
    GUARD: [
        "validator.console.guard -> validator.config.devices",
        "validator.console.guard -> validator.console.site",
        "validator.console.guard -> validator.domain.cards",
        "validator.console.guard -> validator.formats.shown",
        "validator.console.guard -> uvicorn",
        "validator.console.guard -> starlette",
    ],
    PURE: [
        "validator.domain.cards -> time",
        "validator.domain.cards -> os",
        "validator.domain.cards -> io",
        "validator.domain.cards -> logging",
        "validator.domain.cards -> random",
        "validator.domain.cards -> threading",
        "validator.domain.cards -> socket",
        "validator.domain.cards -> pathlib",
        "validator.domain.cards -> datetime",
        "validator.domain.cards -> secrets",
    ],
    CITY: [
        "backoffice.home.folder -> validator.lane.ports",
        "backoffice.home.folder -> validator.courier.ports",
        "backoffice.home.folder -> validator.console.faults",
        "backoffice.home.folder -> validator.check.finding",
        "backoffice.home.folder -> validator.ipc.requests",
        "backoffice.home.folder -> validator.programs.bench",
        "backoffice.home.folder -> validator.cli",
        "backoffice.home.folder -> validator.config.devices",
        "backoffice.home.folder -> firmware_sim.cards",
    ],
    CITY_FOLDERS: [
        "backoffice.receiver.app -> backoffice.cli.program",
        "backoffice.receiver.app -> backoffice.imports.ends",
        "backoffice.imports.ends -> backoffice.receiver.app",
        "backoffice.publishing.naming -> backoffice.imports.ends",
        "backoffice.reports.moving -> backoffice.publishing.naming",
        "backoffice.signing.clock -> backoffice.reports.moving",
        "backoffice.registry.values -> backoffice.signing.clock",
        "backoffice.home.folder -> backoffice.registry.values",
    ],
    CODECS: [
        "validator.lane.boards.serial.frames -> firmware_sim.board.frames",
        "firmware_sim.board.frames -> validator.lane.boards.serial.frames",
    ],
    SIMULATED: [
        "firmware_sim.pn532.frames -> firmware_sim.board.frames",
        "firmware_sim.board.frames -> firmware_sim.pn532.frames",
        "firmware_sim.board.frames -> firmware_sim.crowd.score",
        "firmware_sim.pn532.frames -> firmware_sim.crowd.score",
    ],
    NO_CITY: [
        "validator.reports.ids -> backoffice.reports.store",
        "firmware_sim.cards -> backoffice.registry.values",
    ],
    INSTALLED: [
        "validator.cli -> turnike_demo.run",
        "validator.cli -> tools.words",
        "firmware_sim.cards -> turnike_demo.run",
        "firmware_sim.cards -> tools.words",
        "backoffice.cli.shared -> turnike_demo.run",
        "backoffice.cli.shared -> tools.words",
    ],
}
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
    "importlinter"
]
CASES = [(rule, each) for rule, imports in PLANTED.items() for each in imports]


def copied(folder: Path) -> Path:
    for package in SETTINGS["root_packages"]:
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def plant(folder: Path) -> None:
    for line in dict.fromkeys(each for _, each in CASES):
        importer, _, imported = line.partition(" -> ")
        path = folder / f"{importer.replace('.', '/')}.py"
        with path.open("a", encoding="utf-8") as file:  # "a" would also make a module that is gone
            file.write(f"\nimport {imported}\n")


def linted(folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "400", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """By rule, what lint-imports reports about the copy in which every import is planted."""
    folder = copied(tmp_path_factory.mktemp("planted"))
    plant(folder)
    ended = linted(folder)
    assert ended.returncode == 1, ended.stderr
    sections = re.split(r"^(.+)\n-{5,}\n", ended.stdout, flags=re.MULTILINE)
    return dict(zip(sections[1::2], sections[2::2], strict=True))


def test_every_rule_has_an_import_that_breaks_it() -> None:
    assert [rule["name"] for rule in SETTINGS["contracts"]] == list(PLANTED)


@pytest.mark.parametrize(
    "rule",
    [each for each in SETTINGS["contracts"] if each["type"] == "forbidden"],
    ids=lambda each: each["name"],
)
def test_every_module_that_a_rule_forbids_is_planted(rule: dict[str, list[str]]) -> None:
    pairs = [each.split(" -> ") for each in PLANTED[str(rule["name"])]]
    for number, side in enumerate(("source_modules", "forbidden_modules")):
        for module in rule[side]:
            assert any(f"{pair[number]}.".startswith(f"{module}.") for pair in pairs), module


@pytest.mark.parametrize("line", sorted({each for _, each in CASES}))
def test_a_planted_import_is_between_modules_that_exist(line: str) -> None:
    for module in line.split(" -> "):
        if module.partition(".")[0] in SETTINGS["root_packages"]:
            path = ROOT / module.replace(".", "/")
            assert path.with_suffix(".py").is_file(), module


@pytest.mark.parametrize(("rule", "line"), CASES)
def test_a_forbidden_import_is_reported_by_its_rule(
    reported: dict[str, str], rule: str, line: str
) -> None:
    assert re.search(rf"^-? *{re.escape(line)} \(l\.\d+", reported[rule], re.MULTILINE), reported[
        rule
    ]


def test_without_a_planted_import_no_rule_is_broken(tmp_path: Path) -> None:
    ended = linted(copied(tmp_path))
    assert ended.returncode == 0, ended.stdout
    assert f"Contracts: {len(PLANTED)} kept, 0 broken." in ended.stdout
