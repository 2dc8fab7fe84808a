"""Whether modules, classes, members, functions and their arguments exist, by the syntax trees."""

import re

from tools.docs_truth.foreign import NAMES
from tools.docs_truth.index import Index

_CALL = re.compile(r"([A-Za-z_][\w.]*)\((.*)\)")
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_NAME = re.compile(r"[A-Za-z_]\w*")


class Symbols:
    """The judge of symbols over one tree."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def fault(self, span: str) -> str | None:
        """What does not exist of a symbol or a call; "" if all does, None for another span."""
        if found := _CALL.fullmatch(span):
            name, arguments = found[1], found[2]
            if name in NAMES:
                return ""
            if fault := self._fault_of_symbol(name):
                return fault
            return self._fault_of_arguments(name.split(".")[-1], arguments)
        if _DOTTED.fullmatch(span) and span not in NAMES:
            return self._fault_of_symbol(span)
        return None

    def _fault_of_symbol(self, dotted: str) -> str:
        first, *rest = dotted.split(".")
        if dotted in NAMES or first in NAMES:
            return ""
        if not rest:
            is_known = first in self._index.functions or first in self._index.classes
            return "" if is_known else f"no function is called {first}"
        if first in self._index.tops:
            return self._fault_in_module(dotted)
        if first in self._index.classes:
            return self._fault_of_members(first, rest)
        modules = [name for name in self._index.trees if name.split(".")[-1] == first]
        if modules:
            known = any(rest[0] in self._index.module_members(name) for name in modules)
            return "" if known else f"no module {first} has a {rest[0]}"
        unknown = [name for name in (first, *rest) if name not in self._index.words]
        return f"nothing is called {unknown[0]}" if unknown else ""

    def _fault_of_members(self, name: str, members: list[str]) -> str:
        """Follow `members` from the class `name` as far as annotations name classes of the tree."""
        classes = [name]
        for member in members:
            if not any(member in self._index.members(each) for each in classes):
                return f"{classes[0]} has no {member}"
            classes = [
                found for each in classes for found in self._index.member_classes(each, member)
            ]
            if not classes:
                break
        return ""

    def _fault_in_module(self, dotted: str) -> str:
        names = dotted.split(".")
        for end in range(len(names), 0, -1):
            module = ".".join(names[:end])
            if not self._index.has_module(module):
                continue
            if end == len(names):
                return ""
            if names[end] not in self._index.module_members(module):
                return f"{module} has no {names[end]}"
            members = self._index.members(names[end])
            if end + 1 < len(names) and members and names[end + 1] not in members:
                return f"{names[end]} has no {names[end + 1]}"
            return ""
        return f"there is no module {names[0]}"

    def _fault_of_arguments(self, function: str, arguments: str) -> str:
        given = [re.split("[=:]", part.strip(" *"))[0] for part in arguments.split(",")]
        names = {name for name in given if _NAME.fullmatch(name)}
        known = self._index.functions.get(function)
        if function in self._index.classes:  # one with an __init__ of its own is not judged
            fields = self._index.members(function)
            known = None if "__init__" in fields else [[*fields]]
        if not names or known is None or any(names <= set(each) for each in known):
            return ""
        return f"no {function} takes {', '.join(sorted(names))}"

    def fault_of_import(self, line: str) -> str | None:
        """What an import of Python in a page names that the tree does not have."""
        found = re.match(r"\s*(?:>>> )?from ([\w.]+) import ([\w, ]+)|\s*import ([\w.]+)", line)
        if found is None or (found[1] or found[3]).split(".")[0] not in self._index.tops:
            return None
        names = (
            [f"{found[1]}.{name.split()[0]}" for name in found[2].split(",")] if found[1] else []
        )
        faults = (self._fault_in_module(name) for name in names or [found[3]])
        return next((fault for fault in faults if fault), None)
