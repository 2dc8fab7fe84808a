"""Text files that people write, with the editors of Unix or Windows: bytes to text."""

import codecs
from typing import BinaryIO

CONFIG_BYTES_MAX = 1 << 20  # a configuration has 1 KiB; a device file would fill the memory
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def text_of(content: bytes) -> str:
    """Decode UTF-8, with or without a byte order mark, or UTF-16 with one.

    PowerShell's `>` and Notepad's "Unicode" write UTF-16.

    Raises:
        ValueError: the bytes are neither; the text is one line: where, and what to do.
    """
    if content.startswith(_UTF_16):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError as error:
            raise ValueError("is UTF-16 that breaks off; save it as UTF-8") from error
    try:
        text = content.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not UTF-8; save it as UTF-8") from error
    if "\0" in text:
        raise ValueError(
            "has zero bytes: it is no text, or UTF-16 without a mark; save it as UTF-8"
        )
    return text


def config_bytes(file: BinaryIO) -> bytes:
    """Read a configuration, which may come through a pipe.

    Raises:
        ValueError: the file is larger than 1 MiB.
        OSError: the file cannot be read.
    """
    content = file.read(CONFIG_BYTES_MAX + 1)
    if len(content) > CONFIG_BYTES_MAX:
        raise ValueError("is larger than 1 MiB; it is no configuration")
    return content


def word_of(content: bytes) -> str:
    """Return the one word of a file, such as a token, without blanks and ends of lines.

    Raises:
        ValueError: the file is not text, is empty, or has more than one word.
    """
    words = text_of(content).split()
    if len(words) != 1:
        raise ValueError(
            "is empty" if not words else f"has {len(words)} words, and should have one"
        )
    return words[0]
