r"""Text from a file, a gate or the network, made safe for a terminal or a log.

    shown("a\x1b[2J\u202eb\n")        # 'a\\x1b[2J\\u202eb\\n'
    json_shown('{"a": "\u202e"}')     # '{"a": "\\u202e"}', the same value

All that Python calls not printable is escaped: control characters (C0, DEL, C1), direction marks,
spaces without width, line and paragraph separators, lone surrogates, unassigned code points. So no
text can move the cursor, turn a line around or begin a line. Letters of any language stay.
"""

CHARACTERS_MAX = 2_000
_QUOTED_MAX = 60


def shown(text: str, characters_max: int = CHARACTERS_MAX) -> str:
    """Return the text on one line, escaped as in a Python string.

    A text longer than `characters_max` is cut and ends in an ellipsis.
    """
    cut = text if len(text) <= characters_max else f"{text[:characters_max]}…"
    return "".join(each if each.isprintable() else _escape(each) for each in cut)


def quoted(text: str) -> str:
    """Return a value that somebody wrote, for one line: in quotes, escaped, cut if it is long."""
    return f"'{shown(text, _QUOTED_MAX)}'"


def json_shown(line: str) -> str:
    r"""Return one line of JSON with the same value, escaped as \uXXXX.

    Text that is not JSON is escaped too.
    """
    if line.isprintable():
        return line
    return "".join(each if each.isprintable() else _json_escape(each) for each in line)


def _escape(character: str) -> str:
    return repr(character)[1:-1]


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
