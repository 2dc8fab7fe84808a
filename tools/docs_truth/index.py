"""What a page may name of the tree: paths, modules, classes, functions, words of the code."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from tools.docs_truth.markdown import Page, parse
from tools.tree import files_of

_CODE = (".py", ".js", ".html", ".css", ".toml", ".yml", ".json", ".conf", ".service", ".sql")
_NOT_CODE = ("docs/", "tools/", "tests/", "findings/", "requirements/")
VALUE = "\0"  # in a text: a value that the program fills in


class Index:
    """The tree at `root`. Everything is read on first use."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = files_of(root)
        self.folders = {
            "/".join(name.split("/")[:depth])
            for name in self.files
            for depth in range(1, name.count("/") + 1)
        }
        self.tops = {name.split("/")[0] for name in self.files}
        self._pages: dict[str, Page] = {}

    def has_path(self, path: str) -> bool:
        """True if `path` is a file or folder from the root, or the end of one: `lane/clerk.py`.

        `*`, and `<name>` for what varies, match within a name.
        """
        wanted = re.sub(r"<[^>]*>|\{[^}]*\}", "*", path.strip("/"))
        if "*" not in wanted:
            return wanted in self._ends
        return any(fnmatchcase(name, wanted) for name in self._ends)

    @cached_property
    def _ends(self) -> set[str]:
        """Every path of a file or folder, whole and without the first of its folders."""
        paths = (name.split("/") for group in (self.files, self.folders) for name in group)
        return {"/".join(parts[begin:]) for parts in paths for begin in range(len(parts))}

    def text(self, name: str) -> str:
        """A file of the tree as text."""
        return (self.root / name).read_text(encoding="utf-8")

    def page(self, name: str) -> Page:
        """A page of the tree, parsed once."""
        if name not in self._pages:
            self._pages[name] = parse(self.text(name))
        return self._pages[name]

    @cached_property
    def _code(self) -> list[tuple[str, str]]:
        names = [
            name
            for name in self.files
            if (name.endswith(_CODE) or name in {"Makefile", ".ci/run"} or name.endswith(".rules"))
            and not name.startswith(_NOT_CODE)
        ]
        return [(name, self.text(name)) for name in names]

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        """The parsed Python files of the code, by their module's dotted name."""
        python = ((name, text) for name, text in self._code if name.endswith(".py"))
        return {_module(name): ast.parse(text) for name, text in python}

    @cached_property
    def texts(self) -> list[str]:
        """Every string of the code but docstrings; blanks collapsed, values as a zero character."""
        texts = []
        for tree in self.trees.values():
            skipped = set(_docstrings(tree))
            for node in ast.walk(tree):
                if isinstance(node, ast.JoinedStr):
                    skipped |= {id(part) for part in node.values}
            found = (_text(node) for node in ast.walk(tree) if id(node) not in skipped)
            texts += [" ".join(text.split()) for text in found if text is not None]
        others = (
            re.sub(r"#.*", "", text) if name.endswith(".toml") else text
            for name, text in self._code
            if not name.endswith(".py")
        )
        return [*texts, *(" ".join(text.split()) for text in others)]

    @cached_property
    def all_text(self) -> str:
        """All strings of the code in one."""
        return "\n".join(self.texts)

    @cached_property
    def routes(self) -> set[str]:
        """Every path that starts with a slash in a string of the code, values as `{}`."""
        found = re.findall(rf"(?<![\w.<{VALUE}:/*>-])/[\w./{{}}{VALUE}-]+", self.all_text)
        return {re.sub(rf"\{{[^}}]*\}}|{VALUE}", "{}", path).rstrip("/.") for path in found}

    @cached_property
    def words(self) -> set[str]:
        """Every identifier of the code, every word of its strings, and what a contract defines."""
        found = set(re.findall(r"\w+", self.all_text))
        for name in self.files:
            if name.startswith("tests/contracts/") and name.endswith(".py"):
                found |= _names_of(ast.parse(self.text(name)))
                found |= {
                    member
                    for node in ast.parse(self.text(name)).body
                    if isinstance(node, ast.ClassDef)
                    for member in _members(node)
                }
        for tree in self.trees.values():
            for node in ast.walk(tree):
                match node:
                    case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name):
                        found.add(name)
                    case ast.keyword(arg=str(name)) | ast.alias(name=name):
                        found.update(name.split("."))
                    case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                        found.add(name)
                    case _:
                        pass
        return found

    @cached_property
    def classes(self) -> dict[str, list[ast.ClassDef]]:
        """Every class of the code by its name."""
        found = defaultdict(list)
        for tree in self.trees.values():
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    found[node.name].append(node)
        return found

    @cached_property
    def functions(self) -> dict[str, list[list[str]]]:
        """For the name of every function and method the names of its arguments, of each."""
        found: dict[str, list[list[str]]] = defaultdict(list)
        for tree in self.trees.values():
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    all_of = node.args
                    arguments = [*all_of.posonlyargs, *all_of.args, *all_of.kwonlyargs]
                    arguments += [each for each in (all_of.vararg, all_of.kwarg) if each]
                    found[node.name].append([each.arg for each in arguments])
        return found

    def has_module(self, module: str) -> bool:
        """True for a module or a folder of modules."""
        path = module.replace(".", "/")
        return path in self.folders or f"{path}.py" in self.files

    def module_members(self, module: str) -> set[str]:
        """The names that a module, or the `__init__.py` of a folder, has at its top level."""
        path = module.replace(".", "/")
        names = (f"{path}.py", f"{path}/__init__.py")
        return {
            member
            for name in names
            if name in self.files
            for member in _names_of(ast.parse(self.text(name)))
        }

    def member_classes(self, name: str, member: str) -> list[str]:
        """The classes of this tree that the annotation of a member names."""
        return [
            part.id
            for each in self.classes.get(name, [])
            for node in each.body
            if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == member
            for part in ast.walk(node.annotation)
            if isinstance(part, ast.Name) and part.id in self.classes
        ]

    def members(self, name: str) -> set[str]:
        """What the classes called `name` have, inherited members of this tree included."""
        found: set[str] = set()
        for each in self.classes.get(name, []):
            found |= set(_members(each))
            for base in each.bases:
                if isinstance(base, ast.Name) and base.id != name:
                    found |= self.members(base.id)
        return found


def _module(name: str) -> str:
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _docstrings(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            match node.body:
                case [ast.Expr(ast.Constant(str()) as docstring), *_]:
                    yield id(docstring)
                case _:
                    pass


def _text(node: ast.AST) -> str | None:
    match node:
        case ast.Constant(str(text)):
            return text
        case ast.Constant(bytes(raw)):
            return raw.decode("utf-8", "replace")
        case ast.JoinedStr(values):
            return "".join(
                str(part.value) if isinstance(part, ast.Constant) else VALUE for part in values
            )
        case _:
            return None


def _members(node: ast.ClassDef) -> Iterator[str]:
    for part in ast.walk(node):
        match part:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.Assign(targets=[ast.Name(id=name)]):
                yield name
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                yield name
            case _:
                pass


def _names_of(tree: ast.Module) -> set[str]:
    """The names that a module defines or imports at its top level."""
    found = set()
    for node in tree.body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                found.add(name)
            case ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]):
                found.add(name)
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
            case ast.ImportFrom(names=names) | ast.Import(names=names):
                found |= {each.asname or each.name for each in names}
            case _:
                pass
    return found
