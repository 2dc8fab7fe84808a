"""`make` sets .venv up on a new machine, and again after whatever an interrupted set-up left there.

Python and pip are stand-ins that record their calls, so that no package is downloaded; make and
the Makefile are real.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
_PYTHON = """#!/bin/sh
echo "$@" >> {diary}
case "$*" in
  "-m venv "*) {venv} mkdir -p "$3/bin" && cp "$0" "$3/bin/python";;
  "-m pip --version") test ! -e {folder}/no-pip;;
  *install*) {pip} ;;
esac
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if shutil.which("make") is None:
        pytest.skip("make is not here: apt-get install make")
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    (tmp_path / "requirements").mkdir()
    for name in ("run.lock", "dev.lock"):
        (tmp_path / "requirements" / name).write_text("package==1\n")
    (tmp_path / "pyproject.toml").touch()
    python(tmp_path)
    return tmp_path


def python(folder: Path, *, venv: str = "", pip: str = "") -> None:
    """A stand-in for Python; `venv` and `pip` are shell commands that it runs before it acts."""
    fake = folder / "python"
    fake.write_text(_PYTHON.format(diary=folder / "diary", folder=folder, venv=venv, pip=pip))
    fake.chmod(0o755)


def make(folder: Path, target: str = ".venv/.run") -> "subprocess.CompletedProcess[str]":
    (folder / "diary").write_text("")
    return subprocess.run(
        ["make", target, f"PYTHON={folder / 'python'}"],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def diary(folder: Path) -> list[str]:
    return [line.split(" --")[0] for line in (folder / "diary").read_text().splitlines()]


INSTALLED = ["-m pip install", "-m pip install"]


def test_a_new_machine_gets_an_environment_and_a_line_of_how_long_it_takes(folder: Path) -> None:
    run = make(folder)
    assert run.returncode == 0, run.stderr
    assert "setting up .venv: 1 packages from PyPI, a minute or two" in run.stdout
    assert "-m venv .venv" in diary(folder)
    assert diary(folder)[-2:] == INSTALLED


def test_what_is_set_up_is_not_set_up_again(folder: Path) -> None:
    make(folder)
    assert make(folder).returncode == 0
    assert diary(folder) == []


def test_an_environment_without_pip_is_made_again(folder: Path) -> None:
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")
    (folder / ".venv" / "bin" / "python").chmod(0o755)
    (folder / ".venv" / "half").touch()
    assert make(folder).returncode == 0
    assert diary(folder)[-2:] == INSTALLED
    assert not (folder / ".venv" / "half").exists()


def test_an_environment_of_a_python_that_is_gone_is_made_again(folder: Path) -> None:
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").symlink_to("/nowhere/python3.10")
    assert make(folder).returncode == 0
    assert diary(folder)[-2:] == INSTALLED


def test_a_python_without_venv_leaves_nothing_and_names_the_package(folder: Path) -> None:
    python(folder, venv='mkdir -p "$3/bin"; exit 1;')
    run = make(folder)
    assert run.returncode == 2
    assert "apt-get install python3-venv" in run.stderr
    assert not (folder / ".venv").exists()
    python(folder)
    assert make(folder).returncode == 0


def test_an_installation_that_fails_names_the_internet_as_missing_and_goes_on_the_next_time(
    folder: Path,
) -> None:
    python(folder, pip="exit 1")
    run = make(folder)
    assert run.returncode == 2
    assert "the first run needs the internet" in run.stderr
    assert not (folder / ".venv" / ".run").exists()
    python(folder)
    shutil.copy(folder / "python", folder / ".venv" / "bin" / "python")
    assert make(folder).returncode == 0
    assert diary(folder)[-2:] == INSTALLED


def test_a_python_that_is_too_old_or_missing_is_named(folder: Path) -> None:
    (folder / "python").write_text("#!/bin/sh\nexit 1\n")
    run = make(folder)
    assert run.returncode == 2
    assert f"{folder / 'python'} is missing or older than 3.11" in run.stderr
