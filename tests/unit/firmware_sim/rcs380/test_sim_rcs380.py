"""The simulated RC-S380: its commands, its radio, its times, its faults."""

import pytest

from firmware_sim.radio.air import crc_a
from firmware_sim.radio.field import Stage
from firmware_sim.rcs380.commands import REAL
from firmware_sim.usb.faults import USB_FAULTS
from tests.support.devices.rcs380_bench import (
    ACK,
    CLASSIC,
    DESFIRE,
    PHONE,
    ReaderBench,
    frame,
    from_chip,
)
from tests.support.devices.usb_bench import MS

ERROR_FRAME = bytes.fromhex("0000ffffff")
TIMEOUT, CRC_ERROR, COLLISION = "80000000", "04000000", "08000000"
OK = "0000000008"  # no error, and all bits of the last byte
TYPE_A, FIELD_ON, FIELD_OFF = "0002030f03", "0601", "0600"
SHORT, PLAIN, WITH_CRC = "02070701000200", "02070801000200", "02070801010201"
REQA, WUPA, HLTA, RATS = "26", "52", "5000", "e050"


@pytest.fixture
def bench() -> ReaderBench:
    return ready(ReaderBench())


def ready(bench: ReaderBench) -> ReaderBench:
    assert bench.ask(TYPE_A, 10) == "0100"
    return bench


def air(bench: ReaderBench, how: str, data: str, timeout_ms: int = 2) -> str:
    """Send bytes over the air; return the status and the answer."""
    assert bench.ask(how, 10) == "0300"
    wait = (timeout_ms * 10).to_bytes(2, "little").hex()
    answer = bench.ask(f"04{wait}{data}", timeout_ms + 30)
    assert answer[:2] == "05"
    return answer[2:]


def select(bench: ReaderBench, request: str = REQA) -> str:
    """Find a card as a host does; return its UID, or the status at which it ended."""
    found = air(bench, SHORT, request)
    if not found.startswith(OK):
        return found
    uid = b""
    for level in ("93", "95", "97"):
        part = air(bench, PLAIN, f"{level}20")
        if not part.startswith(OK):
            return part
        sak = air(bench, WITH_CRC, f"{level}70{part[10:]}")
        if not sak.startswith(OK):
            return sak
        cascades = bytes.fromhex(sak[10:])[0] & 4
        uid += bytes.fromhex(part[10:])[1 if cascades else 0 : 4]
        if not cascades:
            return uid.hex()
    return "too long"


# Commands


def test_it_is_acknowledged_and_answers(bench: ReaderBench) -> None:
    assert bench.ask("20") == "211101"
    assert bench.ask("22") == "230001"
    assert bench.ask("28") == "290000000000000003"
    assert bench.ask("2a01") == "2b00"


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("2a02", "2b01"),
        ("0602", "0701"),
        ("000203", "0101"),
        ("0207", "0301"),
        ("021400", "0301"),
        ("0464", "0580000000"),
        ("1201", "1301"),
        ("fe", "ff07"),
        ("4000", "4100"),
    ],
)
def test_wrong_parameters_and_unknown_commands_have_a_status(
    bench: ReaderBench, command: str, answer: str
) -> None:
    assert bench.ask(command) == answer


def test_bytes_that_are_no_frame_get_the_error_frame(bench: ReaderBench) -> None:
    bench.write(b"\x00\x01\x02")
    assert bench.receive() == ERROR_FRAME
    assert bench.device.status()["skipped_frames"] == 1


def test_the_host_s_ack_aborts_the_command_that_runs(bench: ReaderBench) -> None:
    bench.write(frame("0460ea26"))
    assert bench.receive() == ACK
    bench.write(ACK)
    assert bench.receive(7_000) is None
    assert [event.details for event in bench.events if event.name == "aborted"] == [
        {"command": "04"}
    ]
    assert bench.ask("20") == "211101"


def test_a_new_command_takes_the_place_of_one_that_runs(bench: ReaderBench) -> None:
    bench.write(frame("0460ea26"))
    bench.write(frame("20"))
    assert bench.receive() == ACK, "the first answer waits no longer"
    assert bench.receive() == from_chip("211101")
    assert bench.receive(7_000) is None


def test_without_power_it_forgets_everything(bench: ReaderBench) -> None:
    bench.put(DESFIRE)
    assert select(bench) == DESFIRE.hex()
    bench.device.plugged(False, bench.now_ns)
    bench.device.plugged(True, bench.now_ns)
    assert bench.device.status()["field"] is False
    assert air(bench, SHORT, REQA) == TIMEOUT, "no modulation is chosen"
    ready(bench)
    assert select(bench) == DESFIRE.hex()


# Cards


@pytest.mark.parametrize("uid", [CLASSIC, DESFIRE, bytes.fromhex("04112233445566778899")])
def test_a_card_of_any_length_is_found(bench: ReaderBench, uid: bytes) -> None:
    bench.put(uid)
    assert select(bench) == uid.hex()
    assert [event.name for event in bench.events][-1] == "selected"


def test_an_empty_field_times_out_after_the_host_s_time(bench: ReaderBench) -> None:
    started_ns = bench.now_ns
    assert air(bench, SHORT, REQA, timeout_ms=6) == TIMEOUT
    bench.until_due()
    assert bench.completions
    assert bench.now_ns - started_ns >= 6 * MS


def test_a_halted_card_is_silent_to_reqa_and_wakes_to_wupa(bench: ReaderBench) -> None:
    bench.put(DESFIRE)
    assert select(bench) == DESFIRE.hex()
    assert air(bench, WITH_CRC, HLTA) == TIMEOUT
    assert bench.events[-1].name == "released"
    assert air(bench, SHORT, REQA) == TIMEOUT
    assert select(bench, WUPA) == DESFIRE.hex()


def test_a_halted_card_that_hears_nonsense_stays_halted(bench: ReaderBench) -> None:
    bench.put(DESFIRE)
    select(bench)
    air(bench, WITH_CRC, HLTA)
    assert air(bench, SHORT, WUPA).startswith(OK)
    assert air(bench, WITH_CRC, "3000") == TIMEOUT
    assert air(bench, SHORT, REQA) == TIMEOUT


def test_a_field_that_was_off_resets_every_card(bench: ReaderBench) -> None:
    bench.put(DESFIRE)
    select(bench)
    air(bench, WITH_CRC, HLTA)
    assert bench.ask(FIELD_OFF) == "0700"
    assert bench.ask(FIELD_ON) == "0700"
    assert select(bench) == DESFIRE.hex()


def test_a_phone_shows_another_uid_after_the_field_was_off(bench: ReaderBench) -> None:
    bench.put(PHONE)
    first = select(bench)
    bench.ask(FIELD_OFF)
    bench.ask(FIELD_ON)
    second = select(bench)
    assert first[:2] == second[:2] == "08"
    assert first != second


def test_two_cards_answer_the_request_and_collide_after_it(bench: ReaderBench) -> None:
    bench.put(DESFIRE)
    bench.put(bytes.fromhex("04112233445566"))
    assert air(bench, SHORT, REQA).startswith(OK), "both say the same"
    assert air(bench, PLAIN, "9320") == COLLISION


def test_two_cards_of_different_kinds_collide_at_once(bench: ReaderBench) -> None:
    bench.put(DESFIRE)
    bench.put(CLASSIC)
    assert air(bench, SHORT, REQA) == COLLISION


def test_a_host_that_knows_some_bits_finds_one_of_two(bench: ReaderBench) -> None:
    bench.put(bytes.fromhex("11223344"))
    bench.put(bytes.fromhex("12345678"))
    air(bench, SHORT, REQA)
    assert air(bench, PLAIN, "9320") == COLLISION
    bench.ask("02070201000200")  # two bits of the last byte
    assert air(bench, "02070201000200", "932201") == OK + "1122334444"


def test_a_card_beside_a_halted_one_is_found(bench: ReaderBench) -> None:
    bench.put(DESFIRE)
    select(bench)
    air(bench, WITH_CRC, HLTA)
    bench.put(CLASSIC)
    assert select(bench) == CLASSIC.hex()


def test_rats_and_blocks_reach_the_card(bench: ReaderBench) -> None:
    bench.put(DESFIRE)
    select(bench)
    assert air(bench, WITH_CRC, RATS) == OK + "067577810280"
    assert air(bench, WITH_CRC, "02905a00000342220100") == OK + "029100"
    assert air(bench, SHORT, REQA) == TIMEOUT, "a card in PROTOCOL ignores requests"
    assert air(bench, WITH_CRC, "c2") == OK + "c2"
    assert air(bench, SHORT, WUPA).startswith(OK)


def test_a_classic_ignores_rats(bench: ReaderBench) -> None:
    bench.put(CLASSIC)
    select(bench)
    assert air(bench, WITH_CRC, RATS) == TIMEOUT


def test_a_wrong_crc_in_the_answer_is_reported(bench: ReaderBench) -> None:
    bench.put(DESFIRE)
    air(bench, SHORT, REQA)
    assert air(bench, WITH_CRC, "9320") == TIMEOUT, "with a CRC, it is another command"
    air(bench, SHORT, REQA)
    assert air(bench, "02070801000201", "9320") == CRC_ERROR


def test_the_crc_is_that_of_the_standard() -> None:
    assert crc_a(b"\x00\x00").hex() == "a01e"  # ISO/IEC 14443-3, B.2
    assert crc_a(b"\x12\x34").hex() == "26cf"


@pytest.mark.parametrize(
    ("stage", "found"),
    [
        (Stage.BEFORE_ANTICOLLISION, TIMEOUT),
        (Stage.IN_ANTICOLLISION, TIMEOUT),
        (Stage.BEFORE_SELECT, TIMEOUT),
        (Stage.BEFORE_RATS, DESFIRE.hex()),
        (Stage.BEFORE_REPLY, DESFIRE.hex()),
        (Stage.BEFORE_RELEASE, DESFIRE.hex()),
    ],
)
def test_a_card_leaves_at_its_stage(bench: ReaderBench, stage: Stage, found: str) -> None:
    there = bench.put(DESFIRE, stage)
    assert select(bench) == found
    air(bench, WITH_CRC, HLTA)
    assert there.gone
    removed = [event.details for event in bench.events if event.name == "removed"]
    assert removed == [{"uid": DESFIRE.hex(), "stage": stage.value}]
    assert air(bench, SHORT, WUPA) == TIMEOUT


def test_a_card_that_was_taken_away_answers_nothing_more(bench: ReaderBench) -> None:
    there = bench.put(DESFIRE)
    air(bench, SHORT, REQA)
    bench.take(there)
    assert air(bench, PLAIN, "9320") == TIMEOUT


# Times


def test_real_commands_take_their_time() -> None:
    bench = ReaderBench(REAL)
    bench.write(frame("20"))
    assert bench.receive() == ACK
    assert bench.receive(2.9) is None
    assert bench.receive(0.2) == from_chip("211101")


def test_the_initial_guard_time_counts_from_the_field(bench: ReaderBench) -> None:
    bench.put(DESFIRE)
    bench.ask(FIELD_OFF)
    bench.ask("020006" + SHORT[2:])
    bench.ask(FIELD_ON)
    bench.write(frame("04140026"))
    assert bench.receive() == ACK
    assert bench.receive(5.9) is None
    assert bench.receive(0.2) == from_chip("05" + OK + "4403")


def test_a_real_card_needs_time_to_power_up() -> None:
    bench = ReaderBench(REAL)
    bench.put(DESFIRE)
    bench.ask(TYPE_A, 10)
    assert air(bench, SHORT, REQA, timeout_ms=1).startswith(OK), "commands took that long"
    late = ReaderBench(REAL)
    late.ask(TYPE_A, 10)
    late.ask(SHORT, 10)
    late.put(CLASSIC)
    assert late.ask("040a0026", 20) == "05" + TIMEOUT


# Faults


def faulty(bench: ReaderBench, fault: str, wait_ms: float = 0.0) -> list[bytes]:
    """Return what comes for one command under a fault."""
    bench.obey(f"fault {fault}")
    bench.write(frame("20"))
    frames = []
    while (data := bench.receive(wait_ms)) is not None:
        frames.append(data)
    bench.obey("fault none")
    return frames


def test_faults_of_an_answer_leave_the_acknowledgement(bench: ReaderBench) -> None:
    version = from_chip("211101")
    assert faulty(bench, "dropped") == [ACK]
    assert faulty(bench, "dropped-ack") == [version]
    assert faulty(bench, "wrong-frame") == [ACK, from_chip("311101")]
    assert faulty(bench, "error-frame") == [ACK, ERROR_FRAME]
    assert faulty(bench, "delayed=40", 39) == [ACK]
    assert faulty(bench, "delayed=40", 41) == [ACK, version]
    for fault in ("noise", "truncated", "bad-checksum"):
        ack, answer = faulty(bench, fault)
        assert ack == ACK
        assert answer != version, fault


def test_a_fault_strikes_as_often_as_it_says(bench: ReaderBench) -> None:
    bench.obey("fault dropped=1")
    assert bench.ask("20") == ""
    assert bench.ask("20") == "211101"
    struck = [event.details for event in bench.events if event.name == "fault"]
    assert struck == [
        {"fault": "dropped", "state": "set"},
        {"fault": "dropped", "state": "struck"},
    ]


def test_a_card_can_bring_a_second_one(bench: ReaderBench) -> None:
    bench.obey("fault two-cards=1")
    bench.obey(f"present {DESFIRE.hex()}")
    assert [event.name for event in bench.events][-2:] == ["present", "present"]
    assert len(bench.reader.field.present) == 2


def test_no_fault_of_the_reader_has_the_name_of_one_of_the_wire(bench: ReaderBench) -> None:
    assert not set(bench.reader.fault_kinds) & set(USB_FAULTS)


def test_verbs_about_cards_are_those_of_every_reader(bench: ReaderBench) -> None:
    bench.obey(f"clash {DESFIRE.hex()} 11:22:33:44")
    bench.obey("remove 11223344")
    bench.obey("remove")
    assert [event.name for event in bench.events] == ["clash", "removed", "removed"]
    assert bench.device.status()["cards"] == []
