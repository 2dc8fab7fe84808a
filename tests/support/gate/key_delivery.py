"""Gates of a city for tests of key delivery: each on a line without a socket."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette

from backoffice.receiver.app import Receiver
from backoffice.receiver.key_delivery import KeyDelivery, sealed_to
from backoffice.reports.store import ReportStore
from backoffice.signing import keys
from tests.support.city.backoffice_rig import City
from tests.support.web.asgi import Answered, ask
from validator.courier.receiver_client import ReceiverClient
from validator.courier.store.key_folder import KeyFolder, Taken
from validator.courier.web.client import StatusError, Web
from validator.errors import SourceState
from validator.lists.fingerprint_keys import key_id
from validator.reports.sealed_keys import SealedKey

NOW_UNIX_S = 1_800_000_000


HOST = "https://reports.example.org"


OURS = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)


OTHER = Ed25519PrivateKey.from_private_bytes(bytes([2]) * 32)


class Line(Web):
    """The way to one receiver, without a socket; `answer` replaces the receiver's."""

    def __init__(self, app: Starlette | None = None, answer: bytes = b"") -> None:
        super().__init__()
        self._app = app
        self._answer = answer
        self.answered: Answered | None = None
        self.posts = 0

    def post(self, url: str, body: bytes, headers: Mapping[str, str], bytes_max: int) -> bytes:
        """See Web."""
        self.posts += 1
        if self._app is None:
            return self._answer
        self.answered = ask(self._app, "POST", url, headers, body)
        if self.answered.status != 200:
            raise StatusError(SourceState.REFUSED, "no", self.answered.status)
        assert len(self.answered.body) <= bytes_max
        return self.answered.body


@dataclass
class Fleet:
    """A city with two gates, `gate` and `another`."""

    city: City
    store: ReportStore
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for gate_id, key in (("gate", OURS), ("another", OTHER)):
            token = self.store.invite(gate_id, NOW_UNIX_S)
            self.store.enrol(gate_id, token, key.public_key().public_bytes_raw(), NOW_UNIX_S)
        self.delivery = KeyDelivery(self.city.home, self.said.append)
        receiver = Receiver(self.store, now_unix_s=lambda: NOW_UNIX_S, keys=self.delivery)
        self.line = Line(Starlette(routes=receiver.routes))

    def tells(
        self, status: Mapping[str, object], gate_id: str = "gate", key: Ed25519PrivateKey = OURS
    ) -> tuple[SealedKey, ...]:
        """The keys in the answer to a gate's status."""
        client = ReceiverClient(HOST, self.line, gate_id, key, lambda: NOW_UNIX_S)
        return client.tell_status(status).keys

    def visit(self, folder: Path) -> Taken:
        """What the gate does each minute."""
        held = KeyFolder(folder, OURS)
        return held.take(self.tells({"fingerprint_keys": held.ids()}))


def sealed(key: bytes, *, to: Ed25519PrivateKey = OURS, called: str | None = None) -> SealedKey:
    """A key as an honest city sends it; `called` is another id."""
    (made,) = sealed_to(
        to.public_key().public_bytes_raw(), [keys.FingerprintKey(key_id(key).hex(), key)]
    )
    return made if called is None else SealedKey(called, made.sealed)
