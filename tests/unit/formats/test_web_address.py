"""Addresses that operators write: one spelling, or one line with the spelling to write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.courier.web.spelling import as_sent
from validator.formats.web_address import AddressError, is_loopback, parse_address, parse_proxy

GOOD = {
    "https://reports.example.org": "https://reports.example.org/",
    "https://reports.example.org/turnike": "https://reports.example.org/turnike/",
    "HTTPS://Reports.Example.ORG:443/Turnike/": "https://reports.example.org/Turnike/",
    "https://reports.example.org:8443/~gate/a.b_c-d/": (
        "https://reports.example.org:8443/~gate/a.b_c-d/"
    ),
    "http://127.0.0.1:80/": "http://127.0.0.1/",
    "http://localhost:8080/": "http://localhost:8080/",
    "https://[2001:DB8:0:0::1]:443/x": "https://[2001:db8::1]/x/",
    "https://xn--ehir-45a.example/": "https://xn--ehir-45a.example/",
}


@pytest.mark.parametrize(("text", "spelt"), GOOD.items(), ids=GOOD)
def test_an_address_is_spelt_as_it_is_sent(text: str, spelt: str) -> None:
    address = parse_address(text)
    assert str(address) == spelt
    assert str(parse_address(spelt)) == spelt
    assert as_sent(spelt) == spelt
    assert spelt.partition("://")[2].startswith(f"{address.authority}/")


PATH_FAULT = "its path may have letters a to z, digits and -._~!$&'()*+,;=:@"
NAME_FAULT = "its host is no name in ASCII, as the DNS has it"
BAD = {
    "https://reports.example.org/%7Egate": "; write https://reports.example.org/~gate/",
    "https://reports.example.org/%c5%9f/": PATH_FAULT,
    "https://reports.example.org/a%2Fb/": PATH_FAULT,
    "https://reports.example.org/a/../b": "; write https://reports.example.org/b/",
    "https://reports.example.org/./": "; write https://reports.example.org/",
    "https://reports.example.org//": "; write https://reports.example.org/",
    "https://reports.example.org/a//b/": "; write https://reports.example.org/a/b/",
    "https://reports.example.org/a b/": PATH_FAULT,
    " https://reports.example.org/": "is not an address; write https://reports.example.org/",
    "https://reports.example.org/ ": "; write https://reports.example.org/",
    "https://reports.example.org/\t": "; write https://reports.example.org/",
    "https://reports\n.example.org/": (
        "its host is neither a name nor an address (IPv6 in brackets)"
    ),
    "https://şehir.example/": f"{NAME_FAULT}; write https://xn--ehir-45a.example/",
    "https://İstanbul.example/": NAME_FAULT,
    "https://straße.example/": NAME_FAULT,
    "https://reports.example.org./": "; write https://reports.example.org/",
    "https://reports.example.org:/": "; write https://reports.example.org/",
    "https://reports.example.org:0443/": "; write https://reports.example.org/",
    "https://reports.example.org:0/": "its port is no number from 1 to 65535",
    "https://reports.example.org:65536/": "its port is no number from 1 to 65535",
    "https://reports.example.org:٤٤٣/": "its port is no number from 1 to 65535",
    "https://-reports.example.org/": "its host is neither a name nor an address (IPv6 in brackets)",
    "https://reports..example.org/": "its host is neither a name nor an address (IPv6 in brackets)",
    "https://*.example.org/": "its host is neither a name nor an address (IPv6 in brackets)",
    "https://2001:db8::1/": "its host is neither a name nor an address (IPv6 in brackets)",
    "https://[fe80::1%25eth0]/": "its host is no address of IPv6",
    "https://[127.0.0.1]/": "its host is no address of IPv6",
    "https://127.1/": "its host is no address of IPv4",
    "https://0x7f000001/": "its host is no address of IPv4",
    "https://256.1.1.1/": "its host is no address of IPv4",
    "https://user:secret@reports.example.org/": "an address without user, ? and #, please",
    "https://reports.example.org/?": "an address without user, ? and #, please",
    "https://reports.example.org/#v1": "an address without user, ? and #, please",
    "https:\\\\reports.example.org\\": "is not an address; write https://host/path/",
    "https:///v1": "is not an address; write https://host/path/",
    "https://reports.example.org/" + "a" * 600: "is not an address; write https://host/path/",
}


@pytest.mark.parametrize(("text", "told"), BAD.items(), ids=map(repr, BAD))
def test_an_address_with_several_spellings_is_refused_in_one_line(text: str, told: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_address(text)
    line = str(caught.value)
    assert line.endswith(told)
    assert line.isprintable()
    assert "secret" not in line
    if "; write https://r" in line:
        parse_address(line.rpartition("; write ")[2])


PROXIES = {
    "http://proxy.example.org:3128": None,
    "http://gate:se%40cret@proxy.example.org:3128/": None,
    "http://[2001:db8::1]:3128": None,
    "https://gate:secret@proxy.example.org": (
        "a proxy is reached by http:// only; TLS goes through it unbroken"
    ),
    "socks5://gate:secret@proxy.example.org:1080": "is not an address; write http://host:port",
    "proxy.example.org:3128": "is not an address; write http://host:port",
    "http://gate:sec@ret@proxy.example.org:3128": (
        "a proxy has no path, ? or #; write http://host:port"
    ),
    "http://proxy.example.org:3128/path": "a proxy has no path, ? or #; write http://host:port",
    "http://proxy.example.org:3128/?secret": "a proxy has no path, ? or #; write http://host:port",
    "http://proxy.example.org:": "its port is no number from 1 to 65535; write http://host:port",
    "http://gate:secret@vekâlet.example:3128": f"{NAME_FAULT}; write http://host:port",
}


@pytest.mark.parametrize(("text", "told"), PROXIES.items(), ids=PROXIES)
def test_a_proxy_is_a_host_and_a_port_and_its_password_is_never_shown(
    text: str, told: str | None
) -> None:
    if told is None:
        assert parse_proxy(text).path == "/"
        return
    with pytest.raises(AddressError) as caught:
        parse_proxy(text)
    assert str(caught.value).endswith(told)
    assert "gate:" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "is_so"),
    [
        ("127.0.0.1", True),
        ("127.3.2.1", True),
        ("[::1]", True),
        ("LocalHost", True),
        ("localhost.example.org", False),
        ("0.0.0.0", False),  # noqa: S104  # nothing is bound
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_loopback_is_this_machine_alone(host: str, is_so: bool) -> None:
    assert is_loopback(host) is is_so


@given(
    st.text(max_size=80)
    | st.text(alphabet="htps:/.@[]%aİ0?#\\ \n", max_size=40).map("https://".__add__)
)
def test_any_text_has_one_spelling_or_is_refused_in_one_line(text: str) -> None:
    try:
        address = parse_address(text)
    except AddressError as error:
        assert str(error).isprintable()  # noqa: PT017  # either outcome is right
    else:
        assert str(parse_address(str(address))) == str(address) == as_sent(str(address))
