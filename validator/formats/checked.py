"""A JSON object that begins with a checksum of the rest and of the name of its file.

It is for files that a gate writes for itself, and that no signature covers.

    content = stamped(b'{"list_version":17}', "1.17.manifest.json")
    # content is {"checksum":"…","list_version":17}
    body = checked(content, "1.17.manifest.json", {"list_version"})
    # body is {"list_version":17}

The checksum finds damage by a disk. It does not stop a person who can write to the disk.
docs/list-format.md, "Checksum".
"""

import re
from collections.abc import Collection
from hashlib import blake2b

from validator.errors import InvalidBytes

CHECKSUM_BYTES = 46  # how many bytes the checksum adds to a file
_DIGEST_BYTES = 16
_PERSON = b"turnike checksum"
_HEAD = re.compile(rb'\{"checksum":"([0-9a-f]{32})",')
_FIRST_FIELD = re.compile(rb'\s*\{\s*"([a-z0-9_]{1,64})"')


class ChecksumError(InvalidBytes):
    """The bytes are not what was written under this name; the text is one line."""


def stamped(body: bytes, role: str) -> bytes:
    """Return the object with its checksum in front.

    Args:
        body: a JSON object of at least one field, without a blank after its brace.
        role: the name of the file.
    """
    return b'{"checksum":"%b",%b' % (_checksum(body, role), body[1:])


def is_stamped(content: bytes) -> bool:
    """Whether the bytes begin with a checksum, right or wrong."""
    return _HEAD.match(content) is not None


def checked(content: bytes, role: str, fields: Collection[str]) -> bytes:
    """Verify the checksum and return the object without it.

    Earlier versions wrote no checksum. A file without one is accepted if its first field is one of
    `fields`: so a damaged checksum is not taken for a file without one.

    Raises:
        ChecksumError: the checksum is wrong, or the first field is unknown.
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
