"""The demo's network: a cut resets and refuses connections, and the city's server runs on."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from turnike_demo.city.network import Network

LIMIT_S = 60.0


class City:
    """A server that echoes what it receives, and counts its connections."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.connections = 0
        self.received = b""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                each, _ = self._listening.accept()
                self.connections += 1
                threading.Thread(target=self._answer, args=(each,), daemon=True).start()

    def _answer(self, each: socket.socket) -> None:
        with each, suppress(OSError):
            while data := each.recv(65_536):
                self.received += data
                each.sendall(data)

    def close(self) -> None:
        """Close the port, and end the thread that waits for the next connection."""
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


def echoed(connection: socket.socket, words: bytes) -> bytes:
    connection.sendall(words)
    got = b""
    while len(got) < len(words) and (data := connection.recv(65_536)):
        got += data
    return got


def test_it_carries_every_byte_and_end_of_input_both_ways(network: Network) -> None:
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


def test_a_cut_resets_connections_and_refuses_new_ones_until_it_is_restored(
    city: City, network: Network
) -> None:
    with connect(network) as gate, connect(network) as idle:
        assert echoed(gate, b"before") == b"before"
        assert echoed(idle, b"!") == b"!"
        network.cut()
        assert network.state == "cut"
        for each in (gate, idle):
            with pytest.raises(ConnectionError):
                echoed(each, b"meanwhile")
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            connect(network)
    assert (city.connections, city.received) == (2, b"before!")
    with socket.create_connection(("127.0.0.1", city.port), LIMIT_S) as beside:
        assert echoed(beside, b"the city runs on") == b"the city runs on"
    network.restore()
    assert network.state == "up"
    with connect(network) as gate:
        assert echoed(gate, b"after") == b"after"


def test_a_second_cut_and_a_second_restore_change_nothing(network: Network) -> None:
    for _ in range(2):
        network.cut()
    for _ in range(2):
        network.restore()
    with connect(network) as gate:
        assert echoed(gate, b"here") == b"here"


def test_while_it_is_cut_its_port_stays_its_own(network: Network) -> None:
    network.cut()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", network.port))
    network.restore()


def test_without_a_city_behind_it_a_connection_ends(city: City, network: Network) -> None:
    city.close()
    with suppress(ConnectionError), connect(network) as gate:
        assert gate.recv(1) == b""
