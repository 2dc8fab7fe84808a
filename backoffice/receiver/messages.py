"""What gates send to the receiver, and what it answers: JSON, checked here."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from backoffice.receiver.bodies import bad_request
from backoffice.reports.store import REJECTED, Answer
from validator.errors import one_line
from validator.learning.answer import Answer as LearningAnswer
from validator.learning.answer import read_answer
from validator.learning.signed_text import LearningError, SignedText
from validator.reports.sealed_keys import SealedKey
from validator.reports.stored_report import StoredReport

GATE_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z"
REPORT_ID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z"


class Enrolment(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of an enrolment."""

    gate_id: Annotated[str, Meta(pattern=GATE_ID)]
    token: Annotated[str, Meta(min_length=1, max_length=128)]
    public_key: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class _Named(Struct, frozen=True):
    """The part of a report that an answer needs."""

    report_id: Annotated[str, Meta(pattern=REPORT_ID)]


class _Batch(Struct, frozen=True, forbid_unknown_fields=True):
    reports: tuple[msgspec.Raw, ...]


class Kept(Struct, frozen=True):
    """The answer to a status. Without `fingerprint_keys` this receiver sends no keys."""

    kept: bool
    fingerprint_keys: list[SealedKey] | UnsetType = UNSET
    next_nonce: str | UnsetType = UNSET
    learn: SignedText | UnsetType = UNSET


_batch = msgspec.json.Decoder(_Batch, strict=True)
_named = msgspec.json.Decoder(_Named, strict=True)
_report = msgspec.json.Decoder(StoredReport, strict=True)
_enrolment = msgspec.json.Decoder(Enrolment, strict=True)
_signed = msgspec.json.Decoder(SignedText, strict=True)
_object = msgspec.json.Decoder(dict[str, Any], strict=True)

_INVALID = (msgspec.MsgspecError, UnicodeError, RecursionError)


def read_enrolment(body: bytes) -> Enrolment:
    """The enrolment in a body. Raises HTTPException for any other body."""
    try:
        return _enrolment.decode(body)
    except _INVALID as error:
        raise bad_request(f"no enrolment: {one_line(error)}") from None


def read_batch(content: bytes) -> tuple[msgspec.Raw, ...]:
    """The reports in a body, each not read yet. Raises HTTPException for any other body."""
    try:
        return _batch.decode(content).reports
    except _INVALID as error:
        raise bad_request(f"no batch of reports: {one_line(error)}") from None


def read_status(content: bytes) -> dict[str, Any]:
    """The status in a body: any JSON object. Raises HTTPException for any other body."""
    try:
        return _object.decode(content)
    except _INVALID as error:
        raise bad_request(f"no status: {one_line(error)}") from None


def read_learned(content: bytes) -> tuple[LearningAnswer, SignedText]:
    """The answer to an order in a body, and the same as it was signed. Raises HTTPException.

    Whether it is the gate's key that signed it, the caller checks.
    """
    try:
        signed = _signed.decode(content)
        return read_answer(signed), signed
    except (*_INVALID, LearningError) as error:
        raise bad_request(f"no answer to an order: {one_line(error)}") from None


def read_reports(raw: tuple[msgspec.Raw, ...]) -> tuple[list[StoredReport], dict[str, Answer]]:
    """Read reports one by one.

    Returns:
        The valid reports, and an answer for each invalid one that has an id.

    Raises:
        HTTPException: A report has no id, so no answer can name it.
    """
    good: list[StoredReport] = []
    answers: dict[str, Answer] = {}
    for each in raw:
        try:
            named = _named.decode(each)
        except _INVALID as error:
            raise bad_request(f"a report without an id: {one_line(error)}") from None
        try:
            good.append(_report.decode(each))
        except _INVALID as error:
            answers[named.report_id] = Answer(REJECTED, f"no report: {one_line(error)}")
    return good, answers


def answer_fields(answer: Answer) -> Mapping[str, str]:
    """What became of a report, as the receiver answers it."""
    return {"result": answer.result, **({"reason": answer.reason} if answer.reason else {})}


def held_keys(status: Mapping[str, Any]) -> set[str]:
    """The ids of the fingerprint keys that a gate reports to hold; none if the field is no list."""
    held = status.get("fingerprint_keys")
    return {each for each in held if isinstance(each, str)} if isinstance(held, list) else set()
