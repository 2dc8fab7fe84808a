"""The errors that more than one module raises or catches; `one_line()` puts any error on one line.

    Exception
    ├── OperatorError              the operator can put it right: printed on one line, exit 2
    │   ├── ConfigError            a configuration: one line for each fault
    │   ├── StartError             a program of the gate cannot start
    │   │   └── BusyError          validator.courier.store.folders: another courier runs
    │   ├── EnrolmentError         validator.programs.enrolment: the gate is not enrolled
    │   ├── BusyError              backoffice.publishing.publisher: another publisher runs
    │   ├── CardsError             backoffice.publishing.fingerprints: the registry's cards
    │   ├── ClockError             backoffice.signing.clock: a clock that was wrong before
    │   ├── ExportError            backoffice.reports.export_file: a file of exported reports
    │   ├── ImprobableError        backoffice.imports.importer: a card list that must be a mistake
    │   ├── KeyFileError           backoffice.signing.keys: a file of a private key
    │   ├── RegistryError          backoffice.registry.database: the registry
    │   ├── RoleError              backoffice.signing.roles: published metadata
    │   ├── RootError              backoffice.signing.roots: root metadata and its drafts
    │   ├── RowFileError           backoffice.imports.row_bytes: a card list that cannot be read
    │   └── WrongAnswerError       backoffice.learning.operator_request: not this gate's answer
    ├── RemoteError                the network's side, with the SourceState that it means
    │   ├── BatchError             validator.courier.ports: a batch of reports
    │   └── StatusError            validator.courier.web.errors: an HTTP status that is no success
    ├── InvalidBytes               bytes that are not what their format requires
    │   ├── AcceptedError          validator.ipc.accepted
    │   ├── ChecksumError          validator.formats.checked
    │   ├── CourierStatusError     validator.ipc.courier_status
    │   ├── FingerprintKeyError    validator.lists.fingerprint_keys
    │   ├── GarbageError           validator.console.lane_words
    │   ├── LearningError          validator.learning.signed_text
    │   ├── ManifestError          validator.lists.manifest
    │   ├── RecordError            validator.reports.stored_report
    │   ├── RequestError           validator.ipc.requests
    │   ├── SegmentError           validator.lists.segment
    │   ├── SignedTimeError        validator.ipc.signed_time
    │   └── WireError              validator.lists.wire
    └── LaneGoneError              a lane that does not answer on its socket

An error that one module raises and its caller handles at once is defined beside the function that
raises it, and is not in this tree.
"""

from enum import Enum

LINE_CHARACTERS_MAX = 200  # bytes of others may be quoted in an error: they must not fill a log


class OperatorError(Exception):
    """A fault that the operator can put right; the text is one line: where, what, what to do.

    A command ends with this line on standard error and exit 2.
    """

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines to print."""
        return (str(self),)


class ConfigError(OperatorError):
    """A configuration that cannot be used; the text has one line for each fault."""

    @property
    def lines(self) -> tuple[str, ...]:
        """The faults, one line each."""
        return tuple(str(self).split("\n"))


class StartError(OperatorError):
    """A program of the gate that cannot start until the operator has put something right."""


class SourceState(Enum):
    """The state of the source of lists, seen from this gate.

    Only FRESH means that the gate holds the city's newest list.
    """

    FRESH = "fresh"
    UNREACHABLE = "unreachable"  # no name, no route, no connection, or it broke
    NOT_OURS = "not ours"  # another server answers: a captive portal, another web server
    TLS = "tls refused"  # a certificate that is not to be trusted
    PROXY = "proxy refused"  # the configured proxy does not let us through
    BUSY = "busy"  # 429 or 5xx
    SLOW = "slow"  # below the lowest speed that is worth waiting for
    FROZEN = "frozen"  # correctly signed, and expired: an attacker may hold back a newer one
    REPLAYED = "replayed"  # correctly signed, and older than what was accepted before
    REFUSED = "refused"  # signatures, lengths, hashes or formats are wrong
    NO_KEY = "no fingerprint key"  # the list is made under a key that this gate does not hold
    DISK = "disk"  # this gate could not store what it fetched


class RemoteError(Exception):
    """A failure of the network or of the server at its other end; the text is one line.

    Attributes:
        state: the state of the source that the failure means.
        retry_after_s: the wait that the server asked for, in seconds; 0 if it asked for none.
    """

    def __init__(self, state: SourceState, text: str, retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.state = state
        self.retry_after_s = retry_after_s


class InvalidBytes(Exception):  # noqa: N818  (the bytes are invalid, not the program)
    """Bytes that are not what their format requires; the text is one line with the reason."""


class LaneGoneError(Exception):
    """A lane that does not answer; the text is one line."""


def one_line(error: object) -> str:
    """Return an error's text as one line of printable ASCII, at most LINE_CHARACTERS_MAX long.

    Text that libraries write may quote bytes of others: `?` stands for each character that is not
    printable ASCII. An exception without a text gives the name of its class.
    """
    words = " ".join(str(error).split())[:LINE_CHARACTERS_MAX]
    line = "".join(each if " " <= each <= "~" else "?" for each in words)
    return line or (type(error).__name__ if isinstance(error, BaseException) else "")
