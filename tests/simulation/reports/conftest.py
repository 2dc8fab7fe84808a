"""The world of the tests of reports over networks."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from backoffice.reports.store import ReportStore
from tests.simulation.reports.report_world import GATE, KEY, Lane, World, outbox
from tests.support.gate.reports import NOW_UNIX_S
from tests.support.web.web_server import WebServer
from validator.courier.receiver_client import ReceiverClient
from validator.courier.report_upload import ReportUpload
from validator.courier.web.client import Web


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    box, web = outbox(tmp_path / "outbox"), Web()
    with ReportStore.open(f"sqlite:///{tmp_path / 'registry.db'}") as store, WebServer() as server:
        lane = Lane(box)
        receiver_client = ReceiverClient(server.url, web, GATE, KEY, lambda: NOW_UNIX_S)
        yield World(
            store, server, web, lane, ReportUpload([lane], receiver_client, random.Random(1).random)
        )
    web.close()
    box.close()
