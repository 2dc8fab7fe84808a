"""The addresses of a receiver: which Host headers it accepts, and what a gate signed under each.

    names = ReceiverNames(["https://reports.example.org/turnike/"])
    names.urls("reports.example.org", "http", "/turnike/", "v1/reports")
    # ('https://reports.example.org/turnike/v1/reports',)

A gate signs the host and the path that it sends. The web server in front may strip a path's prefix,
so the receiver knows its prefixes and restores what is missing. A request signed for another host
is refused: a request to a test city cannot be replayed to the real one.
"""

from collections.abc import Iterable

from validator.formats.web_address import (
    AddressError,
    WebAddress,
    is_loopback,
    parse_authority,
    split_authority,
)

ADDRESSES_MAX = 16  # each may cost a signature check, where two differ only in their path


class UnknownHostError(Exception):
    """The Host header is no address of this receiver."""


class ReceiverNames:
    """The addresses of one receiver."""

    def __init__(self, addresses: Iterable[WebAddress], *, any_host: bool = False) -> None:
        """Take the addresses; this machine's own names are always accepted.

        Args:
            addresses: The configured addresses.
            any_host: Accept every Host header.
        """
        self._addresses = tuple(addresses)
        self._any_host = any_host

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The path prefixes of requests, "/" first.

        The web server in front may strip the others.
        """
        return ("/", *sorted({each.path for each in self._addresses} - {"/"}))

    def urls(self, host: str, scheme: str, prefix: str, rest: str) -> tuple[str, ...]:
        """The URLs that a gate may have signed for a request.

        Args:
            host: The Host header.
            scheme: "http" or "https".
            prefix: One of `prefixes`, under which the request came.
            rest: The rest of the path.

        Raises:
            UnknownHostError: The host is no address of this receiver.
        """
        found = [
            f"{each}{rest}"
            for each in self._addresses
            if self._is_called(each, host) and prefix in ("/", each.path)
        ]
        if found:
            return tuple(found)
        if self._any_host or (prefix == "/" and _is_this_machine(host)):
            return (f"{scheme}://{host}{prefix}{rest}",)
        raise UnknownHostError

    @staticmethod
    def _is_called(address: WebAddress, host: str) -> bool:
        try:
            return parse_authority(host, address.scheme) == address.authority
        except AddressError:
            return False


def _is_this_machine(host: str) -> bool:
    try:
        return is_loopback(split_authority(host)[0])
    except AddressError:
        return False
