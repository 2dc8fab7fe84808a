"""The file format of an export: JSON Lines, signed by the exporter, sealed to the authority.

docs/runbook.md describes the format for those who read it.

    magic, 8 bytes · the file's key in a libsodium sealed box, 80 bytes
    secretstream header, 24 bytes · chunks
    chunk: 65,536 bytes of the text, and 17 that crypto_secretstream_xchacha20poly1305 adds;
        the last is shorter and tagged FINAL
    text: a header line, a line for each report, and {"signature": "<hex>"}: Ed25519 over
        SIGNED and the SHA-512 of every byte before that line

Writing and reading take bounded memory. The header line names the authority's key as well: an
authority cannot pass the file on as if it had been exported for another.
"""

import hashlib
from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta, Struct
from nacl import bindings
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from validator.errors import OperatorError
from validator.reports.sealing_keys import sealing_key_id

MAGIC = b"\x89TNKEXP\n"
SIGNED = b"turnike reports 1\n"
FORMAT = "turnike reports 1"
CHUNK_BYTES = 1 << 16
LINE_BYTES_MAX = 4_096  # a report has some 450
_BOX_BYTES = bindings.crypto_box_SEALBYTES + bindings.crypto_secretstream_xchacha20poly1305_KEYBYTES
_HEADER_BYTES = bindings.crypto_secretstream_xchacha20poly1305_HEADERBYTES
_MORE = bindings.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
_FINAL = bindings.crypto_secretstream_xchacha20poly1305_TAG_FINAL
_ADDED_BYTES = bindings.crypto_secretstream_xchacha20poly1305_ABYTES

_Hex32 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
_UnixSeconds = Annotated[int, Meta(ge=0, lt=1 << 53)]


class ExportError(OperatorError):
    """A file is no valid export. The message is one line that shows nothing of the file."""


class Header(Struct, frozen=True, kw_only=True):
    """The first line: the period, how many reports, and who exported them, when, for whom.

    The period is [from, up to), by the time at which reports were received.
    """

    format: str = FORMAT
    exporter: _Hex32
    who: Annotated[str, Meta(max_length=128)]
    to: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
    made_unix_s: _UnixSeconds
    from_unix_s: _UnixSeconds
    up_to_unix_s: _UnixSeconds
    reports: Annotated[int, Meta(ge=0, lt=1 << 53)]


class _Signature(Struct, frozen=True, forbid_unknown_fields=True):
    signature: Annotated[str, Meta(pattern=r"^[0-9a-f]{128}\Z")]


_header = msgspec.json.Decoder(Header, strict=True)
_signature = msgspec.json.Decoder(_Signature, strict=True)


class ExportWriter:
    """Writes one export. Only the authority can read it, and not before `release`."""

    def __init__(self, out: BinaryIO, to: bytes, signing: Ed25519PrivateKey) -> None:
        """Begin the file.

        Args:
            out: An empty, seekable file.
            to: The public half of the authority's X25519 key, 32 bytes.
            signing: The exporter's key.
        """
        self._out = out
        self._signing = signing
        self._said = hashlib.sha512()
        self._written = hashlib.sha256()
        self._waiting = bytearray()
        self._state = bindings.crypto_secretstream_xchacha20poly1305_state()
        key = bindings.crypto_secretstream_xchacha20poly1305_keygen()
        self._box = SealedBox(PublicKey(to)).encrypt(key)
        self._written.update(MAGIC + self._box)
        self._out.write(MAGIC + bytes(_BOX_BYTES))  # `release` writes the file's key
        self._put(bindings.crypto_secretstream_xchacha20poly1305_init_push(self._state, key))

    def line(self, fields: Any) -> None:
        """Add a line: the header first, then each report."""
        content = msgspec.json.encode(fields) + b"\n"
        self._said.update(content)
        self._add(content)

    def end(self) -> str:
        """Sign the text and end it. Returns the sha256 that the file will have, in hex."""
        signature = self._signing.sign(SIGNED + self._said.digest()).hex()
        self._add(msgspec.json.encode(_Signature(signature)) + b"\n")
        self._put(self._pushed(bytes(self._waiting), _FINAL))
        return self._written.hexdigest()

    def release(self) -> None:
        """Write the file's key: from now on the authority can read the file. Syncs nothing."""
        self._out.seek(len(MAGIC))
        self._out.write(self._box)

    def _add(self, content: bytes) -> None:
        self._waiting += content
        while len(self._waiting) > CHUNK_BYTES:  # never the last one: that is `end`'s
            self._put(self._pushed(bytes(self._waiting[:CHUNK_BYTES]), _MORE))
            del self._waiting[:CHUNK_BYTES]

    def _pushed(self, chunk: bytes, tag: int) -> bytes:
        return bindings.crypto_secretstream_xchacha20poly1305_push(self._state, chunk, tag=tag)

    def _put(self, content: bytes) -> None:
        self._written.update(content)
        self._out.write(content)


def read_export(source: BinaryIO, opening: bytes, signer: Ed25519PublicKey) -> Iterator[bytes]:
    """The lines of an export, header first, without the signature line.

    Reads and checks the whole file before it yields the first line.

    Args:
        source: A seekable file.
        opening: The private half of the authority's X25519 key, 32 bytes.
        signer: The exporter's public key.

    Raises:
        ExportError: The file is no valid export, or changed while it was read.
    """
    checked = _check(source, opening, signer)
    source.seek(0)
    digest = hashlib.sha512()
    for line in _signed_lines(source, opening):
        digest.update(line)
        yield line
    if digest.digest() != checked:
        raise ExportError("the file was changed while it was read")


def read_header(line: bytes) -> Header:
    """Decode the first line. Raises ExportError."""
    try:
        header = _header.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise ExportError("its first line is no header of an export") from None
    if header.format != FORMAT:
        raise ExportError("it has a format that this program does not read")
    return header


def _check(source: BinaryIO, opening: bytes, signer: Ed25519PublicKey) -> bytes:
    """Check the whole file. Returns the SHA-512 of its signed bytes; raises ExportError."""
    digest, count, header, last = hashlib.sha512(), -1, None, b""
    for line in _lines(source, opening):
        if last:
            digest.update(last)
            count += 1
            header = header or read_header(last)
        last = line
    try:
        signature = bytes.fromhex(_signature.decode(last).signature)
        signer.verify(signature, SIGNED + digest.digest())
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise ExportError("it does not end in a signature") from None
    except InvalidSignature:
        raise ExportError("its signature is not that of this exporter: do not believe it") from None
    own = sealing_key_id(bytes(PrivateKey(opening).public_key)).hex()
    if header is None or header.to != own or header.exporter != signer.public_bytes_raw().hex():
        raise ExportError("it was exported for another authority, and passed on")
    if header.reports != count:
        raise ExportError(f"its header counts {header.reports} reports, and it has {count}")
    return digest.digest()


def _signed_lines(source: BinaryIO, opening: bytes) -> Iterator[bytes]:
    """All lines but the last, which is the signature."""
    lines = _lines(source, opening)
    before = next(lines, b"")
    for line in lines:
        yield before
        before = line


def _lines(source: BinaryIO, opening: bytes) -> Iterator[bytes]:
    rest = b""
    for chunk in _chunks(source, opening):
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > LINE_BYTES_MAX:
            raise ExportError("a line of it is too long")
        yield from (line + b"\n" for line in whole)
    if rest:
        raise ExportError("its last line has no end")


def _chunks(source: BinaryIO, opening: bytes) -> Iterator[bytes]:
    """The text in chunks, as they were written, up to the one tagged FINAL. Raises ExportError."""
    start = source.read(len(MAGIC) + _BOX_BYTES + _HEADER_BYTES)
    if not start.startswith(MAGIC) or len(start) != len(MAGIC) + _BOX_BYTES + _HEADER_BYTES:
        raise ExportError("is no export of reports")
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    try:
        key = SealedBox(PrivateKey(opening)).decrypt(start[len(MAGIC) : -_HEADER_BYTES])
        bindings.crypto_secretstream_xchacha20poly1305_init_pull(state, start[-_HEADER_BYTES:], key)
    except CryptoError:
        raise ExportError("is sealed to another key, or damaged") from None
    tag = _MORE
    while tag != _FINAL:
        sealed = source.read(CHUNK_BYTES + _ADDED_BYTES)
        if not sealed:
            raise ExportError("is cut short")
        try:
            chunk, tag = bindings.crypto_secretstream_xchacha20poly1305_pull(state, sealed)
        except CryptoError:
            raise ExportError("is damaged, or was changed on the way") from None
        yield chunk
    if source.read(1):
        raise ExportError("goes on after its end")
