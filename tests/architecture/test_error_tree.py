"""The error tree that is drawn at the head of validator/errors.py is the one that the code has."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import backoffice
import turnike_demo
import validator
from validator import errors
from validator.errors import (
    ConfigError,
    InvalidBytes,
    LaneGoneError,
    OperatorError,
    RemoteError,
    StartError,
)

_ROW = re.compile(
    r"    ((?:│   |    )*)[├└]── (\w+)(?: +(?:((?:validator|backoffice)\.[\w.]+)(?::.*)?|.*))?"
)
_CATCH = re.compile(r"except .*\b(?:OperatorError|StartError|ConfigError)\b")
_AGAIN = re.compile(r"raise \w+\(str\(error\)\) from error")
ROOT = Path(__file__).parents[2]
BASES = (OperatorError, RemoteError, InvalidBytes, LaneGoneError)


def _load_all() -> None:
    for package in (validator, backoffice, turnike_demo):
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                import_module(module.name)


def _drawn() -> list[tuple[int, str, str]]:
    """Depth, name and module of each class of the drawing; "" for those of errors.py itself."""
    rows = map(_ROW.fullmatch, (errors.__doc__ or "").splitlines())
    return [(len(row[1]) // 4, row[2], row[3] or "") for row in rows if row]


def _real(kind: type[BaseException], depth: int = 0) -> Iterator[tuple[int, str, str]]:
    """The same of this class and its subclasses: of errors.py, of the gate, of the back office."""
    yield depth, kind.__name__, "" if _is_here(kind) else kind.__module__
    ours = [each for each in kind.__subclasses__() if not each.__module__.startswith("test")]
    for each in sorted(ours, key=_place):
        yield from _real(each, depth + 1)


def _place(kind: type[BaseException]) -> tuple[bool, bool, str]:
    return not _is_here(kind), not kind.__module__.startswith("validator."), kind.__name__


def _is_here(kind: type[BaseException]) -> bool:
    return kind.__module__ == errors.__name__


def test_the_tree_that_is_drawn_is_the_tree_of_the_code() -> None:
    _load_all()
    assert _drawn() == [row for base in BASES for row in _real(base)]


def test_the_commands_of_a_gate_leave_an_operator_error_to_their_group() -> None:
    catching = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "validator").rglob("*.py")
        if _CATCH.search(path.read_text(encoding="utf-8"))
    ]
    assert catching == ["validator/command_line/group.py"]


def test_a_command_of_the_city_catches_an_operator_error_only_to_add_to_its_text() -> None:
    for path in (ROOT / "backoffice/cli").glob("*.py"):
        assert not _AGAIN.search(path.read_text(encoding="utf-8")), path


def test_only_a_configuration_has_more_than_one_line() -> None:
    assert StartError("a\nb").lines == ("a\nb",)
    assert ConfigError("a\nb").lines == ("a", "b")
