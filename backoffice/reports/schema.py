"""The tables of reports: the gates, their reports, and the exports. store.py explains them.

No table has a UID. Only the private half of the sealing key opens `sealed`, and it is not kept
here.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table

from backoffice.registry.schema import metadata

gates = Table(
    "gates",
    metadata,
    Column("gate_id", String(64), primary_key=True),
    Column("public_key", LargeBinary, nullable=False),  # Ed25519
    Column("enrolled_unix_s", BigInteger, nullable=False),
    Column("struck_off_unix_s", BigInteger),  # NULL: it may speak
    sqlite_with_rowid=False,
)

# A token enrols one gate, once. Only its hash is kept: the database enrols no gate.
enrolments = Table(
    "enrolments",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("gate_id", String(64), nullable=False),
    Column("expires_unix_s", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

reports = Table(
    "reports",
    metadata,
    Column("report_id", String(36), primary_key=True),
    Column("gate_id", String(64), nullable=False),
    Column("lane", Integer, nullable=False),
    Column("outbox_id", String(32), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("refused_before", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("boot_id", String(64), nullable=False),
    Column("boottime_ns", BigInteger, nullable=False),
    Column("unix_s", BigInteger, nullable=False),
    Column("clock_synced", Boolean, nullable=False),
    Column("list_version", BigInteger, nullable=False),
    Column("rule", String(64), nullable=False),
    Column("sealed", String(128), nullable=False),
    Column("sealed_to", String(64), nullable=False),
    Column("received_unix_s", BigInteger, nullable=False),
)
# An outbox gives a number once: two reports with one number come from a copied or lying gate.
Index("reports_by_seq", reports.c.gate_id, reports.c.outbox_id, reports.c.seq, unique=True)
Index("reports_by_time", reports.c.received_unix_s)

# Reports deleted at the end of retention, by outbox: numbers up to `seq`, and how many of them. It
# keeps a gap apart from what was deleted.
forgotten = Table(
    "forgotten_reports",
    metadata,
    Column("gate_id", String(64), primary_key=True),
    Column("outbox_id", String(32), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Which numbers those were, from `first_seq` to `last_seq`: a gate that sends one again has not
# received the answer.
forgotten_numbers = Table(
    "forgotten_numbers",
    metadata,
    Column("gate_id", String(64), primary_key=True),
    Column("outbox_id", String(32), primary_key=True),
    Column("first_seq", BigInteger, primary_key=True),
    Column("last_seq", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

statuses = Table(
    "gate_statuses",
    metadata,
    Column("gate_id", String(64), primary_key=True),
    Column("created_unix_s", BigInteger, nullable=False),  # by the gate's clock, which may go back
    Column("received_unix_s", BigInteger, nullable=False),
    Column("status", String, nullable=False),  # JSON, as the gate sent it
    sqlite_with_rowid=False,
)

# The nonce that the next status of a gate must be signed with.
nonces = Table(
    "gate_nonces",
    metadata,
    Column("gate_id", String(64), primary_key=True),
    Column("nonce", String(32), nullable=False),
    Column("issued_unix_s", BigInteger, nullable=False),
    Column("is_used", Boolean, nullable=False),  # the gate has signed with one before
    sqlite_with_rowid=False,
)

# The last order to learn a card at each gate (learning_orders.py). A card in an answer is sealed to
# the operator who asked, by a key that this database has never seen.
learning_orders = Table(
    "learning_orders",
    metadata,
    Column("gate_id", String(64), primary_key=True),
    Column("request_id", String(32), nullable=False),
    Column("signed_order", String, nullable=False),  # JSON of a SignedText
    Column("accept_until_unix_s", BigInteger, nullable=False),
    Column("ends_unix_s", BigInteger, nullable=False),  # nobody waits for longer
    Column("state", String(16), nullable=False),  # "asked", or the state in the answer
    Column("signed_answer", String, nullable=False),  # the newest, JSON likewise; "" before it
    sqlite_with_rowid=False,
)

exports = Table(
    "exports",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("at_unix_s", BigInteger, nullable=False),
    Column("who", String(128), nullable=False),
    Column("to", String(128), nullable=False),
    Column("from_unix_s", BigInteger, nullable=False),
    Column("up_to_unix_s", BigInteger, nullable=False),
    Column("reports", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
)
