"""Several processes at one SQLite registry; its locks belong to a process, not to a connection."""

import subprocess
import sys
from pathlib import Path

from backoffice.registry.registry import IssuedCard, Registry

CARDS = [b"\x04" + bytes(5) + bytes([number]) for number in range(3)]


def suspend_by_another_process(url: str, uid: bytes) -> None:
    """The last process to leave a database writes its WAL back and removes it."""
    program = f"""
from backoffice.registry.registry import Registry, State
with Registry.open({url!r}) as registry:
    assert registry.set_states("suspended", [State({uid!r}, is_in=True)]).changed == 1
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_who_opens_a_registry_a_second_time_and_leaves_still_sees_what_others_write(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/registry.db"
    with Registry.open(url) as held:
        held.add_cards([IssuedCard(uid) for uid in CARDS])
        Registry.open(url).close()
        for count, uid in enumerate(CARDS, 1):
            suspend_by_another_process(url, uid)
            assert held.pending() == count
        assert held.claim(1) == len(CARDS)
    with Registry.open(url) as reopened:
        assert reopened.pending() == 0
