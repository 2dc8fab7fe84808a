"""nfcpy, which knows nothing of us, on a simulated RC-S380: every frame of both, as a golden file.

To write the file again after a change that is meant: UPDATE_GOLDEN=1 pytest PATH.
"""

import json
import os
from pathlib import Path

import nfc.clf
import pytest

from firmware_sim.rcs380.commands import IDEAL, REAL, Timing
from tests.support.devices.rcs380_bench import CLASSIC, DESFIRE, ReaderBench, nfcpy_on

GOLDEN = Path(__file__).parents[3] / "golden/rcs380_frames.json"
TYPE_A = nfc.clf.RemoteTarget("106A")


def test_the_frames_of_opening_and_sensing_are_the_recorded_ones() -> None:
    bench = ReaderBench()
    device, transport = nfcpy_on(bench)
    assert device.sense_tta(TYPE_A) is None
    bench.put(DESFIRE)
    found = device.sense_tta(TYPE_A)
    device.close()
    assert str(found) == "106A sdd_res=04A1B2C3D4E5F6 sel_res=20 sens_res=4403"
    frames = [" ".join(each) for each in transport.frames]
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(frames, indent=0) + "\n")
    assert frames == json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("timing", [IDEAL, REAL], ids=["ideal", "real"])
def test_nfcpy_finds_a_card_at_either_timing(timing: Timing) -> None:
    bench = ReaderBench(timing)
    device, _ = nfcpy_on(bench)
    bench.put(CLASSIC)
    assert str(device.sense_tta(TYPE_A)) == "106A sdd_res=11223344 sel_res=08 sens_res=0400"


def test_nfcpy_finds_no_card_of_another_kind() -> None:
    bench = ReaderBench()
    device, _ = nfcpy_on(bench)
    bench.put(DESFIRE)
    assert device.sense_ttb(nfc.clf.RemoteTarget("106B")) is None
    assert device.sense_ttf(nfc.clf.RemoteTarget("212F")) is None


def test_nfcpy_hides_a_clash_that_its_chipset_reports() -> None:
    bench = ReaderBench()
    device, transport = nfcpy_on(bench)
    bench.put(DESFIRE)
    bench.put(CLASSIC)
    assert device.sense_tta(TYPE_A) is None
    assert transport.frames[-1] == ("chip", "0000ffffff0600fad70508000000" + "1c00")
