"""What no name of a file or a device has: control characters, and lengths that the system refuses.

Such a name would reach a log and a terminal with each attempt to open it.
"""

import re

PATH_BYTES_MAX = 4_095  # PATH_MAX of Linux, without the zero at the end
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def name_fault(name: str, bytes_max: int = PATH_BYTES_MAX) -> str:
    """Return what is wrong with a name and what to do, or "" if nothing is.

    Args:
        name: as the configuration has it.
        bytes_max: in UTF-8.
    """
    if (found := _CONTROL.search(name)) is not None:
        what = "a zero byte" if found[0] == "\0" else f"the control character {found[0]!r}"
        return f"has {what}; no name has one: write it again"
    length = len(name.encode())
    return f"has {length} bytes; a name has at most {bytes_max}" if length > bytes_max else ""


def path_fault(path: str) -> str:
    """Return what is wrong with a path and what to do, or "" for a good one and for none."""
    if fault := name_fault(path):
        return fault
    if path and not path.startswith("/"):
        return "is not an absolute path; write one that begins with /"
    return ""
