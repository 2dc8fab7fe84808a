"""The demo's line between gate and city: cut, nothing passes and the city's server runs on; mended, all passes again."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from turnike_demo.city.network import Network

LIMIT_S = 60.0


class City:
    """A server that says back what it hears, and counts whom it has met."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.met = 0
        self.heard = b""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                each, _ = self._listening.accept()
                self.met += 1
                threading.Thread(target=self._answer, args=(each,), daemon=True).start()

    def _answer(self, each: socket.socket) -> None:
        with each, suppress(OSError):
            while data := each.recv(65_536):
                self.heard += data
                each.sendall(data)

    def close(self) -> None:
        """Nobody answers there any more, not even the thread that waits for the next one."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@pytest.fixture
def city() -> Iterator[City]:
    city = City()
    yield city
    city.close()


@pytest.fixture
def network(city: City) -> Iterator[Network]:
    network = Network(city.port)
    yield network
    network.close()


def connect(network: Network) -> socket.socket:
    return socket.create_connection(("127.0.0.1", network.port), LIMIT_S)


def said_back(connection: socket.socket, words: bytes) -> bytes:
    connection.sendall(words)
    got = b""
    while len(got) < len(words) and (data := connection.recv(65_536)):
        got += data
    return got


def test_up_it_carries_every_byte_both_ways_and_each_end_s_end(network: Network) -> None:
    words = bytes(range(256)) * 4_000
    with connect(network) as gate:
        sent = threading.Thread(target=gate.sendall, args=(words,))
        sent.start()
        got = b""
        while len(got) < len(words):
            got += gate.recv(65_536)
        sent.join()
        assert got == words
        gate.shutdown(socket.SHUT_WR)
        assert gate.recv(1) == b""


def test_cut_it_ends_what_was_under_way_and_nobody_answers_until_it_is_mended(
    city: City, network: Network
) -> None:
    with connect(network) as gate, connect(network) as idle:
        assert said_back(gate, b"before") == b"before"
        assert said_back(idle, b"!") == b"!"
        network.cut()
        assert network.state == "cut"
        for each in (gate, idle):
            with pytest.raises(ConnectionError):
                said_back(each, b"meanwhile")
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            connect(network)
    assert (city.met, city.heard) == (2, b"before!")
    with socket.create_connection(("127.0.0.1", city.port), LIMIT_S) as beside:
        assert said_back(beside, b"the city runs on") == b"the city runs on"
    network.restore()
    assert network.state == "up"
    with connect(network) as gate:
        assert said_back(gate, b"after") == b"after"


def test_cut_twice_and_mended_twice_it_is_as_after_once(network: Network) -> None:
    for _ in range(2):
        network.cut()
    for _ in range(2):
        network.restore()
    with connect(network) as gate:
        assert said_back(gate, b"here") == b"here"


def test_while_it_is_cut_its_port_stays_its_own(network: Network) -> None:
    network.cut()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", network.port))
    network.restore()


def test_without_a_city_behind_it_a_connection_ends(city: City, network: Network) -> None:
    city.close()
    with suppress(ConnectionError), connect(network) as gate:
        assert gate.recv(1) == b""
