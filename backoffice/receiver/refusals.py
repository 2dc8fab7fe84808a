"""The receiver's refusals of requests that did not come as a gate sent them: the answer says what came (validator/reports/receiver_answer.py)."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from validator.reports.receiver_answer import MARK, MARK_VALUE, Checked, Reason, refusal_body


class RefusedError(Exception):
    """The request is not taken as it came."""

    def __init__(self, status: HTTPStatus, text: str, reason: Reason) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason


def path_of(request: Request) -> str:
    """The path as its bytes came, not as they are read: that is what was signed."""
    raw: bytes = request.scope.get("raw_path") or request.scope.get("path", "").encode()
    return raw.decode("ascii", "replace")


def refusal(request: Request, error: RefusedError) -> Response:
    """The answer to it."""
    checked = Checked(request.method, request.headers.get("host", ""), path_of(request))
    content = refusal_body(str(error), error.reason, checked)
    return JSONResponse(content, error.status, {MARK: MARK_VALUE})


async def turned_away(request: Request, error: Exception) -> Response:
    """Answer for an application with a receiver in it: what is posted to no path of the receiver's is refused by the receiver."""
    if not isinstance(error, HTTPException):
        raise error
    if request.method == "POST" and error.status_code == HTTPStatus.NOT_FOUND:
        text = f"no address of this receiver is {request.headers.get('host', '')}{path_of(request)}"
        return refusal(request, RefusedError(HTTPStatus.NOT_FOUND, text, Reason.ADDRESS))
    return PlainTextResponse(error.detail, error.status_code, headers=error.headers)
