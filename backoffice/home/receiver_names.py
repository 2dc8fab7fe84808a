"""By which addresses gates call this receiver: what a Host header may say, and what a gate has signed if it called so.

    names = ReceiverNames(["https://reports.example.org/turnike/"])
    names.urls("reports.example.org", "http", "/turnike/", "v1/reports")
    # ('https://reports.example.org/turnike/v1/reports',)

A gate signs the host and the path that it sends. The web server in front may take a path's prefix
away, so the receiver knows its prefixes, and puts back what is missing. Whatever was signed for
another host is no request of ours: a test city's cannot be sent to the real one.
"""

from collections.abc import Iterable

from validator.formats.web_address import (
    AddressError,
    WebAddress,
    is_loopback,
    parse_authority,
    split_authority,
)

ADDRESSES_MAX = 16  # each may cost a signature check where two differ in their path alone


class UnknownHostError(Exception):
    """Nobody calls this receiver so."""


class ReceiverNames:
    """The addresses of one receiver."""

    def __init__(self, addresses: Iterable[WebAddress], *, any_host: bool = False) -> None:
        """`any_host`: whatever a Host header says is believed. This machine's own names always are."""
        self._addresses = tuple(addresses)
        self._any_host = any_host

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The paths under which requests may come, "/" first: the web server in front may take the others away."""
        return ("/", *sorted({each.path for each in self._addresses} - {"/"}))

    def urls(self, host: str, scheme: str, prefix: str, rest: str) -> tuple[str, ...]:
        """What a gate may have signed whose request came under this Host header, prefix and rest of the path.

        Raises UnknownHostError.
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
