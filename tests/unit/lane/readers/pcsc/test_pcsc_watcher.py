"""What the watcher makes of a pcscd that is wrong about the bus, or is not there at all."""

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from validator.lane.readers.pcsc import library, watcher
from validator.lane.readers.pcsc.codes import Code, PcscError, Protocols, State
from validator.lane.readers.pcsc.reader import PcscReader
from validator.lane.readers.pcsc.watcher import Lost, Ready, Watcher, WatcherNews

SLOT = "ACS ACR122U PICC Interface 00 00"
LIMIT_S = 60.0


class FakePcscd:
    """One slot without a card, at address 2 of bus 1. A `Pcsc` and its own `Context`."""

    def __init__(self) -> None:
        self.failure: int | None = None
        self.last_answer: int | None = None  # of the wait in which it dies
        self.cancelled = threading.Event()
        self.released = 0

    def context(self) -> library.Context:
        self._check("SCardEstablishContext")
        return self

    def slots(self) -> list[str]:
        self._check("SCardListReaders")
        return [SLOT]

    def wait(self, known: Sequence[tuple[str, int]], limit_ms: int) -> list[int] | None:
        if self.last_answer is not None:
            self.failure = Code.COMM_ERROR
            raise PcscError(self.last_answer, "SCardGetStatusChange")
        self._check("SCardGetStatusChange")
        if known == [(SLOT, 0)]:
            return [State.EMPTY | State.CHANGED]
        self.cancelled.wait(min(limit_ms, 20) / 1000)
        return None

    def connect(self, slot: str, protocols: Protocols) -> library.Card:
        raise AssertionError(f"no card is in {slot}, {protocols}")

    def usb_address(self, slot: str) -> tuple[int, int] | None:
        self._check(f"SCardConnect {slot}")
        return 1, 2

    def cancel(self) -> None:
        self.cancelled.set()

    def release(self) -> None:
        self.released += 1

    def _check(self, function: str) -> None:
        if self.failure is not None:
            raise PcscError(self.failure, function)


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    device = tmp_path / "usb" / "1-1"
    device.mkdir(parents=True)
    files = {"idVendor": "072f", "idProduct": "2200", "busnum": "1", "devnum": "2"}
    for name, text in files.items():
        (device / name).write_text(text)
    return device.parent


def next_news(watching: Watcher) -> WatcherNews:
    deadline = time.monotonic() + LIMIT_S
    while (taken := watching.take()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return taken[1]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_reader_that_pcscd_lists_after_it_left_the_bus_is_lost_and_then_pcscd_is_named(
    sysfs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = Watcher(FakePcscd(), "ACS*", tmp_path, sysfs=sysfs)
    assert next_news(watching) == Ready(card_lies=False)
    shutil.rmtree(sysfs / "1-1")
    gone = next_news(watching)
    assert isinstance(gone, Lost)
    assert "unplugged, or it no longer answers pcscd" in gone.reason
    monkeypatch.setattr(watcher, "DEAF_NS", 0)
    deaf = next_news(watching)
    assert isinstance(deaf, Lost)
    assert deaf.reason == (
        "pcsc at ACS*: unplugged, and pcscd does not notice any more; restart pcscd"
    )
    watching.close()


def test_a_pcscd_that_fails_is_reported_once_and_a_new_context_serves(
    sysfs: Path, tmp_path: Path
) -> None:
    pcscd = FakePcscd()
    watching = Watcher(pcscd, "ACS*", tmp_path, sysfs=sysfs)
    assert next_news(watching) == Ready(card_lies=False)
    pcscd.failure = Code.COMM_ERROR
    assert isinstance(next_news(watching), Lost)
    until(lambda: pcscd.released == 1)
    pcscd.failure = None
    assert next_news(watching) == Ready(card_lies=False)
    watching.close()


def test_a_pcscd_whose_failures_alternate_is_reported_once_for_each_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Restarting(FakePcscd):
        """A pcscd that systemd starts again and again, and that ends at once."""

        tries = 0

        def context(self) -> library.Context:
            self.tries += 1
            raise PcscError(self.tries % 2 or Code.SECURITY_VIOLATION, "SCardEstablishContext")

    monkeypatch.setattr(watcher, "RETRY_MS", 1)
    pcscd = Restarting()
    reader = PcscReader(pcscd, "ACS*", tmp_path)
    reasons: list[object] = []

    def has_tried_often() -> bool:
        event = reader.take()
        if event is not None:
            reasons.append(event)
        return pcscd.tries > 20

    until(has_tried_often)
    reader.close()
    assert len(reasons) == 2


def test_a_pcscd_that_dies_in_a_wait_with_any_answer_is_named_and_no_code_is(
    sysfs: Path, tmp_path: Path
) -> None:
    pcscd = FakePcscd()
    watching = Watcher(pcscd, "ACS*", tmp_path, sysfs=sysfs)
    assert next_news(watching) == Ready(card_lies=False)
    pcscd.last_answer = 0x8010006A
    gone = next_news(watching)
    assert isinstance(gone, Lost)
    assert gone.reason.startswith("pcsc at ACS*: pcscd ")
    assert "8010006A" not in gone.reason
    watching.close()


def test_closing_ends_the_wait_and_releases_the_context_and_the_lock(
    sysfs: Path, tmp_path: Path
) -> None:
    pcscd = FakePcscd()
    watching = Watcher(pcscd, "ACS*", tmp_path, sysfs=sysfs)
    assert next_news(watching) == Ready(card_lies=False)
    watching.close()
    assert pcscd.cancelled.is_set()
    until(lambda: pcscd.released == 1)
    second = Watcher(FakePcscd(), "ACS*", tmp_path, sysfs=sysfs)
    assert next_news(second) == Ready(card_lies=False)
    second.close()
