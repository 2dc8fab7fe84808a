"""The bytes of `accepted.json`: what the courier has accepted from the city, and its copy.

The courier writes it before it acts on it; the rule is domain/floor.py. After a power cut it
begins with all of it, and installs what was accepted from the pieces on the disk, without a
network. The lane reads three of its fields as the time floor (signed_time.py).
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from validator.domain.floor import Floor, RoleKeys, RoleVersions
from validator.domain.trusted_time import SIGNED_UNIX_S_END
from validator.errors import InvalidBytes, one_line
from validator.formats.checked import ChecksumError, checked, stamped
from validator.lists.manifest import MANIFEST_BYTES_MAX

ACCEPTED_FILE = "accepted.json"
ACCEPTED_COPY_FILE = "accepted.copy.json"  # the same bytes, as either file may rot
ACCEPTED_BYTES_MAX = 1 << 14  # versions, three key ids or some more, and a manifest
FORMAT = 1

_Version = Annotated[int, Meta(ge=1, lt=1 << 53)]
_KeyIds = Annotated[tuple[Annotated[str, Meta(max_length=128)], ...], Meta(max_length=16)]


class AcceptedError(InvalidBytes):
    """A file that is not what the courier wrote; the message is one clear line."""


class Accepted(Struct, frozen=True):
    """What was accepted last.

    It has the versions and keys of the roles, the signed time with the boot time at which it was
    accepted, and the published manifest.

    `installed` is the published manifest of the list that the gate held then, empty if it is the
    same one or there was none. A power cut must not take that list away before the accepted one is
    installed.
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
        """Return what was accepted, from the floor and the rest."""
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
        """The floor that the next update must not go below."""
        return Floor(
            RoleVersions(self.root, self.timestamp, self.snapshot, self.targets),
            RoleKeys(self.timestamp_keys, self.snapshot_keys, self.targets_keys),
            self.list_version,
            self.signed_unix_s,
            self.era,
        )


_decoder = msgspec.json.Decoder(Accepted, strict=True)


def decode(content: bytes) -> Accepted:
    """Decode the file.

    Raises:
        AcceptedError: it is not what the courier wrote. No other error is raised.
    """
    if len(content) > ACCEPTED_BYTES_MAX:
        raise AcceptedError(f"longer than {ACCEPTED_BYTES_MAX} bytes")
    try:
        return _decoder.decode(checked(content, ACCEPTED_FILE, Accepted.__struct_fields__))
    except ChecksumError as error:
        raise AcceptedError(str(error)) from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise AcceptedError(one_line(error)) from None


def encode(accepted: Accepted) -> bytes:
    """Return the bytes of the file and of its copy."""
    return stamped(msgspec.json.encode(accepted), ACCEPTED_FILE)
