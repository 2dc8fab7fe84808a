"""libpcsclite by ctypes: the functions that a reader needs, as three small classes.

Refused: pyscard. It is built from C with swig, on a Pi that has no compiler, and its monitors add
threads and a poll of their own.

Types and constants: pcsc-lite's winscard.h and wintypes.h. On Linux LONG and DWORD are C's `long`,
unlike on Windows.
"""

import ctypes
import os
import sys
from collections.abc import Sequence
from typing import Protocol

from validator.lane.readers.pcsc.codes import Code, PcscError, Protocols, Share

LIBRARY = "libpcsclite.so.1"
ATR_BYTES_MAX = 33
ANSWER_BYTES_MAX = 264  # an answer of a short APDU: 256 bytes and its status
_SCOPE_SYSTEM, _LEAVE_CARD = 2, 0
_CHANNEL_ID, _CHANNEL_USB = 0x20110, 0x20  # an attribute, and its high word for a reader on USB
_ATTRIBUTE_BYTES_MAX = 16
_LISTS_MAX = 4  # the list may grow between the question for its size and the list itself

_Long, _Dword = ctypes.c_long, ctypes.c_ulong


class _ReaderState(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("user", ctypes.c_void_p),
        ("known", _Dword),
        ("event", _Dword),
        ("atr_bytes", _Dword),
        ("atr", ctypes.c_ubyte * ATR_BYTES_MAX),
    )


class _Pci(ctypes.Structure):
    _fields_ = (("protocol", _Dword), ("bytes", _Dword))


class Card(Protocol):
    """A connection to the card in a slot."""

    def transmit(self, apdu: bytes) -> bytes:
        """Send an APDU; return the answer, empty if the card left meanwhile. Raises PcscError."""

    def disconnect(self) -> None:
        """End the connection; the card stays as it is. Never raises."""


class Context(Protocol):
    """A connection to pcscd. One thread uses it, but for `cancel`."""

    def slots(self) -> list[str]:
        """Return the names of all slots. Raises PcscError."""

    def wait(self, known: Sequence[tuple[str, int]], limit_ms: int) -> list[int] | None:
        """Wait until the state of a slot is another than the known one.

        Args:
            known: slots with their states, 0 for not known; PNP with the count of slots in the
                high word.
            limit_ms: the longest wait.

        Returns:
            All states; None at the limit, and after `cancel`.

        Raises:
            PcscError: a slot is gone, or pcscd is.
        """

    def connect(self, slot: str, protocols: Protocols) -> Card:
        """Connect to the card in a slot, shared with other programs. Raises PcscError."""

    def usb_address(self, slot: str) -> tuple[int, int] | None:
        """Return the bus and the address of a slot's device, or None if it tells none.

        Raises:
            PcscError: the slot is gone, or pcscd is.
        """

    def cancel(self) -> None:
        """End a wait under way; for any thread. It waits for pcscd's answer. Never raises."""

    def release(self) -> None:
        """End it. Never raises."""


class Pcsc(Protocol):
    """What makes contexts: libpcsclite, or a fake of it in tests."""

    def context(self) -> Context:
        """Connect to pcscd. Raises PcscError."""


class PcscLite:
    """libpcsclite, loaded. A `Pcsc`."""

    def __init__(self, name: str = LIBRARY) -> None:
        """Load the library. Raises OSError: it is not installed, or it is another one."""
        library = ctypes.CDLL(name)
        for function, arguments in _ARGUMENTS.items():
            loaded = getattr(library, function, None)
            if loaded is None:
                raise OSError(f"{name} has no function {function}")
            loaded.argtypes, loaded.restype = arguments, _Long
        self._library = library

    def call(self, function: str, *arguments: object) -> None:
        """Call a function of the library. Raises PcscError unless it succeeds."""
        code = getattr(self._library, function)(*arguments) & 0xFFFFFFFF
        if code != Code.SUCCESS:
            raise PcscError(code, function)

    def quietly(self, function: str, *arguments: object) -> None:
        """Call a function of the library whose failure means nothing."""
        getattr(self._library, function)(*arguments)

    def context(self) -> Context:
        """Connect to pcscd. Raises PcscError."""
        return _Context(self)


class _Context:
    def __init__(self, library: PcscLite) -> None:
        self._library = library
        self._handle = _Long()
        library.call("SCardEstablishContext", _SCOPE_SYSTEM, None, None, ctypes.byref(self._handle))

    def slots(self) -> list[str]:
        for _ in range(_LISTS_MAX):
            size = _Dword()
            try:
                self._call("SCardListReaders", None, None, ctypes.byref(size))
                names = ctypes.create_string_buffer(max(1, size.value))
                self._call("SCardListReaders", None, names, ctypes.byref(size))
            except PcscError as error:
                if error.code == Code.NO_READERS:
                    return []
                if error.code == Code.INSUFFICIENT_BUFFER:
                    continue
                raise
            listed = names.raw[: size.value].split(b"\0")
            return [os.fsdecode(name) for name in listed if name]
        return []

    def wait(self, known: Sequence[tuple[str, int]], limit_ms: int) -> list[int] | None:
        states = (_ReaderState * len(known))()
        for state, (name, value) in zip(states, known, strict=True):
            state.name, state.known = os.fsencode(name), value
        try:
            self._call("SCardGetStatusChange", limit_ms, states, len(known))
        except PcscError as error:
            if error.code in {Code.TIMEOUT, Code.CANCELLED}:
                return None
            raise
        return [state.event for state in states]

    def connect(self, slot: str, protocols: Protocols) -> Card:
        return self._connect(slot, Share.SHARED, protocols)

    def usb_address(self, slot: str) -> tuple[int, int] | None:
        connection = self._connect(slot, Share.DIRECT, 0)  # without a card, too
        try:
            channel = connection.channel()
        finally:
            connection.disconnect()
        if channel is None or channel >> 16 != _CHANNEL_USB:
            return None
        return channel >> 8 & 0xFF, channel & 0xFF

    def _connect(self, slot: str, share: Share, protocols: int) -> "_Card":
        handle, protocol = _Long(), _Dword()
        self._call(
            "SCardConnect",
            *(os.fsencode(slot), share, protocols),
            *(ctypes.byref(handle), ctypes.byref(protocol)),
        )
        return _Card(self._library, handle, protocol.value)

    def cancel(self) -> None:
        self._library.quietly("SCardCancel", self._handle)

    def release(self) -> None:
        self._library.quietly("SCardReleaseContext", self._handle)

    def _call(self, function: str, *arguments: object) -> None:
        self._library.call(function, self._handle, *arguments)


class _Card:
    def __init__(self, library: PcscLite, handle: ctypes.c_long, protocol: int) -> None:
        self._library = library
        self._handle = handle
        self._pci = _Pci(protocol, ctypes.sizeof(_Pci))

    def transmit(self, apdu: bytes) -> bytes:
        answer = ctypes.create_string_buffer(ANSWER_BYTES_MAX)
        size = _Dword(ANSWER_BYTES_MAX)
        self._library.call(
            "SCardTransmit",
            *(self._handle, ctypes.byref(self._pci), apdu, len(apdu)),
            *(None, answer, ctypes.byref(size)),
        )
        return answer.raw[: size.value]

    def channel(self) -> int | None:
        """Return the reader's channel (PC/SC part 3, SCARD_ATTR_CHANNEL_ID), or None."""
        value = ctypes.create_string_buffer(_ATTRIBUTE_BYTES_MAX)
        size = _Dword(_ATTRIBUTE_BYTES_MAX)
        try:
            self._library.call(
                "SCardGetAttrib", self._handle, _CHANNEL_ID, value, ctypes.byref(size)
            )
        except PcscError:
            return None
        return int.from_bytes(value.raw[: size.value], sys.byteorder)

    def disconnect(self) -> None:
        # Any other way powers the card off or on. The slot would then report no swap of two cards,
        # and a phone would draw another UID.
        self._library.quietly("SCardDisconnect", self._handle, _LEAVE_CARD)


_LongPointer, _DwordPointer = ctypes.POINTER(_Long), ctypes.POINTER(_Dword)
_ARGUMENTS: dict[str, tuple[object, ...]] = {
    "SCardEstablishContext": (_Dword, ctypes.c_void_p, ctypes.c_void_p, _LongPointer),
    "SCardReleaseContext": (_Long,),
    "SCardListReaders": (_Long, ctypes.c_char_p, ctypes.c_char_p, _DwordPointer),
    "SCardGetStatusChange": (_Long, _Dword, ctypes.POINTER(_ReaderState), _Dword),
    "SCardConnect": (_Long, ctypes.c_char_p, _Dword, _Dword, _LongPointer, _DwordPointer),
    "SCardTransmit": (
        *(_Long, ctypes.POINTER(_Pci), ctypes.c_char_p, _Dword),
        *(ctypes.POINTER(_Pci), ctypes.c_char_p, _DwordPointer),
    ),
    "SCardDisconnect": (_Long, _Dword),
    "SCardGetAttrib": (_Long, _Dword, ctypes.c_char_p, _DwordPointer),
    "SCardCancel": (_Long,),
}
