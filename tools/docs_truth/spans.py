"""Whether a code span names what exists: the first kind that it looks like judges it."""

import re
from collections.abc import Callable, Iterator
from functools import cached_property

from tools.docs_truth.commands import Commands
from tools.docs_truth.config_keys import faults_of_block, sections
from tools.docs_truth.foreign import COMMANDS, NAMES, PATHS
from tools.docs_truth.index import VALUE, Index
from tools.docs_truth.symbols import Symbols

_SOURCE = r"(?:py|js|html|css|md|yml|sql|conf|service|rules|sh)"
_SECTION = re.compile(r"\[\[?([a-z]\w*(?:\.[a-z]\w*)*)\]\]?(?:\s+(\w+)(?:\s*=.*)?)?")
_SETTING = re.compile(r"([a-z]\w*)\s+=\s+\S.*")
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_NAME = re.compile(r"[A-Za-z_]\w*")
_JSON_KEY = re.compile(r'"([A-Za-z_]\w*)"\s*[:,}]')
_MADE_FILE = re.compile(r"[\w.<>*-]+\.(?:jsonl?|toml|db|seg|wire)")
_ROUTE = re.compile(r"(?:(?:GET|HEAD|POST|PUT) )?(/[\w./{}<>-]*\w[\w./{}<>-]*)")
_PART = re.compile(r"([\w./-]+\.py)::?([A-Za-z_]\w*).*")  # a function or class of a file
_PATH = re.compile(r"[\w.@<>{},*-]+(?:/[\w.@<>{},*-]*)+")


class Spans:
    """The judge of code spans over one tree."""

    def __init__(self, index: Index, commands: Commands) -> None:
        self._index = index
        self._commands = commands
        self._symbols = Symbols(index)
        self._judges: tuple[Callable[[str], str | None], ...] = (
            self._setting,
            self._command,
            self._file,
            self._symbols.fault,
            self._words,
        )

    @cached_property
    def _sections(self) -> dict[str, set[str]]:
        return sections()

    def fault(self, span: str) -> str | None:
        """What does not exist of what `span` names; None if nothing.

        Each judge answers "" for a span of its kind that is right, and None for another kind.
        """
        for judge in self._judges:
            answer = judge(span)
            if answer is not None:
                return answer or None
        return None

    def fault_of_line(self, line: str) -> str | None:
        """The same for a line of a block of code: commands, sections, paths and variables."""
        if fault := self._commands.fault_of_line(line, has_description=True):
            return fault
        if fault := self._symbols.fault_of_import(line):
            return fault
        for part in re.findall(r"(?<![\w/.:<>-])[\w.@*-]+(?:/[\w.@*-]+)+(?![\w/<{])", line):
            top = part.partition("/")[0]
            if top in self._index.tops and (fault := self._fault_of_source(part)):
                return fault
        return None

    def faults_of_block(self, block: str) -> Iterator[str]:
        """What is wrong with a block of code that is a configuration."""
        return faults_of_block(block, self._sections)

    def fault_of_path(self, span: str) -> str | None:
        """The same for a span that is a path of the tree; None for any other."""
        is_source = re.fullmatch(rf"[\w.@*<>/-]+\.{_SOURCE}", span) is not None
        return (self._file(span) or None) if is_source else None

    def _setting(self, span: str) -> str | None:
        """`[section]`, `[section] key`, `section.key`, `key = value`."""
        if found := _SECTION.fullmatch(span):
            return self._fault_of_key(found[1], found[2])
        if found := _SETTING.fullmatch(span):
            known = any(found[1] in keys for keys in self._sections.values())
            return "" if known or found[1] in NAMES else f"no section has a key {found[1]}"
        if _DOTTED.fullmatch(span):
            section, key = span.split(".", 1)
            if section in self._sections and not re.fullmatch(_SOURCE + "|toml|json", key):
                return self._fault_of_key(section, key)
        return None

    def _fault_of_key(self, section: str, key: str | None) -> str:
        if section not in self._sections:
            return f"neither configuration has a section [{section}]"
        if key is not None and key not in self._sections[section]:
            return f"[{section}] has no key {key}"
        return ""

    def _command(self, span: str) -> str | None:
        if self._commands.is_line(span) and span not in self._index.texts:
            parts = span.split(" · ")
            for part in parts:
                if fault := self._commands.fault_of_line(part, has_description=False):
                    return fault
            return ""
        first = span.partition(" ")[0]
        if first in COMMANDS and " " in span:
            return self._commands.fault_of_line(span, has_description=False) or ""
        if re.fullmatch(r"--[a-z][\w-]*(?:[ =].*)?", span):
            options = re.findall(r"--[a-z][\w-]*", span)
            unknown = [each for each in options if each not in self._commands.options | NAMES]
            return f"no command has an option {unknown[0]}" if unknown else ""
        if " " in span and self._commands.is_command(first):
            fault = self._commands.fault_of_short(span)
            return "" if fault is None or self._is_text(span) else fault
        return None

    def _file(self, span: str) -> str | None:
        if span in PATHS or span.startswith(("http://", "https://", "~")):
            return ""
        if re.match("/(?:boot|dev|etc|home|media|mnt|opt|run|srv|tmp|usr|var)/", span):
            found = re.match(r"/\w+(?:/lib)?/[\w-]*turnike[\w-]*", span)
            return self._fault_of_text(found[0]) if found else ""
        if found := _ROUTE.fullmatch(span):
            route = re.sub(r"\{[^}]*\}|<[^>]*>", "{}", found[1]).rstrip("/")
            return "" if route in self._index.routes else f"no program serves {found[1]}"
        if found := _PART.fullmatch(span):
            return self._fault_of_part(found[1], found[2])
        is_source = re.fullmatch(rf"[\w.@*<>/-]+\.{_SOURCE}", span) is not None
        if is_source or (_PATH.fullmatch(span) and span.partition("/")[0] in self._index.tops):
            return self._fault_of_source(span)
        if _PATH.fullmatch(span) or _MADE_FILE.fullmatch(span):
            return "" if self._index.has_path(span) else self._fault_of_made_file(span)
        return None

    def _fault_of_source(self, span: str) -> str:
        """A file or folder of the tree. A file's name alone must be one file's only."""
        template = re.sub(r"@[^.]+\.service$", "@.service", span)  # of a systemd unit
        template = re.sub(r"(?<![^/])[A-Z]{3,}(?![^/])", "*", template)  # NAME is for the reader
        if not self._index.has_path(template):
            return f"there is no {span}"
        same = [name for name in self._index.files if name.rpartition("/")[2] == span]
        if len(same) > 1 and span not in self._index.files:
            return f"{len(same)} files are called so: name the folder too"
        return ""

    def _fault_of_part(self, path: str, name: str) -> str:
        if fault := self._fault_of_source(path):
            return fault
        text = "\n".join(
            (self._index.root / each).read_text(encoding="utf-8")
            for each in self._index.files
            if f"/{each}".endswith(f"/{path}")
        )
        is_there = re.search(
            rf"^\s*(?:(?:async )?def|class) {name}\b|^{name}\b", text, re.MULTILINE
        )
        return "" if is_there else f"{path} has no {name}"

    def _fault_of_made_file(self, span: str) -> str:
        """A file or folder that a program makes: the code has its parts."""
        for name in span.strip("/").split("/"):
            literal = re.sub(r"<[^>]*>|\{[^}]*\}|\*", "", name)
            literal = re.sub(r"^(?:(?:\d+|[A-Z]+|)\.)+", "", literal).strip(".")
            if len(literal) > 1 and literal not in self._index.all_text and literal not in PATHS:
                return f"no program makes a {literal}"
        return ""

    def _fault_of_text(self, path: str) -> str:
        for part in re.split(r"\{[^}]*\}|<[^>]*>", path):
            if part not in self._index.all_text and path not in PATHS:
                return f"the code does not have {part}"
        return ""

    def _words(self, span: str) -> str | None:
        """Single names, JSON, and what the programs display."""
        if _NAME.fullmatch(span):
            known = {span, span.removesuffix("_total")} & (self._index.words | NAMES)
            return "" if known or len(span) == 1 else f"nothing is called {span}"
        if keys := _JSON_KEY.findall(span):
            unknown = [key for key in keys if key not in self._index.words]
            return f"nothing is called {unknown[0]}" if unknown else ""
        if re.fullmatch(r"[\w ',;:.…()-]+", span) and len(span.split()) > 1:
            return "" if self._is_text(span) else "no program displays this"
        return None

    def _is_text(self, span: str) -> bool:
        """True if a program's text reads so; `…`, numbers and capitals stand for values."""
        fragments = [each.strip(" ,;:.") for each in re.split(r"…|\b\d[\w,.-]*|\b[A-Z]+\b", span)]
        return span in NAMES or all(
            fragment in self._index.all_text or self._with_value(fragment) for fragment in fragments
        )

    def _with_value(self, fragment: str) -> bool:
        """True if a text of the code reads so with one or two of these words as its value."""
        words = fragment.split()
        for begin in range(len(words)):
            for end in (begin + 1, begin + 2):
                parts = (" ".join(words[:begin]), VALUE, " ".join(words[end:]))
                if (
                    len(words) - (end - begin) > 1
                    and " ".join(parts).strip() in self._index.all_text
                ):
                    return True
        return False
