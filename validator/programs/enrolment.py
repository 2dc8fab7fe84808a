"""`turnike enroll`: makes this gate's key, and sends its public half with the one-time token.

The private half never leaves this gate. It is on the disk before the public half is sent, so that
a power cut in between costs nothing: the same command sends the same key again.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from validator.courier.receiver_client import GateKeyError, gate_key
from validator.courier.receiver_refusals import explained
from validator.courier.web.client import StatusError, Web
from validator.courier.web.errors import host
from validator.courier.web.spelling import as_sent
from validator.errors import OperatorError, RemoteError
from validator.host.clock import Clock
from validator.host.durable import put_secret
from validator.host.owners import hand_over
from validator.ipc.accepted import ACCEPTED_COPY_FILE, ACCEPTED_FILE
from validator.lane.time_file import TimeFile
from validator.reports.receiver_answer import parse_refusal
from validator.reports.signed_request import sign

ANSWER_BYTES_MAX = 4_096
_FORBIDDEN = 403


class _Enrolled(msgspec.Struct):
    gate_id: str
    already: bool = False


class EnrolmentError(OperatorError):
    """The gate is not enrolled; the text is one line."""


def enrol(
    gate_id: str,
    url: str,
    key_path: Path,
    token: str,
    web: Web,
    now_unix_s: int | None = None,
    service_folders: Sequence[Path] = (),
) -> bool:
    """Make the gate's key if there is none, and enrol it with the back office.

    Args:
        gate_id: the id of this gate in its configuration.
        url: the address of the back office.
        key_path: the file of the private key.
        token: the one-time token of `turnike-backoffice enroll`.
        web: the client for the request.
        now_unix_s: the time of the signature; the system's time if it is None.
        service_folders: run by root, the key is given to the owner of the first of these folders
            that is not root's: the courier must read the key.

    Returns:
        Whether the token enrolled the key; False if this key was enrolled before and the token was
        not valid.

    Raises:
        EnrolmentError: the gate is not enrolled.
    """
    try:
        if not key_path.exists():
            _make_key(key_path)
        hand_over(key_path, service_folders)  # also one that an earlier run has left to root
        key = gate_key(key_path)
    except (GateKeyError, OSError) as error:
        raise EnrolmentError(str(error)) from error
    where = as_sent(f"{url if url.endswith('/') else f'{url}/'}v1/enrol")
    signed_unix_s = int(time.time()) if now_unix_s is None else now_unix_s
    enrolled = _read(_asked(gate_id, where, key, token, web, signed_unix_s))
    if enrolled is None or enrolled.gate_id != gate_id:
        raise EnrolmentError(
            f"{where}: another server answers, not the back office; no gate is enrolled there"
        )
    return not enrolled.already


def _asked(
    gate_id: str, where: str, key: Ed25519PrivateKey, token: str, web: Web, now_unix_s: int
) -> bytes:
    """Send public key and token; return the answer. Raises EnrolmentError."""
    public = key.public_key().public_bytes_raw().hex()
    body = msgspec.json.encode({"gate_id": gate_id, "token": token, "public_key": public})
    headers = {
        "content-type": "application/json",
        "content-encoding": "identity",
        "host": host(where),
    }
    try:
        # Signed like every report: a proxy that breaks those breaks this, before the token is used.
        signed = sign("POST", where, headers, body, key, gate_id, now_unix_s)
        return web.post(where, body, signed, ANSWER_BYTES_MAX)
    except StatusError as error:
        told = parse_refusal(error.headers, error.body)
        if error.status == _FORBIDDEN and told is not None:
            refused = "the back office does not accept this token for this gate, or no longer"
            raise EnrolmentError(
                f"{gate_id}: {refused}; ask for another (turnike-backoffice enroll)"
            ) from error
        raise EnrolmentError(str(explained(error, "POST", where))) from error
    except RemoteError as error:
        raise EnrolmentError(str(error)) from error


def believed_clock(list_folder: Path) -> Clock:
    """The clock by which this gate checks a certificate, as its courier does.

    Where the kernel's clock is not synchronised, it is at least the time that the city has signed.
    """
    clock = Clock()
    found = TimeFile(list_folder / ACCEPTED_FILE, list_folder / ACCEPTED_COPY_FILE).look()
    if found is not None and found.signed is not None:
        clock.begin_with(found.signed)
    return clock


def _read(answer: bytes) -> _Enrolled | None:
    """The gate that was enrolled; None for the answer of another server, which may also be 200."""
    try:
        return msgspec.json.decode(answer, type=_Enrolled)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _make_key(path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    put_secret(path, content)
