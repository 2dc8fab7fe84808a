"""A JSON object that begins with a checksum over the rest of it and the role of its file.

What a gate believes of itself, and no signature covers.

    content = stamped(b'{"list_version":17}', "1.17.manifest.json")  # {"checksum":"…","list_version":17}
    body = checked(content, "1.17.manifest.json", {"list_version"})  # {"list_version":17}

It finds what a disk does to bytes; against a person who writes there it is no help.
docs/list-format.md, "Checksum".
"""

import re
from collections.abc import Collection
from hashlib import blake2b

from validator.errors import InvalidBytes

CHECKSUM_BYTES = 46  # how many bytes longer a file is with it
_DIGEST_BYTES = 16
_PERSON = b"turnike checksum"
_HEAD = re.compile(rb'\{"checksum":"([0-9a-f]{32})",')
_FIRST_FIELD = re.compile(rb'\s*\{\s*"([a-z0-9_]{1,64})"')


class ChecksumError(InvalidBytes):
    """The bytes are not what was written under this name; the message is one clear line."""


def stamped(body: bytes, role: str) -> bytes:
    """The object with its checksum.

    `body` is a JSON object of at least one field, with no blank after its brace; `role` is the
    file's name.
    """
    return b'{"checksum":"%b",%b' % (_checksum(body, role), body[1:])


def is_stamped(content: bytes) -> bool:
    """Whether the bytes begin as those of a file with a checksum, which may be wrong."""
    return _HEAD.match(content) is not None


def checked(content: bytes, role: str, fields: Collection[str]) -> bytes:
    """The object without its checksum, which was right. Raises ChecksumError.

    Earlier versions wrote no checksum. Their files are taken as they are, and known by their first
    field, one of `fields`: so a checksum whose own name has lost a bit is not mistaken for none.
    """
    if head := _HEAD.match(content):
        body = b"{" + content[head.end() :]
        if head[1] != _checksum(body, role):
            raise ChecksumError("its checksum does not match")
        return body
    first = _FIRST_FIELD.match(content)
    if first is None or first[1].decode() not in fields:
        raise ChecksumError("it begins neither with a checksum nor as an earlier version wrote it")
    return content


def _checksum(body: bytes, role: str) -> bytes:
    digest = blake2b(role.encode() + b"\0" + body, digest_size=_DIGEST_BYTES, person=_PERSON)
    return digest.hexdigest().encode()
