"""The Debian packages that `make deb` builds: what is in them, and that it runs."""

import os
import re
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.deb.build import Builder
from tools.deb.contents import BACKOFFICE, GATE, PACKAGES, SIM, Package
from tools.deb.libraries import LibraryError, closure
from tools.deb.systems import ARCHITECTURES, SUITES, Target
from tools.deb.tree import REPOSITORY

ELF_MACHINES = {"amd64": 62, "arm64": 183}  # EM_X86_64, EM_AARCH64
IMPORT_ALL = """
import importlib, pkgutil, sys
library, *names = sys.argv[1:]
sys.path.insert(0, library)
count = 0
for name in names:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
            count += 1
print(count, sys.modules[names[0]].__file__)
"""
RUN = """
import sys
library, module, *sys.argv[1:] = sys.argv[1:]
sys.path.insert(0, library)
from importlib import import_module
sys.exit(import_module(module).main())
"""


def this_suite() -> str:
    """The suite whose Python runs this test; bookworm for one that Debian does not have."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return next((suite.name for suite in SUITES.values() if suite.python == version), "bookworm")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def builder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Builder:
    target = Target(SUITES[this_suite()], ARCHITECTURES[request.param])
    return Builder(target, tmp_path_factory.mktemp(str(target)))


@pytest.fixture(scope="module")
def trees(builder: Builder) -> dict[str, Path]:
    return {name: builder.tree(package) for name, package in PACKAGES.items()}


def files(root: Path) -> Iterator[Path]:
    return (path for path in root.rglob("*") if path.is_file())


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def base_python(*arguments: str) -> str:
    """What this Python, without the packages of the tests, prints for these arguments."""
    python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    ended = subprocess.run(
        [str(python), "-I", "-B", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_package_has_all_that_its_code_imports(builder: Builder, trees: dict[str, Path]) -> None:
    if not builder.target.is_here:
        return  # its machine code runs on another processor; the next test looks at it
    for package in PACKAGES.values():
        library = trees[package.name] / "usr" / "lib" / package.name
        count, where = base_python("-c", IMPORT_ALL, str(library), package.code[0]).split()
        assert int(count) > 30
        assert where.startswith(str(library))


def test_each_library_is_for_the_packages_processor(
    builder: Builder, trees: dict[str, Path]
) -> None:
    for name, root in trees.items():
        objects = [path for path in files(root) if path.name.split(".so")[0] != path.name]
        assert objects, name
        for path in objects:
            with path.open("rb") as file:
                head = file.read(20)
            assert head.startswith(b"\x7fELF"), path
            (machine,) = struct.unpack_from("<H", head, 18)
            assert machine == ELF_MACHINES[builder.target.architecture.name], path


def test_the_commands_run_by_the_suites_python_and_no_other(
    builder: Builder, trees: dict[str, Path]
) -> None:
    for package in PACKAGES.values():
        for name, module in package.commands.items():
            text = text_of(trees[package.name] / "usr" / "bin" / name)
            assert text.startswith(f"#!/usr/bin/python{builder.target.suite.python}")
            if builder.target.is_here:
                library = str(trees[package.name] / "usr" / "lib" / package.name)
                assert "Usage" in base_python("-c", RUN, library, module, "--help")


def test_a_unit_calls_a_command_that_its_package_has(trees: dict[str, Path]) -> None:
    called = set()
    for package in (GATE, BACKOFFICE):
        for unit in (trees[package.name] / "usr/lib/systemd/system").iterdir():
            (command,) = re.findall(r"^ExecStart=(\S+)", text_of(unit), re.MULTILINE)
            assert (trees[package.name] / command.lstrip("/")).stat().st_mode & stat.S_IXUSR
            called.add(unit.name)
    assert called == {path.name for path in (REPOSITORY / "deploy" / "systemd").iterdir()}


def test_no_file_holds_an_installers_traces_or_anothers_right(trees: dict[str, Path]) -> None:
    for root in trees.values():
        names = {path.name for path in root.rglob("*")}
        assert not names & {"RECORD", "direct_url.json", "uv_cache.json", "__pycache__", ".lock"}
        for path in root.rglob("*"):
            mode = path.stat().st_mode
            is_run = path.is_dir() or path.parent.name in {"bin", "DEBIAN"}
            wanted = 0o755 if is_run and path.name != "control" else 0o644
            assert stat.S_IMODE(mode) == wanted, path
        assert not any(path.is_symlink() for path in root.rglob("*"))


def test_each_library_brings_its_licence(trees: dict[str, Path]) -> None:
    for name, root in trees.items():
        told = text_of(root / "usr/share/doc" / name / "copyright")
        inside = list((root / "usr" / "lib" / name).glob("*.dist-info"))
        assert len(inside) > 2
        for folder in inside:
            project = folder.name.removesuffix(".dist-info").split("-")[0]
            if project != "turnike":
                assert re.search(rf"(?i)^ {re.sub('_', '[-_.]', project)} ", told, re.MULTILINE)


def test_scripts_have_no_gap_and_dpkg_reads_the_control_file(
    builder: Builder, tmp_path: Path
) -> None:
    path = builder.deb(SIM, tmp_path)
    said = subprocess.run(
        ["dpkg-deb", "--field", str(path)], capture_output=True, text=True, check=True
    ).stdout
    fields = dict(re.findall(r"^([A-Z][\w-]+): (.*)$", said, re.MULTILINE))
    suite = builder.target.suite
    assert fields["Architecture"] == builder.target.architecture.name
    assert fields["Version"].endswith(f"+deb{suite.debian}")
    assert f"python3 (>= {suite.python}), python3 (<< {suite.next_python})" in fields["Depends"]
    listed = subprocess.run(
        ["dpkg-deb", "--contents", str(path)], capture_output=True, text=True, check=True
    ).stdout
    assert all(" root/root " in line for line in listed.splitlines())


def test_scripts_are_valid_and_every_word_is_filled_in(trees: dict[str, Path]) -> None:
    for root in trees.values():
        for path in (root / "DEBIAN").iterdir():
            assert not re.search(r"@[A-Z_]+@", text_of(path)), path
            if path.name != "control":
                subprocess.run(["sh", "-n", str(path)], check=True)


def test_the_same_commit_makes_the_same_bytes(builder: Builder, tmp_path: Path) -> None:
    made = []
    for name, umask in (("one", 0o022), ("other", 0o077)):
        (tmp_path / name).mkdir()
        before = os.umask(umask)
        try:
            made.append(builder.deb(SIM, tmp_path / name).read_bytes())
        finally:
            os.umask(before)
    assert made[0] == made[1]


def test_a_package_that_needs_what_is_not_locked_is_not_built(builder: Builder) -> None:
    lacking = Package("turnike-sim", (), ("click", "no-such-package>=1"), {}, {})
    with pytest.raises(LibraryError, match="no-such-package>=1: not in the lock file"):
        builder.tree(lacking)


def distribution(folder: Path, name: str, *requires: str) -> None:
    metadata = folder / f"{name}-1.dist-info"
    metadata.mkdir()
    lines = [f"Requires-Dist: {each}" for each in requires]
    text = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", "Version: 1", *lines, ""])
    (metadata / "METADATA").write_text(text)


def test_what_counts_is_what_the_target_needs_not_the_machine_that_builds(tmp_path: Path) -> None:
    distribution(tmp_path, "gate", "one", "two; python_version < '3.12'", "tool; extra == 'more'")
    distribution(tmp_path, "one", "gate", "windows; sys_platform == 'win32'")
    for name in ("two", "tool", "windows"):
        distribution(tmp_path, name)

    def names(root: str, suite: str) -> list[str]:
        target = Target(SUITES[suite], ARCHITECTURES["arm64"])
        return [each.name for each in closure([tmp_path], [root], target)]

    assert names("gate", "bookworm") == ["gate", "one", "two"]
    assert names("gate", "trixie") == ["gate", "one"]
    assert names("gate[more]", "trixie") == ["gate", "one", "tool"]
