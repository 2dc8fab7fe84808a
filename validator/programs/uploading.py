"""The courier's second thread: uploads reports, and sends the gate's status each minute.

The answer to a status may bring fingerprint keys, which go into `list.keys`, and an order to learn
a card, which goes to a lane. The thread is separate
because a full list may occupy the first one for minutes; of that one, it only reads the status. It
may be killed at any instant: a lane keeps each report until it is acknowledged.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from validator.config import UploadConfig
from validator.courier.learning import LearningCarrier
from validator.courier.list_sync import where
from validator.courier.receiver_client import ReceiverClient, gate_key
from validator.courier.report_upload import AWAY, ReportUpload, UploadStatus
from validator.courier.store.key_folder import KeyFolder
from validator.courier.waits import WAIT_S_MAX, StatusTimes
from validator.courier.web.client import Web
from validator.errors import LaneGoneError, RemoteError, SourceState
from validator.host.clock import Clock
from validator.host.log import JsonLog
from validator.ipc.answers import NotableStatus
from validator.ipc.client import LaneClient
from validator.reports.sealed_keys import SealedKey


class UploadThread(threading.Thread):
    """Uploads until the process ends."""

    def __init__(
        self,
        gate_id: str,
        upload: UploadConfig,
        keys: Path,
        web: Web,
        clock: Clock,
        log: JsonLog,
        courier: Callable[[], Mapping[str, Any]],
    ) -> None:
        """Prepare the thread.

        Args:
            gate_id: the id of this gate.
            upload: the [upload] table.
            keys: the folder of fingerprint keys.
            web: a client for this thread alone.
            clock: the courier's clock, which this thread only reads.
            log: the courier's log.
            courier: returns the status of the list loop.

        Raises:
            GateKeyError: the gate's key is missing, or is none.
        """
        super().__init__(name="carrier", daemon=True)
        self._gate_id = gate_id
        self._clock = clock
        self._web = web
        self._log = log
        self._courier = courier
        self._lanes = [LaneClient(Path(path)) for path in upload.lanes]
        key = gate_key(Path(upload.key))
        self._office = ReceiverClient(upload.url, web, gate_id, key, self._now_unix_s)
        self._keys = KeyFolder(keys, key)
        self._key_problems: tuple[str, ...] = ()
        self._learning = LearningCarrier(self._lanes, self._office, key)
        self._carrier = ReportUpload(self._lanes, self._office, random.random)
        self._told: tuple[object, ...] = ()
        self.stands: tuple[str, str] | None = None
        """State and problem of the connection to the back office; None before the first round.

        Any thread may read it.
        """
        self._delivered = 0
        self._unheard: RemoteError | None = None  # why the last status did not arrive
        self._status_times = StatusTimes(random.random)

    def run(self) -> None:
        """Run a turn, wait, and so on."""
        while True:
            time.sleep(self._turn())

    def _turn(self) -> float:
        """Upload what waits, and send a due status; return the seconds to wait then."""
        try:
            self._web.check_dates(self._clock.at_least_unix_s())
            carried, wait_s = self._carrier.round()
            self._tell(carried)
            if carried.state not in AWAY:
                self._tell_status(carried)
            learning_s = self._learning.turn()
        except Exception as error:  # noqa: BLE001
            # A bug. If the thread ended, the courier would seem well and upload nothing.
            self._log.line(
                {"event": "carrier fault", "problem": where(error), "unix_s": self._now_unix_s()}
            )
            return WAIT_S_MAX
        return min(wait_s, learning_s)

    def _now_unix_s(self) -> int:
        return self._clock.now().unix_s

    def _tell(self, carried: UploadStatus) -> None:
        if carried.delivered > self._delivered:
            self._delivered, self._unheard = carried.delivered, None  # the connection works
        if (
            self._unheard and not carried.problem
        ):  # no report waits, so nothing else would show that the status did not arrive
            carried = carried._replace(state=self._unheard.state, problem=str(self._unheard))
        told = (carried.state, carried.problem)
        self.stands = (carried.state.value, carried.problem)
        if told != self._told:
            self._told = told
            fields = carried._asdict() | {"state": carried.state.value}
            self._log.line({"event": "carrier", **fields, "unix_s": self._now_unix_s()})

    def _tell_status(self, carried: UploadStatus) -> None:
        """Send the gate's status each minute, and soon after a change that matters."""
        now_s, times = time.monotonic(), self._status_times
        if now_s < times.look_s:
            return
        lanes = [self._lane_status(lane) for lane in self._lanes]
        courier, held = self._courier(), self._keys.ids()
        notable = [
            # A list waits for a key, and the answer brings it.
            (held, courier.get("state") == SourceState.NO_KEY.value),
            *(notable_keys for _, notable_keys in lanes),
        ]
        if not times.is_due(now_s, notable):
            return
        status = {
            "gate_id": self._gate_id,
            "unix_s": self._now_unix_s(),
            "every_s": round(times.every_s),
            "courier": courier,
            "carrier": {**carried._asdict(), "state": carried.state.value},
            "lanes": [lane for lane, _ in lanes],
            "fingerprint_keys": held,
        }
        try:
            told = self._office.tell_status(status)
        except RemoteError as error:  # the next turn logs it
            self._unheard = error
            times.failed(time.monotonic(), error)
        else:
            self._unheard = None
            times.sent(now_s, notable)
            self._take_keys(told.keys)
            self._learning.offer(told.order)

    def _take_keys(self, sealed: Sequence[SealedKey]) -> None:
        """Store the keys; log each problem once, since the city repeats a key until it is held."""
        taken = self._keys.take(sealed)
        for key_id in taken.ids:
            self._log.line(
                {"event": "fingerprint key", "key_id": key_id, "unix_s": self._now_unix_s()}
            )
        if taken.problems != self._key_problems:
            for problem in taken.problems:
                self._log.line({"event": "fingerprint key problem", "problem": problem})
        self._key_problems = taken.problems

    def _lane_status(self, lane: LaneClient) -> tuple[msgspec.Raw, NotableStatus]:
        """A lane's status for the city, and the part whose change the city must see at once."""
        try:
            return lane.status_to_forward()
        except LaneGoneError as error:
            return msgspec.Raw(msgspec.json.encode({"problem": str(error)})), NotableStatus()
