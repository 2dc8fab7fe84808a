"""The file of an export: the authority alone reads it, whole, from this exporter."""

import hashlib
import io
import json
import random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl import bindings

from backoffice.reports.export_file import (
    CHUNK_BYTES,
    MAGIC,
    ExportError,
    ExportWriter,
    read_export,
)
from tests.support.city.export_desk import UIDS, Desk, header_of, key, read, refused
from validator.reports.sealing_keys import sealing_key_id


def test_the_file_is_as_the_runbook_describes_it_for_other_tools(full: Desk) -> None:
    full.export()
    content = (full.folder / "out").read_bytes()
    assert content[:8] == bytes.fromhex("89 54 4E 4B 45 58 50 0A")
    file_key = bindings.crypto_box_seal_open(
        content[8:88], bytes(full.authority.public_key), bytes(full.authority)
    )
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    bindings.crypto_secretstream_xchacha20poly1305_init_pull(state, content[88:112], file_key)
    text, tag = bindings.crypto_secretstream_xchacha20poly1305_pull(state, content[112:])
    assert tag == bindings.crypto_secretstream_xchacha20poly1305_TAG_FINAL
    *before, last = text.splitlines(keepends=True)
    signature = bytes.fromhex(json.loads(last)["signature"])
    digest = hashlib.sha512(b"".join(before)).digest()
    full.signing.public_key().verify(signature, b"turnike reports 1\n" + digest)
    assert len(before) == 1 + json.loads(before[0])["reports"]


def test_another_than_the_authority_reads_nothing(full: Desk) -> None:
    full.export()
    content = (full.folder / "out").read_bytes()
    assert "another key" in refused(full, content, authority=full.sealing[0])
    assert not any(uid in content or uid.hex().encode() in content for uid in UIDS)
    assert (full.folder / "out").stat().st_mode & 0o777 == 0o600


def test_an_export_that_was_changed_anywhere_is_refused_before_a_line_is_given(full: Desk) -> None:
    full.export()
    content = (full.folder / "out").read_bytes()
    places = random.Random(5)
    for _ in range(60):
        changed = bytearray(content)
        changed[places.randrange(len(content))] ^= 1 << places.randrange(8)
        refused(full, bytes(changed))
        refused(full, content[: places.randrange(len(content))])
    refused(full, content + b"x")
    assert "is no export" in refused(full, b"")
    assert "is no export" in refused(full, MAGIC)


def test_chunks_cannot_change_places_or_be_left_out(desk: Desk) -> None:
    content = written(desk, header_of(desk, 3_000), ["x" * 100] * 3_000)
    start = len(MAGIC) + 80 + 24
    size = CHUNK_BYTES + 17
    first, second = content[start : start + size], content[start + size : start + 2 * size]
    rest = content[start + 2 * size :]
    assert "damaged" in refused(desk, content[:start] + second + first + rest)
    assert "damaged" in refused(desk, content[:start] + first + rest)
    assert "cut short" in refused(desk, content[:start] + first + second)


def test_nothing_is_added_behind_a_last_chunk_that_is_full(desk: Desk) -> None:
    short = written(desk, header_of(desk, 1), [""])
    full = written(desk, header_of(desk, 1), ["x" * (CHUNK_BYTES - text_bytes(short))])
    assert text_bytes(full) == CHUNK_BYTES
    read(full, desk.authority, desk.signing.public_key())
    assert "goes on after its end" in refused(desk, full + b"x")


def text_bytes(content: bytes) -> int:
    """How long the text in one chunk is."""
    return len(content) - len(MAGIC) - 80 - 24 - 17


def written(
    desk: Desk, header: Any, lines: list[Any], signing: Ed25519PrivateKey | None = None
) -> bytes:
    out = io.BytesIO()
    writer = ExportWriter(out, bytes(desk.authority.public_key), signing or desk.signing)
    for line in (header, *lines):
        writer.line(line)
    writer.end()
    writer.release()
    return out.getvalue()


def test_an_export_that_another_exporter_signed_is_not_believed(desk: Desk) -> None:
    other = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
    assert "not that of this exporter" in refused(
        desk, written(desk, header_of(desk, 0), [], other)
    )
    named = header_of(desk, 0, exporter=other.public_key().public_bytes_raw().hex())
    assert "not that of this exporter" in refused(desk, written(desk, named, [], other))


def test_an_authority_cannot_pass_an_export_on_as_if_it_were_anothers(desk: Desk) -> None:
    theirs = header_of(desk, 0, to=sealing_key_id(bytes(key(9).public_key)).hex())
    assert "for another authority" in refused(desk, written(desk, theirs, []))


def test_what_an_exporter_wrote_wrongly_is_refused(desk: Desk) -> None:
    assert "its header counts 2 reports, and it has 1" in refused(
        desk, written(desk, header_of(desk, 2), [{}])
    )
    assert "no header" in refused(desk, written(desk, {}, []))
    assert "no header" in refused(desk, written(desk, [1], []))
    newer = header_of(desk, 0, format="turnike reports 2")
    assert "a format that this program does not read" in refused(desk, written(desk, newer, []))
    assert "too long" in refused(desk, written(desk, header_of(desk, 1), ["x" * 100_000]))


def test_a_file_that_is_swapped_while_it_is_read_is_noticed(desk: Desk) -> None:
    first, second = (written(desk, header_of(desk, 1), [{"of": name}]) for name in "ab")
    source = io.BytesIO(first)
    lines = read_export(source, bytes(desk.authority), desk.signing.public_key())
    begun = iter(lines)
    source.seek = lambda *_: (source.__init__(second), 0)[1]  # type: ignore[method-assign, misc]
    with pytest.raises(ExportError, match="was changed while it was read"):
        list(begun)
