"""The receiver's refusals. Each answer holds the request as it was received.

See validator/reports/receiver_answer.py.
"""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from validator.reports.receiver_answer import MARK, MARK_VALUE, Checked, Reason, refusal_body


class RefusedError(Exception):
    """The request is refused as it was received."""

    def __init__(self, status: HTTPStatus, text: str, reason: Reason) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason


def path_of(request: Request) -> str:
    """The path in the bytes that were received, which were signed; not decoded."""
    raw: bytes = request.scope.get("raw_path") or request.scope.get("path", "").encode()
    return raw.decode("ascii", "replace")


def refusal(request: Request, error: RefusedError) -> Response:
    """The answer to a refused request."""
    checked = Checked(request.method, request.headers.get("host", ""), path_of(request))
    content = refusal_body(str(error), error.reason, checked)
    return JSONResponse(content, error.status, {MARK: MARK_VALUE})


async def turned_away(request: Request, error: Exception) -> Response:
    """Answer an error of the web application.

    A POST to an unknown path is refused as the receiver refuses.
    """
    if not isinstance(error, HTTPException):
        raise error
    if request.method == "POST" and error.status_code == HTTPStatus.NOT_FOUND:
        text = f"no address of this receiver is {request.headers.get('host', '')}{path_of(request)}"
        return refusal(request, RefusedError(HTTPStatus.NOT_FOUND, text, Reason.ADDRESS))
    return PlainTextResponse(error.detail, error.status_code, headers=error.headers)
