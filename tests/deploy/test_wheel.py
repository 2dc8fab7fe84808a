"""The wheel of this tree, installed in an environment of its own, serves without the tree.

The environment sees the packages that Turnike depends on, and nothing of the working tree.
Nothing is downloaded.
"""

import json
import os
import re
import select
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from tests.support.machine.programs import WAIT_S, lane_config
from tools.tree import files_of

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("backoffice", "firmware_sim", "turnike_demo", "validator")
BUILT_FROM = ("LICENSE", "README.md", "pyproject.toml")
OF_OTHER_PYTHONS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


def package_files() -> set[str]:
    """The files of the tree inside the packages, as paths relative to the tree."""
    return {name for name in files_of(REPOSITORY) if name.split("/")[0] in PACKAGES}


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and an empty folder to run its programs in."""

    wheel: Path
    environment: Path
    folder: Path

    def command(self, name: str, *arguments: str) -> list[str]:
        """The command line of a program of this environment."""
        return [str(self.environment / "bin" / name), *arguments]

    def run(self, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a program of this environment to its end, in an empty folder."""
        return subprocess.run(
            self.command(name, *arguments),
            cwd=self.folder,
            env=environment_variables(),
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )

    @contextmanager
    def running(self, name: str, *arguments: str) -> "Iterator[tuple[subprocess.Popen[str], str]]":
        """Run a program of this environment for the length of a block.

        Yields the process and the first line of its standard output.
        """
        with subprocess.Popen(
            self.command(name, *arguments),
            cwd=self.folder,
            env=environment_variables(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                assert process.stderr is not None
                assert select.select([process.stdout], [], [], WAIT_S)[0], "it prints nothing"
                first = process.stdout.readline().strip()
                assert first, process.stderr.read()
                yield process, first
            finally:
                process.kill()


def environment_variables() -> dict[str, str]:
    """This process's, without those by which a Python would find packages of another place."""
    return {name: value for name, value in os.environ.items() if name not in OF_OTHER_PYTHONS}


def pip(*arguments: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments],
        env=environment_variables(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Build the wheel from a copy of the tree, so that no earlier build adds to it; install it."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "tree"
    for name in (*BUILT_FROM, *sorted(package_files())):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, copy / name)
    offline = ("--no-index", "--no-deps", "--quiet")
    pip("wheel", *offline, "--no-build-isolation", "--wheel-dir", str(folder), str(copy))
    (wheel,) = folder.glob("*.whl")

    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    # A path in a .pth file is searched for packages, but its own .pth files are not read: the
    # editable installation of the tree, which is one, stays out.
    (packages,) = environment.glob("lib/python*/site-packages")
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "libraries.pth").write_text("\n".join(sorted(libraries)) + "\n")
    python = str(environment / "bin" / "python")
    pip("--python", python, "install", *offline, "--no-compile", str(wheel))

    empty = folder / "empty"
    empty.mkdir()
    return Installed(wheel, environment, empty)


def test_the_wheel_has_each_file_of_the_packages(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == package_files()


def test_the_programs_run_without_the_tree(installed: Installed) -> None:
    """What the other tests of this file run is the wheel, not the tree that they belong to."""
    printed = installed.run(
        "python",
        "-c",
        f"import json, sys, {', '.join(PACKAGES)}\n"
        f"files = [sys.modules[name].__file__ for name in {PACKAGES!r}]\n"
        "print(json.dumps([files, sys.path]))",
    )
    assert printed.returncode == 0, printed.stderr
    files, searched = json.loads(printed.stdout)
    for path in files:
        assert Path(path).is_relative_to(installed.environment), path
    assert str(REPOSITORY) not in searched


def test_every_command_of_the_project_is_installed_and_explains_itself(
    installed: Installed,
) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    for command in project["scripts"]:
        helped = installed.run(command, "--help")
        assert (helped.returncode, helped.stderr) == (0, ""), command
        assert helped.stdout.startswith(f"Usage: {command} ")


def test_the_gate_checks_a_configuration_and_names_what_is_missing(
    installed: Installed, tmp_path: Path
) -> None:
    checked = installed.run("turnike", "check", "--config", str(lane_config(tmp_path)))
    assert checked.returncode == 1, checked.stderr
    assert f"{tmp_path}/reader" in checked.stdout
    assert f"{tmp_path}/board" in checked.stdout


def test_the_demo_is_a_command_of_the_gate(installed: Installed) -> None:
    helped = installed.run("turnike", "--help")
    assert re.search(r"^  demo ", helped.stdout, re.MULTILINE), helped.stdout
    assert installed.run("turnike", "demo", "--help").returncode == 0


def test_the_back_office_is_founded_and_answers_a_gate(
    installed: Installed, tmp_path: Path
) -> None:
    home = tmp_path / "city"
    founded = installed.run("turnike-backoffice", "init", str(home), "--development")
    assert founded.returncode == 0, founded.stderr
    assert "[[rules]]" in (home / "backoffice.toml").read_text()
    serve = ("serve", "--home", str(home), "--port", "0")
    with installed.running("turnike-backoffice", *serve) as (process, address):
        root = requests.get(f"{address}metadata/1.root.json", timeout=WAIT_S)
        assert root.status_code == 200
        assert root.json()["signed"]["_type"] == "root"
        report = requests.post(f"{address}v1/reports", data=b"", timeout=WAIT_S)
        assert report.status_code == 401
        process.terminate()
        assert process.wait(WAIT_S) == 0


@pytest.mark.parametrize("device", ["pn532", "board"])
def test_a_simulated_device_starts_and_ends(installed: Installed, device: str) -> None:
    with installed.running("firmware-sim", device) as (process, path):
        assert Path(path).is_char_device()
        process.terminate()
        assert process.wait(WAIT_S) == 0


def test_the_console_sends_its_page(installed: Installed, tmp_path: Path) -> None:
    table = f'[console]\nlisten = "127.0.0.1:0"\nlanes = ["{tmp_path}/lane.sock"]\n'
    config = lane_config(tmp_path, more=table)
    with installed.running("turnike", "console", "--config", str(config)) as (process, first):
        assert process.stdout is not None
        event = json.loads(first)
        while event["event"] != "started":
            event = json.loads(process.stdout.readline())
        address = event["address"].rstrip("/")
        page = requests.get(f"{address}/", timeout=WAIT_S).text
        files = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
        assert len(files) >= 4
        for path in files:
            assert requests.get(f"{address}{path}", timeout=WAIT_S).status_code == 200, path
