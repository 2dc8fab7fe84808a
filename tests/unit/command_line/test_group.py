"""How a command ends: standard error and exit code, by what the command raised."""

from collections.abc import Callable

import click
import pytest

from validator.command_line.group import OneLineGroup
from validator.errors import ConfigError, InvalidBytes, OperatorError, StartError
from validator.programs.enrolment import EnrolmentError


def program(work: Callable[[], object]) -> OneLineGroup:
    """The program `prog`, whose command `work` does this."""
    group = OneLineGroup("group", program="prog", extras={"hidden": "more"})

    @group.command(name="work")
    @click.option("--home", envvar="PROG_HOME", required=True)
    def command(home: str) -> None:
        del home
        work()

    return group


def ends(group: OneLineGroup, *arguments: str) -> object:
    with pytest.raises(SystemExit) as ended:
        group.main(list(arguments))
    return ended.value.code


def raising(error: BaseException) -> Callable[[], object]:
    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (
            OperatorError("a.key: is empty; copy it again"),
            2,
            "prog: a.key: is empty; copy it again\n",
        ),
        (StartError("one\nline"), 2, "prog: one\\nline\n"),
        (ConfigError("a: wrong\nb: wrong"), 2, "prog: a: wrong\nprog: b: wrong\n"),
        (EnrolmentError("\x1b[2J"), 2, "prog: \\x1b[2J\n"),
        (click.UsageError("no such thing"), 2, "prog work: no such thing\n"),
        (KeyboardInterrupt(), 130, "prog: interrupted\n"),
        (click.Abort(), 130, "prog: interrupted\n"),
        (
            ModuleNotFoundError("no", name="hidden.inner"),
            2,
            "prog: hidden.inner is not installed; pip install 'turnike[more]'\n",
        ),
    ],
)
def test_an_error_is_printed_by_the_name_of_the_program(
    capfd: pytest.CaptureFixture[str], error: BaseException, code: int, told: str
) -> None:
    if isinstance(error, click.UsageError):
        error.ctx = click.Context(click.Command("work"), info_name="prog work")
    assert ends(program(raising(error)), "work", "--home", "here") == code
    assert capfd.readouterr() == ("", told)


@pytest.mark.parametrize(
    "error", [InvalidBytes("x"), ValueError("x"), OSError(5, "x"), ModuleNotFoundError(name="y")]
)
def test_an_error_of_the_program_itself_is_not_hidden(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        program(raising(error)).main(["work", "--home", "here"])
    assert caught.value is error


def test_a_missing_option_names_its_environment_variable(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROG_HOME", raising=False)
    assert ends(program(print), "work") == 2
    assert capfd.readouterr() == (
        "",
        "prog work: Missing option '--home', or set PROG_HOME in the environment\n",
    )


def test_a_program_without_a_command_shows_its_help(capfd: pytest.CaptureFixture[str]) -> None:
    assert ends(program(print)) == 2
    out, err = capfd.readouterr()
    assert (out, err.splitlines()[0]) == ("", "Usage: prog [OPTIONS] COMMAND [ARGS]...")
