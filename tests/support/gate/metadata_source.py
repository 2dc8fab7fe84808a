"""A metadata source's answers and requests, as its tests read them."""

from hashlib import sha256

import pytest

from tests.support.city.tuf_making import (
    NOW_UNIX_S,
)
from validator.courier.signed_metadata import TufMetadata
from validator.domain.trusted_time import TimeBasis
from validator.errors import RemoteError, SourceState

FIRST = ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]


SECOND = b'{"list_version": 2}'


def refusal(
    town: TufMetadata, now_unix_s: int = NOW_UNIX_S, basis: TimeBasis | None = None
) -> SourceState:
    """The state of a poll that must fail."""
    with pytest.raises(RemoteError) as error:
        town.signed(now_unix_s, basis)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 250
    return error.value.state


def manifest_path(manifest: bytes) -> str:
    return f"targets/{sha256(manifest).hexdigest()}.manifest.json"
