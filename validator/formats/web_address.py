"""The address of one of the city's servers, as an operator writes it: checked, and in one spelling.

    address = parse_address("https://Reports.example.org:443/turnike")
    str(address)          # 'https://reports.example.org/turnike/'
    address.authority     # 'reports.example.org': Host header, and @authority of a signature

The gate sends and signs exactly this spelling. Client, proxy and server may spell some addresses
differently (`%7E`, `..`, `//`, a name that is not ASCII), so that the signature would not match:
those are refused, with the spelling to write instead where there is one. Grammar: RFC 3986.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from posixpath import normpath
from urllib.parse import unquote

ADDRESS_CHARACTERS_MAX = 512  # a name has at most 253, and real paths have fewer
HTTP_PORT, HTTPS_PORT, PORT_MAX = 80, 443, 65_535
HOST_CHARACTERS_MAX = 253

_WHOLE = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?(?P<rest>[?#].*)?",
    re.DOTALL,
)
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0[Xx][0-9A-Fa-f]*")  # as the last label: an IPv4 address (WHATWG URL)
_SEGMENT = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@-]+")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_USER = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*")
_DEFAULT_PORTS = {"http": HTTP_PORT, "https": HTTPS_PORT}


class AddressError(ValueError):
    """A text that is no usable address; the message ends a line, and shows no password."""


@dataclass(frozen=True, slots=True)
class WebAddress:
    """A server's address.

    `host` is in lower case, an IPv6 address in brackets; `port` is None for the scheme's own port.
    """

    scheme: str
    host: str
    port: int | None
    path: str
    """The path, which begins and ends with a slash."""

    @property
    def authority(self) -> str:
        """Host, and the port unless it is the scheme's own: the value of a Host header."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether the address is this machine itself."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def parse_address(text: str, schemes: Sequence[str] = ("https", "http")) -> WebAddress:
    """Parse an address without user, query and fragment. Raises AddressError."""
    match = _match(text, schemes)
    if "@" in match["authority"] or match["rest"]:
        raise AddressError("an address without user, ? and #, please")
    try:
        return _address(match, match["authority"])
    except AddressError as error:
        better = _respelt(text)
        raise AddressError(
            f"{shown(text)}: {error}{f'; write {better}' if better else ''}"
        ) from None


def parse_proxy(text: str) -> WebAddress:
    """Parse the address of an HTTP proxy, without its user and password. Raises AddressError."""
    match = _match(text, ("http", "https"), "http://host:port")
    if match["scheme"].lower() != "http":
        raise AddressError(
            f"{shown(text)}: a proxy is reached by http:// only; TLS goes through it unbroken"
        )
    user, _, authority = match["authority"].rpartition("@")
    if not _USER.fullmatch(user) or match["path"] not in (None, "/") or match["rest"]:
        raise AddressError(f"{shown(text)}: a proxy has no path, ? or #; write http://host:port")
    try:
        return _address(match, authority)
    except AddressError as error:
        raise AddressError(f"{shown(text)}: {error}; write http://host:port") from None


def parse_authority(text: str, scheme: str) -> str:
    """Spell a Host header as WebAddress.authority does. Raises AddressError."""
    host, port = split_authority(text)
    own = _DEFAULT_PORTS.get(scheme)
    return host if port in (None, own) else f"{host}:{port}"


def split_authority(authority: str) -> tuple[str, int | None]:
    """Split into host, spelt as WebAddress.host, and port or None. Raises AddressError."""
    host, colon, port = (
        authority.rpartition(":") if not authority.endswith("]") else (authority, "", "")
    )
    if not colon:
        host = authority
    elif not _PORT.fullmatch(port) or int(port) > PORT_MAX:
        raise AddressError(f"its port is no number from 1 to {PORT_MAX}")
    return _host(host), int(port) if colon else None


def is_loopback(host: str) -> bool:
    """Whether this host, IPv6 in brackets or not, is the machine itself."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def shown(text: str) -> str:
    """Return the text quoted, on one line, and without what may be a password.

    `repr` escapes control characters and direction marks.
    """
    cut = text if len(text) <= ADDRESS_CHARACTERS_MAX else f"{text[:ADDRESS_CHARACTERS_MAX]}…"
    return repr(re.sub(r"//.*@", "//…@", cut, flags=re.DOTALL))


def _match(
    text: str, schemes: Sequence[str], instead: str = "https://host/path/"
) -> "re.Match[str]":
    match = _WHOLE.fullmatch(text)
    is_long = len(text) > ADDRESS_CHARACTERS_MAX
    if match is None or is_long or match["scheme"].lower() not in schemes or not match["authority"]:
        better = _respelt(text) if text != text.strip() else ""
        raise AddressError(f"{shown(text)} is not an address; write {better or instead}")
    return match


def _address(match: "re.Match[str]", authority: str) -> WebAddress:
    scheme = match["scheme"].lower()
    host, port = split_authority(authority)
    path = match["path"] or "/"
    if not path.endswith("/"):
        path += "/"
    segments = path.split("/")[1:-1]
    if "//" in path or {".", ".."} & set(segments):
        raise AddressError("its path has //, /./ or /../ in it")
    if not all(map(_SEGMENT.fullmatch, segments)):
        raise AddressError("its path may have letters a to z, digits and -._~!$&'()*+,;=:@")
    return WebAddress(scheme, host, None if port == _DEFAULT_PORTS[scheme] else port, path)


def _host(host: str) -> str:
    if host.startswith("[") or host.endswith("]"):
        return f"[{_ip(host[1:-1] if host[0] + host[-1] == '[]' else '', 6)}]"
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _ip(host, 4)
    if not host.isascii():
        raise AddressError("its host is no name in ASCII, as the DNS has it")
    if len(host) > HOST_CHARACTERS_MAX or not all(map(_LABEL.fullmatch, labels)):
        raise AddressError("its host is neither a name nor an address (IPv6 in brackets)")
    return host.lower()


def _ip(text: str, version: int) -> str:
    try:
        found = ip_address(text)
    except ValueError:
        found = None
    if found is None or found.version != version or "%" in text:
        raise AddressError(f"its host is no address of IPv{version}")
    return found.compressed


def _respelt(text: str) -> str:
    """The spelling that was probably meant, if it is valid; else an empty text."""
    match = _WHOLE.fullmatch(text.strip())
    if match is None or "@" in match["authority"] or match["rest"]:
        return ""
    host, _, port = match["authority"].partition(":")
    path = match["path"] or "/"
    if "%2f" in path.lower():  # two segments or one: the text does not show which was meant
        return ""
    path = normpath(unquote(path)).lstrip("/")
    digits = port.lstrip("0")
    if port and not digits:
        return ""
    try:
        authority = _to_ascii(host.rstrip(".")) + (f":{digits}" if digits else "")
        found = _WHOLE.fullmatch(f"{match['scheme']}://{authority}/{path}")
        return str(_address(found, authority)) if found else ""
    except (AddressError, UnicodeError, KeyError):
        return ""


def _to_ascii(host: str) -> str:
    """Spell a name as the DNS does. Raises UnicodeError if decoding gives another name.

    Python's codec follows an older standard (IDNA 2003), which folds some letters into others.
    """
    if host.isascii():
        return host
    encoded = host.encode("idna").decode("ascii")
    if encoded.encode("ascii").decode("idna") != host:
        raise UnicodeError("another name")
    return encoded
