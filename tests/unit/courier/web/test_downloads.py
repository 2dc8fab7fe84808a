"""Large files: whole, continued after a cut, or refused."""

import os
from pathlib import Path

import pytest

from tests.support.gate.web_states import CONTENT, LIMITS, large, state, unhurried
from tests.support.web.web_server import Fault, WebServer
from validator.courier.web.client import Web
from validator.errors import RemoteError, SourceState


class TestLargeFile:
    """Pieces: megabytes over lines that break."""

    def test_arrives_whole_and_leaves_no_part(
        self, server: WebServer, web: Web, tmp_path: Path
    ) -> None:
        assert large(server, web, tmp_path) == CONTENT
        assert [path.name for path in tmp_path.iterdir()] == ["large.wire"]

    def test_goes_on_where_a_power_cut_left_it(
        self, server: WebServer, web: Web, tmp_path: Path
    ) -> None:
        (tmp_path / "large.wire.part").write_bytes(CONTENT[:200_000])
        assert large(server, web, tmp_path) == CONTENT
        assert server.asked[0].headers["range"] == "bytes=200000-"
        assert web.received_bytes < len(CONTENT) - 200_000 + 1_000

    def test_that_was_whole_before_the_power_cut_asks_for_nothing(
        self, server: WebServer, web: Web, tmp_path: Path
    ) -> None:
        (tmp_path / "large.wire.part").write_bytes(CONTENT)
        assert large(server, web, tmp_path) == CONTENT
        assert server.asked == []

    def test_of_which_too_much_is_there_begins_again(
        self, server: WebServer, web: Web, tmp_path: Path
    ) -> None:
        (tmp_path / "large.wire.part").write_bytes(CONTENT + b"more")
        assert large(server, web, tmp_path) == CONTENT

    def test_comes_at_once_as_long_as_each_connection_brings_enough(
        self, server: WebServer, web: Web, tmp_path: Path
    ) -> None:
        server.cut_after_bytes = LIMITS.again_bytes_min
        server.faults["*"] = Fault.CUT
        assert large(server, web, tmp_path) == CONTENT
        assert len(server.asked) == -(-len(CONTENT) // LIMITS.again_bytes_min)

    @pytest.mark.parametrize("fault", [Fault.CUT, Fault.CUT_CHUNKED])
    def test_comes_poll_by_poll_when_connections_bring_little(
        self, server: WebServer, web: Web, tmp_path: Path, fault: Fault
    ) -> None:
        server.cut_after_bytes = 60_000
        server.faults["*"] = fault
        for _ in range(len(CONTENT) // 60_000):
            with pytest.raises(RemoteError, match="broke") as error:
                large(server, web, tmp_path)
            assert state(error, server) is SourceState.UNREACHABLE
        assert large(server, web, tmp_path) == CONTENT
        assert len(server.asked) == len(CONTENT) // 60_000 + 1

    @pytest.mark.parametrize(
        "fault",
        [
            Fault.IGNORES_RANGE,
            Fault.CHUNKED,
            Fault.WRONG_RANGE,
            Fault.WRONG_TOTAL,
            Fault.RANGE_REFUSED,
            Fault.OVERLONG_CHUNKED,
        ],
    )
    def test_begins_again_at_a_server_that_does_not_continue(
        self, server: WebServer, web: Web, tmp_path: Path, fault: Fault
    ) -> None:
        (tmp_path / "large.wire.part").write_bytes(CONTENT[:1_000])
        server.faults["*"] = fault
        assert large(server, web, tmp_path) == CONTENT

    @pytest.mark.parametrize(
        ("fault", "meaning"),
        [
            (Fault.CAPTIVE_PORTAL, SourceState.NOT_OURS),
            (Fault.HTML_AS_FILE, SourceState.REFUSED),
            (Fault.REDIRECT, SourceState.NOT_OURS),
            (Fault.REDIRECT_ENDLESS, SourceState.NOT_OURS),
            (Fault.NOT_FOUND, SourceState.NOT_OURS),
            (Fault.NOT_MODIFIED, SourceState.NOT_OURS),
            (Fault.OVERLONG, SourceState.REFUSED),
            (Fault.GARBAGE, SourceState.NOT_OURS),
            (Fault.ENDLESS_HEADERS, SourceState.NOT_OURS),
            (Fault.TOO_MANY, SourceState.BUSY),
        ],
    )
    def test_keeps_what_it_has_through_answers_of_others(
        self, server: WebServer, web: Web, tmp_path: Path, fault: Fault, meaning: SourceState
    ) -> None:
        part = tmp_path / "large.wire.part"
        part.write_bytes(CONTENT[:1_000])
        server.faults["*"] = fault
        with pytest.raises(RemoteError) as error:
            large(server, web, tmp_path)
        assert state(error, server) is meaning
        assert part.read_bytes() == CONTENT[:1_000]
        assert web.received_bytes < 100_000

    @pytest.mark.parametrize("fault", [Fault.TAMPERED, Fault.ENDLESS_BODY])
    def test_of_other_bytes_is_refused_and_nothing_of_it_stays(
        self, server: WebServer, web: Web, tmp_path: Path, fault: Fault
    ) -> None:
        server.faults["*"] = fault
        with pytest.raises(RemoteError) as error:
            large(server, web, tmp_path)
        assert state(error, server) is SourceState.REFUSED
        assert list(tmp_path.iterdir()) == []
        server.faults.clear()
        assert large(server, web, tmp_path) == CONTENT

    @pytest.mark.parametrize("there", [1_000, len(CONTENT)], ids=["a part", "all of it"])
    def test_whose_part_rotted_on_the_disk_is_fetched_again_and_the_server_not_blamed(
        self, server: WebServer, web: Web, tmp_path: Path, there: int
    ) -> None:
        (tmp_path / "large.wire.part").write_bytes(bytes(there))
        assert large(server, web, tmp_path) == CONTENT
        assert [path.name for path in tmp_path.iterdir()] == ["large.wire"]

    def test_whose_part_rotted_and_whose_line_breaks_goes_on_with_the_new_part(
        self, server: WebServer, web: Web, tmp_path: Path
    ) -> None:
        part = tmp_path / "large.wire.part"
        part.write_bytes(bytes(len(CONTENT)))
        server.faults["*"] = Fault.CUT
        server.cut_after_bytes = 60_000
        with pytest.raises(RemoteError, match="broke"):
            large(server, web, tmp_path)
        assert part.read_bytes() == CONTENT[:60_000]
        server.faults.clear()
        assert large(server, web, tmp_path) == CONTENT

    @pytest.mark.parametrize("there", [0, 1_000])
    def test_of_other_bytes_is_asked_for_at_most_twice(
        self, server: WebServer, web: Web, tmp_path: Path, there: int
    ) -> None:
        (tmp_path / "large.wire.part").write_bytes(CONTENT[:there])
        server.faults["*"] = Fault.TAMPERED
        with pytest.raises(RemoteError) as error:
            large(server, web, tmp_path)
        assert state(error, server) is SourceState.REFUSED
        assert len(server.asked) == (2 if there else 1)

    def test_that_stalls_is_gone_on_with_at_the_next_poll(
        self, server: WebServer, hurried: Web, tmp_path: Path
    ) -> None:
        server.faults["*"] = Fault.STALL
        with pytest.raises(RemoteError) as error:
            large(server, hurried, tmp_path)
        assert state(error, server) is SourceState.SLOW
        server.faults.clear()
        unhurried(hurried)
        assert large(server, hurried, tmp_path) == CONTENT
        assert server.asked[-1].headers["range"] == "bytes=1000-"

    def test_follows_no_symbolic_link(self, server: WebServer, web: Web, tmp_path: Path) -> None:
        (tmp_path / "precious").write_bytes(b"mine")
        (tmp_path / "large.wire.part").symlink_to(tmp_path / "precious")
        assert large(server, web, tmp_path) == CONTENT
        assert (tmp_path / "precious").read_bytes() == b"mine"

    def test_a_folder_that_is_not_there_is_reported_as_the_disks_fault(
        self, server: WebServer, web: Web, tmp_path: Path
    ) -> None:
        with pytest.raises(RemoteError, match="No such file") as error:
            large(server, web, tmp_path / "none")
        assert state(error) is SourceState.DISK

    def test_a_full_disk_is_reported_and_the_part_stays(
        self, server: WebServer, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = os.write
        full = OSError(28, "No space left on device")

        def fills_up(fd: int, data: bytes) -> int:
            if (tmp_path / "large.wire.part").stat().st_size > 100_000:
                raise full
            return write(fd, data)

        monkeypatch.setattr(os, "write", fills_up)
        with pytest.raises(
            RemoteError, match=r"large\.wire\.part: No space left on device; check"
        ) as error:
            large(server, web, tmp_path)
        assert state(error) is SourceState.DISK
        monkeypatch.undo()
        assert large(server, web, tmp_path) == CONTENT
        assert "range" in server.asked[-1].headers
