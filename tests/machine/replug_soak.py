"""The inner half of test_soak.py: it runs in the USB rig, where the simulated readers are.

The lane collects garbage when 20,000 objects have come together, about 320 replugs of an RC-S380
apart (validator/lane/loop.py). So its memory grows until the second collection; after that its peak
must not rise.
"""

from contextlib import ExitStack
from pathlib import Path

from tests.machine.rig import holdings
from tests.support.city.built_city import build
from tests.support.devices.pcscd import Pcscd
from tests.support.machine.programs import Program, lane_config, program

REPLUGS = 1_000
WARM = 20  # replugs until all is loaded
LAST = 300  # the replugs that are judged
MEMORY_MORE_MAX_KB = 200  # a leak of 1 kB a replug is 300
LISTED_UNIX_S = 1_780_000_000


def test_rcs380(tmp_path: Path) -> None:
    with program("firmware_sim", "rcs380") as reader:
        soak(tmp_path, 'driver = "rcs380"\ndevice = "usb"', reader)


def test_pcsc(tmp_path: Path) -> None:
    with program("firmware_sim", "ccid") as reader, ExitStack() as stack:
        reader.first_line()
        stack.callback(Pcscd(tmp_path).stop)
        soak(tmp_path, 'driver = "pcsc"\ndevice = "ACS ACR122U*"', reader)


def soak(folder: Path, about_reader: str, reader: Program) -> None:
    """Serve with a lane; unplug and replug its reader; judge what the lane holds."""
    build(folder, LISTED_UNIX_S)
    config = lane_config(folder)
    text = config.read_text()
    pn532 = f'driver = "pn532"\ndevice = "{folder}/reader"'
    assert pn532 in text
    config.write_text(text.replace(pn532, about_reader))
    with (
        program("firmware_sim", "board", "--link", str(folder / "board")) as board,
        program("validator", "lane", "--config", str(config)) as lane,
    ):
        board.first_line()
        lane.event("reader", state="ready")
        replug(lane, reader, WARM)
        before = holdings.of(lane.process.pid)
        peaks = [replug(lane, reader, times) for times in (REPLUGS - LAST, LAST)]
        after = holdings.of(lane.process.pid)
        print(  # noqa: T201  (the outer test shows it)
            f"after {REPLUGS} replugs: descriptors {before.descriptors} -> {after.descriptors},"
            f" threads {before.threads} -> {after.threads}, most memory {peaks[0]} kB before the"
            f" last {LAST} and {peaks[1]} kB in them"
        )
        assert after.descriptors == before.descriptors
        # A thread that opened the reader may still be ending at either count.
        assert after.threads <= before.threads + 1
        assert peaks[1] - peaks[0] < MEMORY_MORE_MAX_KB, f"kB at the peaks: {peaks}"


def replug(lane: Program, reader: Program, times: int) -> int:
    """Unplug and replug; return the most memory that the lane had, in kB."""
    peak = 0
    for _ in range(times):
        reader.say("unplug")
        lane.event("reader", state="lost")
        reader.say("replug")
        lane.event("reader", state="ready")
        peak = max(peak, holdings.memory_kb(lane.process.pid))
        reader.catch_up()  # it prints lines, too, and the pipe has an end
    return peak
