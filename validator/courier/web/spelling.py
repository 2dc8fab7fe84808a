"""Spells an address as requests and urllib3 send it."""

from urllib.parse import urlsplit

import requests

from validator.courier.web.errors import place

_RESPELT_MAX = 8  # each time less is left to respell


def as_sent(url: str) -> str:
    """Spell the address as a request to it spells it, which is what a signature must cover.

    requests and urllib3 each respell an address (case, escapes, dots, slashes, ports, names that
    are not ASCII), and one pass is not enough: `/%2e%2e/` becomes `/../`, and that `/`. The result
    stays the same when it is spelt again. Raises ValueError.
    """
    for _ in range(_RESPELT_MAX):
        respelt = _respelt(url)
        if respelt == url:
            return url
        url = respelt
    raise ValueError(f"{place(url)}: has no one spelling")


def _respelt(url: str) -> str:
    prepared = requests.Request("POST", url).prepare()
    parts = urlsplit(prepared.url or "")
    authority = parts.netloc.rpartition("@")[2]
    if parts.port == {"http": 80, "https": 443}.get(parts.scheme):
        authority = authority.removesuffix(f":{parts.port}")
    return f"{parts.scheme}://{authority}/{prepared.path_url.lstrip('/')}"
