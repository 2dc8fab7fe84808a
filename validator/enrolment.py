"""Enrols this gate with the back office: makes its own key, and tells the public half with the one-time token. `turnike enroll`.

The private half is made here and goes nowhere. It is on the disk before anything is said of it, so a power cut in between costs nothing: the same
command again sends the same key.
"""

from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from validator.adapters.durable import put_secret
from validator.adapters.report_office import GateKeyError, gate_key
from validator.adapters.web import StatusError, Web
from validator.courier_ports import TownError

ANSWER_BYTES_MAX = 4_096
_FORBIDDEN = 403


class _Enrolled(msgspec.Struct):
    gate_id: str
    already: bool = False


class EnrolmentError(Exception):
    """This gate is not enrolled; the message is one clear line."""


def enrol(gate_id: str, url: str, key_path: Path, token: str, web: Web) -> bool:
    """Make the key if there is none, and enrol it.

    Returns:
        Whether the token enrolled it; False if this key was enrolled before and the token was not valid.

    Raises:
        EnrolmentError: it is not enrolled.
    """
    try:
        if not key_path.exists():
            _make_key(key_path)
        key = gate_key(key_path)
    except (GateKeyError, OSError) as error:
        raise EnrolmentError(str(error)) from error
    public = key.public_key().public_bytes_raw().hex()
    body = msgspec.json.encode({"gate_id": gate_id, "token": token, "public_key": public})
    where = f"{url if url.endswith('/') else f'{url}/'}v1/enrol"
    try:
        answer = web.post(where, body, {"content-type": "application/json"}, ANSWER_BYTES_MAX)
    except StatusError as error:
        if error.status == _FORBIDDEN:
            raise EnrolmentError(
                f"{gate_id}: the back office takes this token for no such gate, or not any more; ask for another (turnike-backoffice enroll)"
            ) from error
        raise EnrolmentError(str(error)) from error
    except TownError as error:
        raise EnrolmentError(str(error)) from error
    enrolled = _read(answer)
    if enrolled is None or enrolled.gate_id != gate_id:
        raise EnrolmentError(f"{where}: what answers is not the back office; nobody is enrolled there")
    return not enrolled.already


def _read(answer: bytes) -> _Enrolled | None:
    """Who was enrolled; None if it does not say so: not every server that answers well is the one that was meant."""
    try:
        return msgspec.json.decode(answer, type=_Enrolled)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _make_key(path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    put_secret(path, content)
