"""Independent programs judge the simulated PN532: nfcpy and libnfc, on a real pty."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nfc
import nfc.clf.pn532
import nfc.clf.transport
import pytest

from tests.support.machine.programs import Program, program

UID = "04a1b2c3d4e5f6"
NFCPY_CARD = "106A sdd_res=04A1B2C3D4E5F6 sel_res=20 sens_res=4403"
WAKE = bytes(10)
GET_FIRMWARE_VERSION = bytes.fromhex("0000ff02fed4022a00")
SET_115200 = bytes.fromhex("0000ff03fdd410041800")
ACK = bytes.fromhex("0000ff00ff00")


@pytest.fixture(params=["ideal", "real"])
def reader(request: pytest.FixtureRequest) -> Iterator[Program]:
    with program("firmware_sim", "pn532", "--timing", request.param) as started:
        yield started


def nfcpy_device(path: str) -> Any:
    device = nfc.clf.pn532.init(nfc.clf.transport.TTY(path))
    device._path = path  # nfcpy sets it only for paths that it has found by itself
    return device


def nfcpy_frontend(path: str) -> Any:
    frontend = nfc.ContactlessFrontend()
    frontend.device = nfcpy_device(path)
    return frontend


def test_nfcpy_opens_it_at_921600_and_senses_a_card(reader: Program) -> None:
    with nfcpy_frontend(reader.first_line()) as frontend:
        reader.event("baud", baud=921600)
        assert frontend.sense(nfc.clf.RemoteTarget("106A")) is None
        reader.say(f"present {UID}")
        reader.event("present", uid=UID)
        assert str(frontend.sense(nfc.clf.RemoteTarget("106A"))) == NFCPY_CARD
    reader.event("baud", baud=115200)


def test_nfcpy_connects_to_a_type_4_tag_and_notices_that_it_leaves(reader: Program) -> None:
    tags: list[str] = []

    def connected(tag: object) -> bool:
        tags.append(str(tag))
        reader.say("remove")
        return True

    with nfcpy_frontend(reader.first_line()) as frontend:
        reader.say(f"present {UID}")
        assert frontend.connect(rdwr={"on-connect": connected}) is True
    assert len(tags) == 1
    assert tags[0].startswith("Type4ATag")


def test_nfcpys_chipset_waits_in_one_blocking_listing_and_gets_both_cards(reader: Program) -> None:
    device = nfcpy_device(reader.first_line())
    chipset = device.chipset
    chipset.rf_configuration(5, b"\xff\x01\xff")
    chipset.command(0x4A, bytearray((2, 0)), timeout=0)
    reader.say(f"present {UID}")
    presented = reader.event("present")
    assert chipset.command(0x4A, None, timeout=5).hex() == "01010344200704a1b2c3d4e5f6"
    assert reader.event("selected")["at_ns"] >= presented["at_ns"]
    assert chipset.command(0x52, bytearray((0,)), timeout=5).hex() == "00"
    reader.event("released", uid=UID)
    reader.say("remove")
    reader.event("removed", uid=UID)
    chipset.command(0x4A, bytearray((2, 0)), timeout=0)
    reader.say(f"clash {UID} 11223344")
    answer = chipset.command(0x4A, None, timeout=5)
    assert answer[0] == 2
    device.close()


def test_nfcpys_abort_is_obeyed(reader: Program) -> None:
    device = nfcpy_device(reader.first_line())
    device.chipset.rf_configuration(5, b"\xff\x01\xff")
    with pytest.raises(OSError, match="timed out") as raised:
        device.chipset.command(0x4A, bytearray((2, 0)), timeout=0.05)
    assert raised.value.errno == errno.ETIMEDOUT
    reader.event("aborted", command="4a")
    device.close()


def test_a_killed_program_leaves_the_chip_at_921600_until_a_program_uses_that_speed(
    reader: Program,
) -> None:
    path = reader.first_line()
    opens_and_dies = (
        "import sys, os, nfc.clf.pn532 as p, nfc.clf.transport as t;"
        " p.init(t.TTY(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", opens_and_dies, path], check=False, timeout=60)
    with pytest.raises(OSError, match="timed out"):
        nfcpy_device(path)
    tty = nfc.clf.transport.TTY(path)
    tty.open(path, 921600)
    tty.write(WAKE + SET_115200)
    assert tty.read(1000) == ACK
    assert tty.read(1000).hex() == "0000ff02fed5111a00"
    tty.write(ACK)
    reader.event("baud", baud=115200)
    tty.close()
    nfcpy_device(path).close()


def test_the_link_outlives_the_plug(tmp_path: Path) -> None:
    link = tmp_path / "reader"
    with program("firmware_sim", "pn532", "--link", str(link)) as reader:
        assert reader.first_line() == str(link)
        device = nfcpy_device(str(link))
        reader.say("unplug")
        reader.event("unplugged")
        assert not os.path.lexists(link)
        with pytest.raises(Exception, match=r"Input/output|disconnected|device"):
            device.chipset.get_firmware_version()
        reader.say("replug")
        assert reader.event("replugged")["path"] == str(link)
        nfcpy_device(str(link)).close()
        assert reader.end() == 0
    assert not os.path.lexists(link)


def libnfc(tool: str, path: str) -> "subprocess.Popen[str]":
    package = {"nfc-list": "libnfc-bin", "nfc-poll": "libnfc-examples"}[tool]
    found = shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not here: apt-get install {package}")
    environment = {**os.environ, "LIBNFC_DEVICE": f"pn532_uart:{path}", "LC_ALL": "C"}
    return subprocess.Popen(
        [found, *(["-t", "1"] if tool == "nfc-list" else [])],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def spoken(tool: "subprocess.Popen[str]") -> str:
    """Its output, with one blank between words."""
    with tool:
        return " ".join(tool.communicate(timeout=60)[0].split())


def test_libnfc_lists_a_desfire(reader: Program) -> None:
    path = reader.first_line()
    reader.say(f"present {UID}")
    listed = spoken(libnfc("nfc-list", path))
    assert "1 ISO14443A passive target(s) found:" in listed
    assert (
        "ATQA (SENS_RES): 03 44 UID (NFCID1): 04 a1 b2 c3 d4 e5 f6 "
        "SAK (SEL_RES): 20 ATS: 75 77 81 02 80" in listed
    )


def test_libnfc_lists_two_cards_as_two(reader: Program) -> None:
    path = reader.first_line()
    reader.say(f"clash {UID} 11223344")
    listed = spoken(libnfc("nfc-list", path))
    assert "2 ISO14443A passive target(s) found:" in listed
    assert "ATQA (SENS_RES): 00 04 UID (NFCID1): 11 22 33 44 SAK (SEL_RES): 08" in listed
    assert "04 a1 b2 c3 d4 e5 f6" in listed


def test_libnfc_sees_a_random_identifier_for_what_it_is(reader: Program) -> None:
    path = reader.first_line()
    reader.say("present 08000000")
    assert "UID (NFCID3): 08" in spoken(libnfc("nfc-list", path))


def test_libnfc_lists_nothing_when_nothing_is_there(reader: Program) -> None:
    # Opened: nfc-list ends with 0 and finds nothing too when it cannot open the reader.
    listed = spoken(libnfc("nfc-list", reader.first_line()))
    assert "NFC device: user defined device opened" in listed
    assert "found" not in listed


def test_libnfc_polls_until_a_card_comes_and_until_it_goes(reader: Program) -> None:
    tool = libnfc("nfc-poll", reader.first_line())
    reader.say(f"present {UID}")
    reader.event("selected", uid=UID)
    reader.say("remove")
    heard = spoken(tool)
    assert "UID (NFCID1): 04 a1 b2 c3 d4 e5 f6 SAK (SEL_RES): 20 ATS: 75 77 81 02 80" in heard
    assert "Waiting for card removing" in heard
    assert "done." in heard


def test_a_wrong_verb_is_one_error_line_and_the_device_goes_on(reader: Program) -> None:
    path = reader.first_line()
    reader.say("dance")
    assert "no verb is called 'dance'" in reader.event("error")["message"]
    reader.say("status")
    assert reader.event("status")["path"] == path
    reader.say("quit")
    assert reader.process.wait(90) == 0


def test_it_goes_on_without_standard_input_and_ends_on_sigterm() -> None:
    with program("firmware_sim", "pn532", "--card", UID) as reader:
        path = reader.first_line()
        assert reader.process.stdin is not None
        reader.process.stdin.close()
        with nfcpy_frontend(path) as frontend:
            assert str(frontend.sense(nfc.clf.RemoteTarget("106A"))) == NFCPY_CARD
        assert reader.end() == 0


def test_it_ends_when_its_output_has_no_reader() -> None:
    with program("firmware_sim", "pn532") as reader:
        reader.first_line()
        assert reader.process.stdout is not None
        reader.process.stdout.close()
        assert reader.process.wait(90) == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--card", "xyz"], "'xyz' is not a UID"),
        (["--card", "0102"], "2 bytes"),
        (["--fault", "nonsense"], "no fault is called 'nonsense'"),
        (["--timing", "fast"], "'fast' is not one of"),
        (["--link", "/nonexistent/reader"], "no folder /nonexistent"),
        (["--card", UID, "--card", UID], "on the reader already"),
        (["surplus"], "surplus"),
    ],
)
def test_wrong_arguments_are_one_line_and_exit_2(arguments: list[str], says: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "firmware_sim", "pn532", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert says in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stdout == ""
