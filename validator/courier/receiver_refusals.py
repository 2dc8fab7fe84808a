"""Explains an HTTP status from the receiver's address: who answered, why, and what to do.

except StatusError as error:
    raise explained(error, "POST", url) from error
"""

from http import HTTPStatus
from urllib.parse import urlsplit

from validator.courier.web.client import StatusError
from validator.courier.web.errors import host, place
from validator.errors import SourceState
from validator.reports.receiver_answer import Checked, Reason, Refusal, parse_refusal

_ADDRESS = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.MISDIRECTED_REQUEST,
)
_SHOWN = 60  # characters of a text from outside in the line


def explained(error: StatusError, method: str, url: str) -> StatusError:
    """Return the same error with a line that names who answered and what to do.

    `url` is the address of the request, spelt as it was sent.
    """
    refusal = parse_refusal(error.headers, error.body)
    if refusal is None:
        return _again(error, error.state, _not_the_receiver(error, url))
    if error.status not in _ADDRESS:
        return error
    text = f"{place(url)}: the receiver answered {error.status}: {_advice(refusal, method, url)}"
    return _again(error, SourceState.REFUSED, text)


def _not_the_receiver(error: StatusError, url: str) -> str:
    if error.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return str(error)
    _, _, what = str(error).rpartition("answered ")
    return f"{place(url)}: something between, not the receiver, answered {what}"


def _advice(refusal: Refusal, method: str, url: str) -> str:
    checked = refusal.checked
    if checked is not None and (difference := _difference(checked, method, url)):
        return difference
    if refusal.reason == Reason.UNKNOWN_GATE.value:
        return "the back office does not know this gate's key; turnike enroll"
    if refusal.reason == Reason.ADDRESS.value:
        called = f"{host(url)}{urlsplit(url).path}"[:_SHOWN]
        return (
            f"it is not called {called}: check upload.url, or [receiver] addresses of the back"
            " office"
        )
    if refusal.reason == Reason.SIGNATURE.value:
        return (
            "it holds another key of this gate (turnike enroll), or something between changes"
            " requests"
        )
    return refusal.error[: 2 * _SHOWN] or "without a reason"


def _difference(checked: Checked, method: str, url: str) -> str:
    """The part of the request that was changed on its way, or ""."""
    sent = (method, host(url), urlsplit(url).path)
    for name, ours, theirs in zip(
        ("method", "host", "path"),
        sent,
        (checked.method, checked.authority, checked.path),
        strict=True,
    ):
        if ours != theirs:
            what = f"{name} {ours[:_SHOWN]} and the receiver got {theirs[:_SHOWN]}"
            return (
                f"this gate sent {what}: the web server or proxy between has to leave it as it is"
            )
    return ""


def _again(error: StatusError, state: SourceState, text: str) -> StatusError:
    return StatusError(state, text, error.status, error.retry_after_s, error.headers, error.body)
