"""A TOML file checked against a msgspec Struct: all faults at once, each as `KEY: what is wrong`.

    values = table_of(path.read_bytes())       # raises ValueError: the file is not TOML
    lines = faults(values, Config)             # [] when msgspec.convert(values, Config) succeeds

msgspec reports only the first fault and names no allowed words; an operator who edits a file by
hand wants all of them. The `description` of its `msgspec.Meta` explains a key with a pattern.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import inspect

from validator.formats.text_files import text_of

FAULTS_MAX = 20  # a file of another program would fill the terminal
_SHOWN_MAX = 60  # characters of a wrong value


def table_of(content: bytes) -> dict[str, Any]:
    """Parse a TOML file, in any encoding that text_of() knows.

    Raises:
        ValueError: the file is not TOML; the text is one line with what to do.
    """
    text = text_of(content)
    if "\r" in text and "\n" not in text:
        raise ValueError("ends its lines with CR alone; save it with LF or CRLF")
    try:
        return tomllib.loads(text)
    except (
        ValueError,
        RecursionError,
    ) as error:  # also a number of too many digits, and too deep a nesting
        raise ValueError(f"is not TOML: {error}") from error


def faults(values: Mapping[str, Any], kind: type[msgspec.Struct]) -> list[str]:
    """Return every fault of `values` as a `kind`, in the order of the keys.

    The lines after the first FAULTS_MAX become one: "and N more".
    """
    found = list(_of_struct(values, kind, "", _places(kind)))
    if len(found) > FAULTS_MAX:
        found[FAULTS_MAX:] = [f"and {len(found) - FAULTS_MAX} more"]
    return found


def _of_struct(
    values: object, kind: type[msgspec.Struct], at: str, places: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    if not isinstance(values, Mapping):
        yield f"{at or 'it'}: must be a table, not {_shown(values)}"
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    is_sound, misspelt = True, set()
    for name in values:
        if name not in fields:
            is_sound = False
            meant = get_close_matches(name, [each for each in fields if each not in values], 1)
            misspelt.update(meant)
            hint = _hint(name, at, meant, places)
            yield f"{_key(at, name)}: is not a key of the configuration{hint}"
    for name, field in fields.items():
        if name in values:
            for fault in _of_value(values[name], field.type, _key(at, name), places):
                is_sound = False
                yield fault
        elif field.required and name not in misspelt:
            is_sound = False
            yield f"{_key(at, name)}: is missing and has no default"
    if is_sound:  # the checks of the struct itself, which need valid parts
        try:
            msgspec.convert(values, kind)
        except msgspec.ValidationError as error:
            yield f"{at or 'it'}: {str(error).partition(' - at ')[0]}"


def _of_value(
    value: object, kind: Any, at: str, places: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    struct, item = _struct_in(kind), _item_in(kind)
    if struct is not None:
        yield from _of_struct(value, struct, at, places)
        return
    is_sound = True
    if item is not None and isinstance(value, list):
        for number, entry in enumerate(value, start=1):
            for fault in _of_struct(entry, item, f"{at}[{_called(entry, number)}]", places):
                is_sound = False
                yield fault
    if is_sound:
        yield from _of_leaf(value, kind, at)


def _of_leaf(value: object, kind: Any, at: str) -> Iterator[str]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        info = inspect.type_info(kind)
        place = re.search(r" - at `\$\[(\d+)\]`$", str(error))
        if place and isinstance(value, list) and isinstance(_bare(info), inspect.VarTupleType):
            at = f"{at}[{place[1]}]"
            value, info = value[int(place[1])], _bare(info).item_type
        words = [word for word in _words_of(info) if isinstance(word, str)]
        meant = get_close_matches(str(value), words, 1)
        hint = f"; did you mean {_quoted(meant[0])}?" if meant else ""
        yield f"{at}: must be {_must_be(info)}, not {_shown(value)}{hint}"


def _must_be(info: Any) -> str:
    """A value of this type in words: "a whole number from 1 to 99"."""
    match info:
        case inspect.Metadata(extra_json_schema={"description": str(words)}):
            return words
        case inspect.Metadata(type=inner):
            return _must_be(inner)
        case inspect.UnionType(types=types):  # the other one is None, for which TOML has no word
            return _must_be(next(each for each in types if not isinstance(each, inspect.NoneType)))
        case inspect.LiteralType() | inspect.EnumType():
            *most, last = map(_shown, _words_of(info))
            return f"{', '.join(most)} or {last}" if most else last
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return f"a whole number{_bounds(info.ge, info.le)}"
        case inspect.FloatType():
            return f"a number{_bounds(info.ge, info.le)}"
        case inspect.StrType():
            lengths = _bounds(info.min_length, info.max_length, " of ")
            return f'text in "quotes"{lengths and f"{lengths} characters"}'
        case inspect.DateTimeType():
            return "a date and a time with its offset, such as 2021-01-15T00:00:00+03:00"
        case inspect.VarTupleType() | inspect.ListType():
            return f"a list [...] of{_bounds(info.min_length, info.max_length, ' ')} entries"
    return "of another type"


def _bounds(least: float | None, most: float | None, before: str = " from ") -> str:
    if least is None or most is None:
        return (
            ""
            if least is None and most is None
            else f" {f'at least {least}' if most is None else f'up to {most}'}"
        )
    return f"{before}{least} to {most}"


def _words_of(info: Any) -> list[str | int]:
    """All values of a type that has few. A number has no quotes: the file needs none either."""
    match _bare(info):
        case inspect.LiteralType(values=values):
            return [value for value in values if isinstance(value, str | int)]
        case inspect.EnumType(cls=cls):
            return [member.value for member in cls]
    return []


def _bare(info: Any) -> Any:
    return info.type if isinstance(info, inspect.Metadata) else info


def _item_in(kind: Any) -> type[msgspec.Struct] | None:
    """The struct of each entry, if the type is a list of structs."""
    kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return _struct_in(get_args(kind)[0]) if get_origin(kind) is tuple else None


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:
    """The struct itself, if the type is `Struct` or `Struct | None`."""
    kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if get_origin(kind) in {UnionType, Union}:
        kind = next((each for each in get_args(kind) if each is not type(None)), None)
    return kind if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None


def _places(kind: type[msgspec.Struct], at: str = "") -> dict[str, list[str]]:
    """Every key of the file, and the tables that have it ("" is the top of the file)."""
    places: dict[str, list[str]] = {}
    for field in msgspec.structs.fields(kind):
        struct = _struct_in(field.type) or _item_in(field.type)
        places.setdefault(field.encode_name, []).append(at)
        if struct is not None:
            for name, tables in _places(struct, _key(at, field.encode_name)).items():
                places.setdefault(name, []).extend(tables)
    return places


def _hint(name: str, at: str, meant: Sequence[str], places: Mapping[str, Sequence[str]]) -> str:
    if meant:
        return f"; did you mean {meant[0]}?"
    elsewhere = [table for table in places.get(name, ()) if table != at]
    if not elsewhere:
        return ""
    if elsewhere[0] == "":
        return "; it belongs at the top of the file, above the first [table]"
    return f"; it belongs under {' or '.join(f'[{table}]' for table in elsewhere)}"


def _called(entry: object, number: int) -> str:
    """The name of a list's entry in a message: its `name` if that is printable, else its number."""
    name = entry.get("name") if isinstance(entry, Mapping) else None
    return (
        name if isinstance(name, str) and re.fullmatch(r"[a-z0-9_-]{1,32}", name) else str(number)
    )


def _shown(value: object) -> str:
    text = (
        _quoted(value)
        if isinstance(value, str)
        else str(value).lower()
        if isinstance(value, bool)
        else repr(value)
    )
    if isinstance(value, Mapping):
        text = "a table"
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 1]}…"


def _quoted(value: object) -> str:
    return f'"{value}"' if str(value).isprintable() else repr(value)


def _key(table: str, name: str) -> str:
    shown = name if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) else _shown(name)
    return f"{table}.{shown}" if table else shown
