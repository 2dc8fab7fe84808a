"""A USB device's endpoints: whose transfer gets which data, and what every device answers."""

import pytest

from firmware_sim.outcomes import RefusedError, Unplug
from firmware_sim.usb.function import Flush, Packets
from firmware_sim.usb.transfers import Completion, Status, Transfer
from tests.support.devices.usb_bench import IN, OUT, Bench, Table

OUT_TO_ENDPOINT, IN_FROM_DEVICE, IN_FROM_ENDPOINT = 0x02, 0x80, 0x82
CLEAR_FEATURE, SET_FEATURE, GET_STATUS, GET_DESCRIPTOR = 1, 3, 0, 6


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def bench(table: Table) -> Bench:
    return Bench(table)


def test_data_waits_for_a_transfer(bench: Bench, table: Table) -> None:
    table.to_send = [Packets(IN, b"first"), Packets(IN, b"second")]
    assert bench.turn() == []
    assert bench.read() == [Completion(1, Status.OK, b"first", 5)]
    assert bench.read() == [Completion(2, Status.OK, b"second", 6)]


def test_a_transfer_waits_for_data(bench: Bench, table: Table) -> None:
    assert bench.read() == []
    table.to_send = [Packets(IN, b"late")]
    assert bench.turn() == [Completion(1, Status.OK, b"late", 4)]


def test_transfers_get_data_in_the_order_in_which_they_came(bench: Bench, table: Table) -> None:
    bench.read()
    bench.read()
    table.to_send = [Packets(IN, b"a"), Packets(IN, b"b")]
    assert [(each.key, each.data) for each in bench.turn()] == [(1, b"a"), (2, b"b")]


def test_what_the_host_sends_reaches_the_function_whole(bench: Bench, table: Table) -> None:
    assert bench.write(b"x" * 200) == [Completion(1, Status.OK, b"", 200)]
    assert bench.write(b"") == [Completion(2, Status.OK, b"", 0)]
    assert table.received == [(OUT, b"x" * 200), (OUT, b"")]


def test_data_of_several_transfers_keeps_its_rest_at_a_packet_s_border(
    bench: Bench, table: Table
) -> None:
    table.to_send = [Packets(IN, bytes(range(100)))]
    assert bench.read(64) == [Completion(1, Status.OK, bytes(range(64)), 64)]
    assert bench.read(64) == [Completion(2, Status.OK, bytes(range(64, 100)), 36)]


def test_a_packet_for_which_there_is_no_room_is_babble(bench: Bench, table: Table) -> None:
    table.to_send = [Packets(IN, bytes(64))]
    assert bench.read(10) == [Completion(1, Status.BABBLE, b"", 0)]


def test_a_cancelled_transfer_gets_no_completion_and_no_data(bench: Bench, table: Table) -> None:
    bench.read()
    assert bench.device.cancel(1, bench.now_ns)
    assert not bench.device.cancel(1, bench.now_ns)
    table.to_send = [Packets(IN, b"for the next")]
    assert bench.turn() == []
    assert bench.read() == [Completion(2, Status.OK, b"for the next", 12)]


def test_a_function_can_take_back_what_no_transfer_has_taken(bench: Bench, table: Table) -> None:
    table.to_send = [Packets(IN, b"old"), Flush(IN), Packets(IN, b"new")]
    assert bench.read() == [Completion(1, Status.OK, b"new", 3)]


def test_an_endpoint_that_is_not_there_stalls(bench: Bench) -> None:
    assert bench.read(endpoint=0x83) == [Completion(1, Status.STALL)]


def test_transfers_beyond_any_program_s_need_stall(bench: Bench) -> None:
    stalled = [completion for _ in range(1030) for completion in bench.read()]
    assert [each.status for each in stalled] == [Status.STALL] * 6


def test_an_endpoint_is_halted_and_cleared(bench: Bench, table: Table) -> None:
    bench.read()
    bench.control(OUT_TO_ENDPOINT, SET_FEATURE, index=IN)
    assert bench.completions[0] == Completion(1, Status.STALL)
    assert bench.control(IN_FROM_ENDPOINT, GET_STATUS, index=IN, length=2).data == b"\x01\x00"
    assert bench.read() == [Completion(4, Status.STALL)]
    assert bench.control(OUT_TO_ENDPOINT, CLEAR_FEATURE, index=IN).status is Status.OK
    assert bench.control(IN_FROM_ENDPOINT, GET_STATUS, index=IN, length=2).data == b"\x00\x00"
    table.to_send = [Packets(IN, b"again")]
    assert bench.read() == [Completion(7, Status.OK, b"again", 5)]


def test_a_reset_of_the_bus_clears_endpoints_and_drops_data(bench: Bench, table: Table) -> None:
    bench.control(OUT_TO_ENDPOINT, SET_FEATURE, index=IN)
    table.to_send = [Packets(IN, b"old")]
    bench.turn()
    bench.device.bus_reset(bench.now_ns)
    assert bench.read() == []
    assert table.happened[-1] == "reset"


@pytest.mark.parametrize(
    ("value", "length", "answer"),
    [
        (0x0100, 64, "12010002000000403412785603020102030" + "1"),
        (0x0100, 8, "1201000200000040"),
        (0x0200, 9, "090220000101008032"),
        (0x0300, 255, "04030904"),
        (0x0302, 255, "0c0354006800690" + "06e006700"),
    ],
)
def test_descriptors_are_those_of_the_function(
    bench: Bench, value: int, length: int, answer: str
) -> None:
    got = bench.control(IN_FROM_DEVICE, GET_DESCRIPTOR, value, length=length)
    assert (got.status, got.data.hex()) == (Status.OK, answer)


def test_the_configuration_has_interface_and_endpoints(bench: Bench) -> None:
    got = bench.control(IN_FROM_DEVICE, GET_DESCRIPTOR, 0x0200, length=255).data.hex()
    assert got == "09022000010100803209040000 02ff000000 07050202400000 07058102400000".replace(
        " ", ""
    )


def test_what_is_no_standard_request_goes_to_the_function(bench: Bench, table: Table) -> None:
    assert bench.control(0xC0, 77, length=3) == Completion(1, Status.OK, b"ans", 3)
    assert bench.control(0xC0, 78, length=3) == Completion(2, Status.STALL)
    assert table.happened == ["on", "control 77 ", "control 78 "]


@pytest.mark.parametrize(
    ("request_type", "request_number", "value", "index", "status"),
    [
        (0x00, 9, 1, 0, Status.OK),
        (0x00, 9, 2, 0, Status.STALL),
        (0x01, 11, 0, 0, Status.OK),
        (0x01, 11, 0, 1, Status.STALL),
        (0x01, 11, 1, 0, Status.STALL),
        (0x80, 6, 0x0305, 0, Status.STALL),
        (0x80, 6, 0x0201, 0, Status.STALL),
        (0x81, 10, 0, 0, Status.OK),
        (0x81, 10, 0, 1, Status.STALL),
        (0x80, 8, 0, 0, Status.OK),
    ],
)
def test_there_is_one_configuration_and_one_setting(
    bench: Bench, request_type: int, request_number: int, value: int, index: int, status: Status
) -> None:
    got = bench.control(request_type, request_number, value, index, length=1)
    assert got.status is status


def test_without_its_plug_every_transfer_is_gone(bench: Bench) -> None:
    bench.read()
    bench.device.plugged(False, bench.now_ns)
    assert bench.turn() == []
    assert bench.write(b"x") == [Completion(2, Status.GONE)]


# Faults of the wire


def test_a_stall_halts_the_endpoint_until_it_is_cleared(bench: Bench, table: Table) -> None:
    bench.obey("fault stall")
    table.to_send = [Packets(IN, b"lost")]
    assert bench.read() == [Completion(1, Status.STALL)]
    table.to_send = [Packets(IN, b"kept")]
    assert bench.read() == [Completion(2, Status.STALL)]
    bench.control(OUT_TO_ENDPOINT, CLEAR_FEATURE, index=IN)
    assert bench.read() == [Completion(4, Status.OK, b"kept", 4)]


def test_babble_loses_one_answer(bench: Bench, table: Table) -> None:
    bench.obey("fault babble")
    table.to_send = [Packets(IN, b"lost"), Packets(IN, b"kept")]
    assert bench.read() == [Completion(1, Status.BABBLE)]
    assert bench.read() == [Completion(2, Status.OK, b"kept", 4)]


def test_a_silent_device_answers_no_transfer_and_lets_all_be_cancelled(
    bench: Bench, table: Table
) -> None:
    bench.obey("fault silent")
    assert bench.write(b"x") == []
    assert bench.submit(Transfer("own", 0, 0)) == []
    assert table.received == []
    assert bench.device.cancel(1, bench.now_ns)
    bench.obey("fault none")
    assert bench.write(b"y") == [Completion(2, Status.OK, b"", 1)]
    assert table.received == [(OUT, b"y")]


@pytest.mark.parametrize("number", [1, 2, 5])
def test_the_plug_comes_out_at_the_transfer_of_that_number(bench: Bench, number: int) -> None:
    bench.obey(f"fault unplug={number}")
    for _ in range(number - 1):
        assert len(bench.write(b"x")) == 1
        assert bench.unplugs == []
    assert bench.write(b"x") == []
    assert bench.unplugs == [Unplug(None)]
    assert bench.write(b"x")[0].status is Status.OK, "it strikes once"


def test_a_supply_that_dips_at_a_transfer_brings_the_device_back(bench: Bench) -> None:
    bench.obey("fault brownout=2")
    assert len(bench.write(b"x")) == 1
    assert bench.write(b"x") == []
    assert bench.unplugs == [Unplug(100_000_000)]


def test_a_brownout_is_an_unplug_that_ends_by_itself(bench: Bench) -> None:
    bench.obey("brownout")
    assert [event.name for event in bench.events] == ["brownout"]
    assert bench.unplugs == [Unplug(100_000_000)]


def test_a_device_without_its_plug_cannot_brown_out(bench: Bench) -> None:
    bench.device.plugged(False, bench.now_ns)
    with pytest.raises(RefusedError, match="brownout: the device is unplugged"):
        bench.obey("brownout")


def test_another_id_is_another_serial_number_from_the_next_plug(bench: Bench) -> None:
    bench.obey("fault another-id")
    assert bench.device.descriptors.serial == "7"
    bench.device.plugged(False, bench.now_ns)
    bench.device.plugged(True, bench.now_ns)
    other = bench.device.descriptors.serial
    assert other != "7"
    assert (
        bench.control(IN_FROM_DEVICE, GET_DESCRIPTOR, 0x0303, length=255)
        .data[2:]
        .decode("utf-16-le")
        == other
    )
    bench.device.plugged(False, bench.now_ns)
    bench.device.plugged(True, bench.now_ns)
    assert bench.device.descriptors.serial == other


# Verbs


@pytest.mark.parametrize(
    ("verb", "says"),
    [
        ("dance", "no verb is called 'dance'; there are wave, fault, brownout, unplug, replug"),
        ("wave", "wave: write wave HAND"),
        ("fault", "fault: write fault NAME"),
        ("brownout now", "brownout: write brownout"),
        ("fault nonsense", "no fault is called 'nonsense'; there are stall, babble"),
        ("fault unplug=0", "unplug: '0' is not a number from 1"),
        ("fault unplug=x", "unplug: 'x' is not a number from 1"),
    ],
)
def test_a_wrong_verb_says_what_to_write(bench: Bench, verb: str, says: str) -> None:
    with pytest.raises(RefusedError) as raised:
        bench.obey(verb)
    assert says in str(raised.value)


def test_a_verb_of_the_function_s_own_reaches_it(bench: Bench, table: Table) -> None:
    bench.obey("wave left")
    assert table.happened[-1] == "wave left"


def test_status_has_the_wire_and_the_function(bench: Bench) -> None:
    bench.read()
    bench.obey("fault stall=3")
    assert bench.device.status() == {
        "id": "1234:5678",
        "transfers": 1,
        "pending": 1,
        "halted": [],
        "faults": ["stall"],
        "on the table": True,
    }
