"""The keys of the two configuration files, read from the structs that check them."""

import tomllib
from collections.abc import Iterator, Mapping
from typing import get_args

import msgspec

from backoffice.home.config import FileConfig
from validator.config import Config
from validator.formats.toml_struct import faults


def sections() -> dict[str, set[str]]:
    """The keys of each section of either file; those outside any section are under "".

    A section that both files have (`[reports]`) has the keys of both. A table in a section is under
    both names: `reader.keyboard`.
    """
    keys: dict[str, set[str]] = {"": set()}
    for whole in (Config, FileConfig):
        _add_sections(whole, "", keys)
    return keys


def _add_sections(struct: type[msgspec.Struct], at: str, keys: dict[str, set[str]]) -> None:
    for field in msgspec.structs.fields(struct):
        keys[at].add(field.encode_name)
        for part in _structs(field.type):
            name = f"{at}.{field.encode_name}" if at else field.encode_name
            keys.setdefault(name, set())
            _add_sections(part, name, keys)


def faults_of_block(block: str, known: Mapping[str, set[str]]) -> Iterator[str]:
    """What is wrong with a block of a page as a configuration; nothing if it is no TOML.

    A block with a `gate_id` is a whole configuration of a gate, and is checked as the gate does. Of
    any other the keys are checked: within their section, or alone as a key of any section.
    """
    try:
        values = tomllib.loads(block)
    except tomllib.TOMLDecodeError:
        return
    if "gate_id" in values:
        yield from faults(values, Config)
        return
    for name, value in values.items():
        inner = value[0] if isinstance(value, list) and value else value
        if isinstance(inner, dict) and name not in known:
            yield f"neither configuration has a section [{name}]"
        elif isinstance(inner, dict) and name in known:
            yield from (f"[{name}] has no key {key}" for key in inner if key not in known[name])
        elif not any(name in keys for keys in known.values()):
            yield f"no section has a key {name}"


def _structs(annotation: object) -> list[type[msgspec.Struct]]:
    """The structs in an annotation such as `CourierConfig | None` or `tuple[RuleConfig, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return [annotation]
    return [struct for part in get_args(annotation) for struct in _structs(part)]
