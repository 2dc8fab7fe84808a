"""A pcscd of its own in the USB rig: it serves the simulated readers of that rig alone."""

import signal
import subprocess
import time
from pathlib import Path

SOCKET = Path("/run/pcscd/pcscd.comm")  # in the rig: the machine's own is out of sight
END_S = 60.0
POLL_S = 0.005


class Pcscd:
    """One pcscd, started and listening."""

    def __init__(self, folder: Path) -> None:
        """Start it; `folder` takes its log and its list of serial readers, which is empty."""
        self._serial_readers = folder / "no-serial-readers"
        self._serial_readers.mkdir(exist_ok=True)
        self._log = folder / "pcscd.log"
        self.process = self._started()

    def stop(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait(END_S)

    def kill(self) -> None:
        """Let it die without a word, and leave its socket's file."""
        self.process.kill()
        self.process.wait(END_S)

    def start(self) -> None:
        """Start it again after `stop` or `kill`."""
        self.process = self._started()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, such as SIGSTOP."""
        self.process.send_signal(number)

    def _started(self) -> "subprocess.Popen[bytes]":
        SOCKET.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                ["/usr/sbin/pcscd", "--foreground", "--config", str(self._serial_readers)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + END_S
        while not SOCKET.exists():
            assert time.monotonic() < deadline, self._log.read_text(errors="replace")
            time.sleep(POLL_S)
        return process
