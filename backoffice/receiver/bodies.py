"""The bodies of requests: read and unpacked within limits of size, time and number."""

import asyncio
import zlib
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request

from validator.errors import one_line


class TooManyError(Exception):
    """All places are taken."""


class Places:
    """A limit on requests at once, for one event loop."""

    def __init__(self, count: int) -> None:
        self._free = count

    def __enter__(self) -> None:
        """Take a place, or raise TooManyError at once."""
        if self._free <= 0:
            raise TooManyError
        self._free -= 1

    def __exit__(self, *exception: object) -> None:
        self._free += 1


async def read_body(request: Request, bytes_max: int, wait_s: float, places: Places) -> bytes:
    """Read a body of at most `bytes_max` bytes within `wait_s` seconds. Raises HTTPException.

    It takes one of `places` while it reads; raises TooManyError if none is free.
    """
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > bytes_max:
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {bytes_max} bytes")
    body = bytearray()
    with places:
        try:
            async with asyncio.timeout(wait_s):
                async for part in request.stream():
                    body += part
                    if len(body) > bytes_max:
                        raise HTTPException(
                            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {bytes_max} bytes"
                        )
        except TimeoutError:
            headers = {"connection": "close"}
            raise HTTPException(
                HTTPStatus.REQUEST_TIMEOUT, "the body did not come in time", headers
            ) from None
    return bytes(body)


def unpacked(request: Request, packed: bytes, bytes_max: int) -> bytes:
    """Unpack a gzip body to at most `bytes_max` bytes. Raises HTTPException."""
    if request.headers.get("content-encoding", "identity") != "gzip":
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a body is packed with gzip")
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        content = inflate.decompress(packed, bytes_max + 1)
    except zlib.error as error:
        raise bad_request(f"not gzip: {one_line(error)}") from None
    if len(content) > bytes_max:
        raise HTTPException(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"more than {bytes_max} bytes",
        )
    if not inflate.eof or inflate.unused_data:
        raise bad_request("not one whole gzip stream")
    return content


def bad_request(text: str) -> HTTPException:
    """The refusal of a request that is not as docs/reports.md describes it."""
    return HTTPException(HTTPStatus.BAD_REQUEST, text)
