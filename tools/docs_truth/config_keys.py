"""The keys of the two configuration files, read from the structs that check them."""

from typing import get_args

import msgspec

from backoffice.home.config import FileConfig
from validator.config import Config


def sections() -> dict[str, set[str]]:
    """The keys of each section of either file; those outside any section are under "".

    A section that both files have (`[reports]`) has the keys of both.
    """
    keys: dict[str, set[str]] = {"": set()}
    for whole in (Config, FileConfig):
        for field in msgspec.structs.fields(whole):
            keys[""].add(field.encode_name)
            for part in _structs(field.type):
                names = {inner.encode_name for inner in msgspec.structs.fields(part)}
                keys.setdefault(field.encode_name, set()).update(names)
    return keys


def _structs(annotation: object) -> list[type[msgspec.Struct]]:
    """The structs in an annotation such as `CourierConfig | None` or `tuple[RuleConfig, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return [annotation]
    return [struct for part in get_args(annotation) for struct in _structs(part)]
