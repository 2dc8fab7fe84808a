"""The sizes of all that a gate fetches and writes, measured with the real programs.

Each constant has a note how it was measured. tests/simulation/test_fleet_sizes.py measures again
what takes no more than a second, so that these figures stay true.
"""

from bisect import bisect_left

from tests.simulation.fleet.line import Passed

BLOCK_BYTES = 4_096  # of ext4, and what an SD card is written in at least

# `python -m tests.simulation.fleet.line` against nginx 1.22.1 (Debian 12), TLS 1.3, an ECDSA
# certificate and one intermediate: bytes of the TCP stream for one request on a kept connection,
# less the bytes of the file itself. `unmodified` is 304, `root` is 404.
LINE = {
    "root": Passed(131, 330),
    "handshake": Passed(597, 1812),
    "timestamp": Passed(134, 268),
    "unmodified": Passed(165, 202),
    "snapshot": Passed(140, 268),
    "targets": Passed(139, 268),
    "manifest": Passed(197, 268),
    "index": Passed(188, 268),
    "piece": Passed(189, 276),
}
TLS_RECORD_BYTES = 22  # of 16 KiB: what the large file cost, 1,408 bytes a MiB

# What the back office signed (Ed25519, one key a role) for list version 100,000:
# Publication.files, with list versions of six digits.
METADATA_BYTES = {"timestamp": 501, "snapshot": 472, "targets": 464}

# `python -m tests.simulation.fleet.wire_bytes`: a piece with so many cards in wire form.
CARDS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576)
ENDING_BYTES = (136, 154, 163, 181, 217, 289, 433, 699, 1_172, 2_103, 3_963, 7_522, 28_122,
                107_389, 413_706, 1_588_264, 6_077_129)  # fmt: skip
LASTING_BYTES = (136, 154, 163, 181, 217, 289, 413, 636, 1_056, 1_877, 3_530, 6_758, 24_984,
                 95_145, 364_563, 1_392_199, 5_293_256)  # fmt: skip
# And snapshots, whose cards are all in.
SNAPSHOTS = {
    "suspended": (300_000, 2_015_292),
    "staff": (10_000, 55_411),
    "matched": (8_260_000, 35_706_681),
}


def change_bytes(cards: int, *, ending: bool) -> int:
    """The bytes of a piece with changes of so many cards; `ending`: of a rule whose entries end."""
    sizes = ENDING_BYTES if ending else LASTING_BYTES
    above = min(max(bisect_left(CARDS, cards), 1), len(CARDS) - 1)
    below = above - 1
    slope = (sizes[above] - sizes[below]) / (CARDS[above] - CARDS[below])
    return round(sizes[below] + slope * (cards - CARDS[below]))


def blocks(bytes_: int) -> int:
    """The bytes of the whole blocks that a file of this size takes on the SD card."""
    return -(-bytes_ // BLOCK_BYTES) * BLOCK_BYTES
