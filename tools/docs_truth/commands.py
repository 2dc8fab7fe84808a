"""Whether a command that a page shows can be typed: asked of click, of the Makefile and of modules.

Nothing is run. Words in capitals, `…` and `<…>` stand for what a person types there.
"""

import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import click

# A script whose entry point is a function that imports the group late.
GROUPS = {"backoffice.__main__:main": "backoffice.cli.program:main"}
_PLACEHOLDER = re.compile(r"…|\.\.\.|^<.*>$|^[A-Z][A-Z0-9_]*$|^\*")
_STOP = {"|", ">", ">>", "<", "&", "#", "\\", "·", "→", "2>&1"}


class Commands:
    """The commands of a tree, by the names that a shell knows."""

    def __init__(self, root: Path) -> None:
        self._root = root
        with (root / "pyproject.toml").open("rb") as file:
            project = tomllib.load(file)["project"]
        self._name: str = project["name"]
        self._scripts: dict[str, str] = project["scripts"]
        self._extras: set[str] = set(project["optional-dependencies"])

    @cached_property
    def groups(self) -> dict[str, click.Group]:
        """Each script's click group, by the script's name."""
        groups = {}
        for name, target in self._scripts.items():
            module, _, attribute = GROUPS.get(target, target).partition(":")
            group = getattr(import_module(module), attribute)
            if not isinstance(group, click.Group):
                raise TypeError(f"{target} is no click group: name the group in GROUPS")
            groups[name] = group
        return groups

    @cached_property
    def _makefile(self) -> str:
        return (self._root / "Makefile").read_text(encoding="utf-8")

    @cached_property
    def options(self) -> set[str]:
        """Every option of every command, with the options that modules read themselves."""
        options: set[str] = set()
        for group in self.groups.values():
            for command in _all_commands(group):
                options.update(*(param.opts + param.secondary_opts for param in command.params))
                options.update(_context(command).help_option_names)
        for module in ("benchmarks", "tests.simulation", "tools"):
            options |= self._options_read_in(module)
        return options

    def _options_read_in(self, module: str) -> set[str]:
        path = self._root / module.replace(".", "/")
        files = [path.with_suffix(".py"), *path.rglob("*.py")]
        return {
            option
            for file in files
            if file.is_file()
            for option in re.findall(r"""["'](--?[a-z][\w-]*)["']""", file.read_text("utf-8"))
        }

    @cached_property
    def _program(self) -> re.Pattern[str]:
        """The program of a line: a script of this tree, make or python, with what may precede."""
        names = "|".join(sorted([*self._scripts, "make", "python3?"], key=len, reverse=True))
        before = r"\s*(?:\$\s+)?(?:sudo\s+(?:-u\s+\S+\s+)?)?(?:[A-Z_]+=\S*\s+)*(?:[\w./-]*/)?"
        return re.compile(rf"{before}({names})(?=\s|$)")

    def is_line(self, line: str) -> bool:
        """True if `line` begins with a script of this tree, make or python."""
        return self._program.match(line) is not None

    def has(self, program: str, command: str) -> bool:
        """True if the program has the command. Another program's words are not judged."""
        group = self.groups.get(program)
        return group is None or command in group.list_commands(_context(group))

    def is_command(self, word: str) -> bool:
        """True for a command of one of the programs, as a text names it alone: `publish`."""
        return any(word in group.list_commands(_context(group)) for group in self.groups.values())

    def fault_of_line(self, line: str, *, has_description: bool) -> str | None:
        """What is wrong with a line that may be a command; None if nothing, or if it is none.

        Args:
            line: as a person would type it, also after `sudo -u USER`, `$ ` or `NAME=value`.
            has_description: more words may follow after two blanks, as in a block of commands.
        """
        for part in re.split(r"&&|\|\||;|\s[|]\s", line):
            if fault := self._fault_of_install(part):
                return fault
            if found := self._program.match(part):
                words = _words(part[found.end() :], has_description=has_description)
                if fault := self._fault(found[1], words):
                    return fault
        return None

    def fault_of_short(self, line: str) -> str | None:
        """The same for a command without its program: right if it is one of any program."""
        words = _words(line, has_description=False)
        faults = [_fault_of_click(group, name, words) for name, group in self.groups.items()]
        return None if None in faults else max(faults, key=lambda fault: len(fault or ""))

    def _fault(self, program: str, words: list[str]) -> str | None:
        if program == "make":
            return self._fault_of_make(words)
        if program.startswith("python"):
            return self._fault_of_module(words)
        return _fault_of_click(self.groups[program], program, words)

    def _fault_of_install(self, line: str) -> str | None:
        """Turnike is on no package index: pip finds it in a folder or a wheel alone."""
        found = re.search(r"\bpip install\b.*?\s['\"]?([\w./-]+)\[([\w,-]+)\]", line)
        if found and (unknown := {*found[2].split(",")} - self._extras) and found[1][0] in "./":
            return f"there is no extra {unknown.pop()}"
        if re.search(rf"\bpip install\b.*\s['\"]?{self._name}(?:[\['\"\s]|$)", line):
            return f"no package index has {self._name}: install the folder, '.[console]'"
        return None

    def _fault_of_make(self, words: Sequence[str]) -> str | None:
        for word in words:
            name, mark, _ = word.partition("=")
            if mark and not re.search(rf"\$\({name}\)|^{name}\b", self._makefile, re.MULTILINE):
                return f"the Makefile reads no {name}"
            if not mark and not re.search(rf"^{re.escape(word)}:", self._makefile, re.MULTILINE):
                return f"the Makefile has no target {word}"
        return None

    def _fault_of_module(self, words: Sequence[str]) -> str | None:
        if len(words) < 2 or words[0] != "-m":  # noqa: PLR2004 -m and the module
            return None
        module = words[1]
        own = self._root / module.split(".")[0]
        if not own.is_dir():
            return None if find_spec(module.split(".")[0]) else f"there is no module {module}"
        path = self._root / module.replace(".", "/")
        if not path.with_suffix(".py").is_file() and not (path / "__main__.py").is_file():
            return f"there is no module {module} to run"
        known = self._options_read_in(module) | {"-h", "--help"}
        for word in words[2:]:
            if word.startswith("--") and word.partition("=")[0] not in known:
                return f"{module} reads no option {word}"
        return None


def _words(line: str, *, has_description: bool) -> list[str]:
    """The words of a command. In a block, what follows two blanks and is no option ends it."""
    words: list[str] = []
    for gap, word in re.findall(r"""(\s*)('[^']*'|"[^"]*"|\S+)""", line.strip()):
        is_apart = has_description and len(gap) > 1 and not word.startswith("-")
        if word in _STOP or word.startswith(("#", "(")) or (is_apart and words):
            break
        words.append(word.strip(",`"))
        if word.endswith(","):
            break
    return words


def _context(command: click.Command) -> click.Context:
    return click.Context(command, **command.context_settings)


def _all_commands(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        context = _context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from _all_commands(child)


def _fault_of_click(command: click.Command, name: str, words: Sequence[str]) -> str | None:
    """What click would refuse in `words`, except for the values that a person fills in."""
    left = list(words)
    arguments = [param for param in command.params if isinstance(param, click.Argument)]
    fault: str | None = None
    while left and fault is None:
        word = left.pop(0).strip("[]")
        if word == "--":  # another program's command follows
            return None
        if word.startswith("-") and word != "-":
            fault = _fault_of_option(command, name, word, left)
        elif isinstance(command, click.Group):
            child = command.get_command(_context(command), word)
            if child is not None:
                return _fault_of_click(child, f"{name} {word}", left)
            return None if _PLACEHOLDER.search(word) else f"{name} has no command {word}"
        elif arguments:
            fault = _fault_of_value(arguments[0], word)
            fault = fault and f"{name}: {fault}"
            if arguments[0].nargs != -1:
                arguments.pop(0)
        elif word and word != "…":
            fault = f"{name} takes no argument {word}"
    return fault


def _fault_of_option(command: click.Command, name: str, word: str, left: list[str]) -> str | None:
    """Judge the option `word`; its value is taken from the beginning of `left`."""
    option, mark, value = word.partition("=")
    param = _option(command, option)
    if param is None:
        is_help = option in _context(command).help_option_names
        return None if is_help else f"{name} has no option {option}"
    if isinstance(param, click.Option) and not param.is_flag and not mark:
        value = left.pop(0).strip("[]") if left else "…"
    fault = _fault_of_value(param, value)
    return fault and f"{name} {option}: {fault}"


def _option(command: click.Command, name: str) -> click.Parameter | None:
    for param in command.params:
        if name in param.opts or name in param.secondary_opts:
            return param
    return None


def _fault_of_value(param: click.Parameter, value: str) -> str | None:
    if isinstance(param.type, click.Choice) and value and not _PLACEHOLDER.search(value):
        choices = [str(choice) for choice in param.type.choices]
        for each in value.split("|"):
            if each not in choices:
                return f"{each} is none of {', '.join(choices)}"
    return None
