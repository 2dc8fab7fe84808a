"""`turnike-backoffice serve` as a web application: the published folder, and the receiver.

Any web server or CDN can serve the published folder; docs/list-format.md ("What is published") says
what it must do. It answers ranges, so that downloads resume. No cache may keep
`metadata/timestamp.json`; caches may keep all else for ever, since it never changes.
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
    """The application for a published folder and the receiver's routes.

    The folder need not exist yet: a missing file is answered with 404.
    """

    def timestamp(request: Request) -> Response:
        """Serve the one file that changes.

        It is read whole, so that its length and its bytes are of one version.
        """
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
    made.router.redirect_slashes = False  # a gate takes a redirect for a proxy's answer
    return made


class _Immutable(StaticFiles):
    """Files that never change. A half-written file has a temporary name, and is not served."""

    def lookup_path(self, path: str) -> tuple[str, stat_result | None]:
        return ("", None) if path.startswith(".") else super().lookup_path(path)

    async def check_config(self) -> None:
        """Skip the check: the folder may be made later."""

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
