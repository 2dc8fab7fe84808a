"""Sends reports and the gate's status to the back office's receiver, over HTTPS.

    receiver = ReceiverClient("https://reports.example.org/", web, "kadikoy-03", key, now_unix_s)
    receiver.send(reports)          # the answer for each
    receiver.tell_status({...})     # the fingerprint keys that the city has for this gate, sealed,
                                    # and an order to learn a card

Each request is signed with the gate's own key (reports/signed_request.py).
"""

import gzip
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from validator.courier.ports import BatchError, ReportAnswer, Result
from validator.courier.receiver_refusals import explained
from validator.courier.web.client import StatusError, Web
from validator.courier.web.errors import host, place
from validator.courier.web.spelling import as_sent
from validator.errors import RemoteError, SourceState
from validator.host.owners import name_of
from validator.learning.signed_text import SignedText
from validator.reports.sealed_keys import SealedKey
from validator.reports.signed_request import FIRST_NONCE, NONCE, sign
from validator.reports.stored_report import StoredReport

ANSWER_BYTES_MAX = 1 << 16  # two hundred ids, each with a reason
_NEVER = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
_Answer = TypeVar("_Answer")
_PACKING = 6


class GateKeyError(Exception):
    """The gate's key cannot be used; the message is one clear line."""


class _Result(msgspec.Struct):
    id: str
    result: Literal["stored", "already", "rejected"]
    reason: str = ""


class _Results(msgspec.Struct):
    results: tuple[_Result, ...]


class _StatusAnswer(msgspec.Struct):
    kept: bool = True
    next_nonce: Annotated[str, msgspec.Meta(pattern=NONCE)] = ""
    fingerprint_keys: tuple[SealedKey, ...] = ()
    learn: SignedText | None = None


class Told(NamedTuple):
    """What the answer to a status brings, all unchecked: fingerprint keys, an order to learn."""

    keys: tuple[SealedKey, ...]
    order: SignedText | None


_status_answer = msgspec.json.Decoder(_StatusAnswer, strict=True)
_results = msgspec.json.Decoder(_Results, strict=True)


def gate_key(path: Path) -> Ed25519PrivateKey:
    """Read the key that `turnike enroll` made. Raises GateKeyError."""
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise GateKeyError(f"{path}: {error.strerror}; {_remedy(path, error)}") from error
    except (ValueError, TypeError) as error:
        raise GateKeyError(
            f"{path}: is no private key; move it away, and turnike enroll makes a new one"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise GateKeyError(
            f"{path}: is another kind of key; move it away, and turnike enroll makes the right one"
        )
    return key


def _is_reachable(path: Path) -> bool:
    with suppress(OSError):
        path.stat()
        return True
    return False


def _remedy(path: Path, error: OSError) -> str:
    """What the operator can do; enrolling again helps only where there is no key."""
    if isinstance(error, FileNotFoundError):
        return "turnike enroll makes it"
    if isinstance(error, PermissionError) and not _is_reachable(path):
        user = name_of(os.geteuid())
        return f"a folder above it does not let {user} in: namei -l {path} shows which"
    if isinstance(error, PermissionError):
        return f"it is another user's; as root: chown {name_of(os.geteuid())}: {path}"
    return "check the file and its disk"


class ReceiverClient:
    """Sends one gate's requests to one back office. For one thread."""

    def __init__(
        self,
        url: str,
        web: Web,
        gate_id: str,
        key: Ed25519PrivateKey,
        now_unix_s: Callable[[], int],
    ) -> None:
        """The signature covers `url` as it is sent. Raises ValueError for a bad address."""
        self._url = as_sent(url if url.endswith("/") else f"{url}/")
        self._web = web
        self._gate_id = gate_id
        self._key = key
        self._now_unix_s = now_unix_s
        self._nonce = FIRST_NONCE

    def send(self, reports: Sequence[StoredReport]) -> Mapping[str, ReportAnswer]:
        """See courier.ports.ReportReceiver."""
        try:
            content = self._post(
                "v1/reports", b'{"reports":[' + b",".join(each.json() for each in reports) + b"]}"
            )
        except StatusError as error:
            if error.status in _NEVER:
                raise BatchError(error.state, str(error)) from error
            raise
        results = self._decoded(_results, content, "v1/reports").results
        return {each.id: ReportAnswer(Result(each.result), each.reason) for each in results}

    def tell_status(self, status: Mapping[str, Any]) -> Told:
        """Send the gate's status. Returns what the answer brings.

        The back office accepts each of its nonces once. If it does not accept this one (at the
        first status after a start, or when the answer with the next nonce was lost), the status is
        sent again with the nonce in its answer. Raises RemoteError.
        """
        content = msgspec.json.encode(status)
        answer = self._send_status(content)
        if answer.next_nonce and not answer.kept:
            answer = self._send_status(content)
        return Told(answer.fingerprint_keys, answer.learn)

    def send_answer(self, answer: SignedText) -> None:
        """See courier.learning.LearningOffice."""
        self._post(f"v1/gates/{self._gate_id}/learned", msgspec.json.encode(answer))

    def _send_status(self, status: bytes) -> _StatusAnswer:
        path = f"v1/gates/{self._gate_id}/status"
        answer = self._decoded(_status_answer, self._post(path, status, self._nonce), path)
        self._nonce = answer.next_nonce or FIRST_NONCE
        return answer

    def _decoded(
        self, decoder: msgspec.json.Decoder[_Answer], content: bytes, path: str
    ) -> _Answer:
        try:
            return decoder.decode(content)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise RemoteError(
                SourceState.NOT_OURS,
                f"{place(self._url + path)}: something between, not the receiver, answered what no"
                " receiver does",
            ) from error

    def _post(self, path: str, content: bytes, nonce: str = "") -> bytes:
        # mtime 0: the same reports are the same bytes.
        body, url = gzip.compress(content, _PACKING, mtime=0), self._url + path
        headers = {
            "content-type": "application/json",
            "content-encoding": "gzip",
            "host": host(url),
        }
        signed = sign(
            "POST", url, headers, body, self._key, self._gate_id, self._now_unix_s(), nonce
        )
        try:
            return self._web.post(url, body, signed, ANSWER_BYTES_MAX)
        except StatusError as error:
            raise explained(error, "POST", url) from error
