"""The file `accepted.json`: what the courier has accepted from the city, written before it acts on it. Only its bytes; the rule is domain/floor.py.

The lane reads three of its fields as the time floor (signed_time.py); the courier begins with all of it after a power cut, so that what
was accepted can be installed again from the pieces on the disk, without a network.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from validator.domain.floor import Floor, RoleKeys, RoleVersions
from validator.domain.trusted_time import SIGNED_UNIX_S_END
from validator.errors import InvalidBytes, one_line
from validator.formats.checked import ChecksumError, checked, stamped
from validator.lists.manifest import MANIFEST_BYTES_MAX

ACCEPTED_FILE, ACCEPTED_COPY_FILE = (
    "accepted.json",
    "accepted.copy.json",
)  # the same bytes: either may rot
ACCEPTED_BYTES_MAX = 1 << 14  # versions, three key ids or some more, and a manifest
FORMAT = 1

_Version = Annotated[int, Meta(ge=1, lt=1 << 53)]
_KeyIds = Annotated[tuple[Annotated[str, Meta(max_length=128)], ...], Meta(max_length=16)]


class AcceptedError(InvalidBytes):
    """A file that is not what the courier wrote; the message is one clear line."""


class Accepted(Struct, frozen=True):
    """What was accepted last: the versions and keys of the roles, the signed time and when it was accepted, and the published manifest.

    `installed` is the published manifest of the list that the gate held then, if that is another one (empty: it is not, or there was none): until
    the accepted one is installed, that is what a power cut must not take away.
    """

    root: _Version
    timestamp: _Version
    snapshot: _Version
    targets: _Version
    timestamp_keys: _KeyIds
    snapshot_keys: _KeyIds
    targets_keys: _KeyIds
    list_version: _Version
    era: _Version
    signed_unix_s: Annotated[int, Meta(ge=0, lt=SIGNED_UNIX_S_END)]
    boot_id: Annotated[str, Meta(max_length=64)]
    boottime_ns: Annotated[int, Meta(ge=0)]
    manifest: Annotated[str, Meta(max_length=MANIFEST_BYTES_MAX)]
    format: int = FORMAT
    installed_era: Annotated[int, Meta(ge=0, lt=1 << 53)] = 0
    installed: Annotated[str, Meta(max_length=MANIFEST_BYTES_MAX)] = ""

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(f"its format is {self.format}, this program reads {FORMAT}")

    @classmethod
    def of(cls, floor: Floor, manifest: bytes, boot_id: str, boottime_ns: int) -> "Accepted":
        """The same from its parts."""
        return cls(
            *floor.versions,
            *floor.keys,
            floor.list_version,
            floor.era,
            floor.signed_unix_s,
            boot_id,
            boottime_ns,
            manifest.decode(),
        )

    @property
    def floor(self) -> Floor:
        """What the next one is held against."""
        return Floor(
            RoleVersions(self.root, self.timestamp, self.snapshot, self.targets),
            RoleKeys(self.timestamp_keys, self.snapshot_keys, self.targets_keys),
            self.list_version,
            self.signed_unix_s,
            self.era,
        )


_decoder = msgspec.json.Decoder(Accepted, strict=True)


def decode(content: bytes) -> Accepted:
    """What stands in the file. Raises AcceptedError, and nothing else."""
    if len(content) > ACCEPTED_BYTES_MAX:
        raise AcceptedError(f"longer than {ACCEPTED_BYTES_MAX} bytes")
    try:
        return _decoder.decode(checked(content, ACCEPTED_FILE, Accepted.__struct_fields__))
    except ChecksumError as error:
        raise AcceptedError(str(error)) from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise AcceptedError(one_line(error)) from None


def encode(accepted: Accepted) -> bytes:
    """The bytes of the file, and of its copy."""
    return stamped(msgspec.json.encode(accepted), ACCEPTED_FILE)
