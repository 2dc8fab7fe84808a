r"""Text from a file, a gate or the network, made fit for a terminal or a log: nothing in it moves a cursor, turns a line around, or begins a new one.

    shown("a\x1b[2J\u202eb\n")        # 'a\\x1b[2J\\u202eb\\n'
    json_shown('{"a": "\u202e"}')     # '{"a": "\\u202e"}', the same value

Escaped is what Python calls not printable: controls (C0, DEL, C1), what overrides direction or has no width, line and
paragraph separators, lone surrogates, what is in no plane. Letters of any language stay as they are.
"""

CHARACTERS_MAX = 2_000


def shown(text: str, characters_max: int = CHARACTERS_MAX) -> str:
    """The text in one line, what is not printable as Python writes it in a string; a longer one is cut and ends in an ellipsis."""
    cut = text if len(text) <= characters_max else f"{text[:characters_max]}…"
    return "".join(each if each.isprintable() else _escape(each) for each in cut)


def json_shown(line: str) -> str:
    r"""JSON of one line, what is not printable within its strings as \uXXXX: the same value. Whatever is no JSON is escaped too."""
    if line.isprintable():
        return line
    return "".join(each if each.isprintable() else _json_escape(each) for each in line)


def _escape(character: str) -> str:
    return repr(character)[1:-1]


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
