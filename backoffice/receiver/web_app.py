"""The back office as a web application: `turnike-backoffice serve`. The published folder, which any web server or CDN hands out as well, and the receiver.

What it must do is little, and docs/list-format.md ("What is published") says it for whoever sets up another: answer ranges, so that downloads
resume; let nobody between keep `metadata/timestamp.json`, and let everybody keep all else for ever, since it never changes.
"""

import hashlib
from collections.abc import Sequence
from os import PathLike, stat_result
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from backoffice.receiver.refusals import turned_away

FOLDERS = ("metadata", "targets", "indexes", "segments")
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"


def app(published: Path, receiver: Sequence[BaseRoute] = ()) -> Starlette:
    """The application for a published folder, and for what receives reports. The folder needs not be there yet: what is not there is answered 404."""

    def timestamp(request: Request) -> Response:
        """The one file that changes: read whole, so that nobody gets the length of one and the bytes of the next."""
        try:
            content = (published / "metadata" / "timestamp.json").read_bytes()
        except FileNotFoundError:
            return Response(status_code=404)
        headers = {"cache-control": ASK_AGAIN, "etag": f'"{hashlib.sha256(content).hexdigest()}"'}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type="application/json")

    folders = [
        Mount(f"/{name}", _Immutable(directory=published / name, check_dir=False))
        for name in FOLDERS
    ]
    routes = [Route("/metadata/timestamp.json", timestamp), *folders, *receiver]
    if not receiver:
        return Starlette(routes=routes)
    made = Starlette(routes=routes, exception_handlers={HTTPException: turned_away})
    made.router.redirect_slashes = (
        False  # a gate takes a redirect for the answer of something between
    )
    return made


class _Immutable(StaticFiles):
    """Files that never change once they have their name. A half-written one has a name of its own, and is not shown."""

    def lookup_path(self, path: str) -> tuple[str, stat_result | None]:
        return ("", None) if path.startswith(".") else super().lookup_path(path)

    async def check_config(self) -> None:
        """Do without the check: the folder may come later."""

    def file_response(
        self,
        full_path: "str | PathLike[str]",
        stat_result: stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["cache-control"] = FOR_EVER
        return response
