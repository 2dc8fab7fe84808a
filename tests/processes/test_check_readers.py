"""`turnike check --readers` as a person runs it, with simulated readers."""

import subprocess
import sys
from pathlib import Path

import pytest

from validator.check.readers import trial
from validator.check.readers.found import FoundReader, lines_of
from validator.programs.devices import open_reader

LIMIT_S = 120
UID = "04a1b2c3d4e5f6"
# In the rig: the device, and then the command, which finds it by its /sys.
IN_RIG = f"""
set -e
mkfifo "$1/verbs"
firmware-sim rcs380 <"$1/verbs" >"$1/events" &
exec 3>"$1/verbs"
until grep -q . "$1/events"; do :; done
echo 'present {UID} number=1234567890123456' >&3
turnike check --readers {{options}} || echo "exit $?"
echo quit >&3
wait
"""


def in_rig(folder: Path, options: str) -> str:
    """Run the command in a USB rig with one RC-S380; return what it printed."""
    script = IN_RIG.replace("{options}", options)
    rig = [sys.executable, "-m", "firmware_sim", "usb-rig", "--"]
    path = f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
    ended = subprocess.run(
        [*rig, "bash", "-c", script, "bash", str(folder)],
        env={"PATH": path, "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return ended.stdout + ended.stderr


def test_it_lists_a_reader_and_exits_0(tmp_path: Path) -> None:
    printed = in_rig(tmp_path, "")
    assert 'driver = "rcs380"' in printed
    assert "Sony RC-S380/P" in printed
    assert "exit" not in printed


def test_a_card_that_lies_there_has_to_be_laid_again_and_nothing_identifies_it(
    tmp_path: Path,
) -> None:
    printed = in_rig(tmp_path, "--try 1 --for 2")
    assert "ready; lay a card on it within 2 s" in printed
    assert "a card lay there already: take it away, and lay it again" in printed
    assert UID not in printed


def test_a_reader_that_is_not_in_the_list_is_refused_in_one_line(tmp_path: Path) -> None:
    printed = in_rig(tmp_path, "--try 7")
    assert printed.endswith("exit 2\nturnike: there is no reader 7; the list has 1\n")


def a_simulated_pn532(folder: Path) -> tuple[subprocess.Popen[str], FoundReader]:
    device = subprocess.Popen(
        [sys.executable, "-m", "firmware_sim", "pn532", "--link", str(folder / "reader")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert device.stdout is not None
    device.stdout.readline()
    return device, FoundReader("PN532", "here", lines_of("pn532", str(folder / "reader")))


@pytest.mark.parametrize("identify", [False, True])
def test_a_card_is_read_and_identified_only_if_asked(tmp_path: Path, *, identify: bool) -> None:
    device, found = a_simulated_pn532(tmp_path)
    assert device.stdin is not None

    try:
        lines = []
        for line in trial.try_reader(
            open_reader(trial.config_of(found.lines), tmp_path), 60.0, identify=identify
        ):
            lines.append(line)
            if line.startswith("ready"):
                device.stdin.write(f"present {UID} number=1234567890123456\n")
                device.stdin.flush()
    finally:
        device.terminate()
        device.wait()
        device.stdin.close()
        assert device.stdout is not None
        device.stdout.close()
    assert lines[-1].startswith("read: a UID of 7 bytes; a card that takes APDUs")
    assert (UID in lines[-1]) is identify
    assert ("printed number 1234567890123456" in lines[-1]) is identify
