"""The registry's tables, the same on SQLite and PostgreSQL.

registry.py and publications.py say what they mean, and who may write what. The keys are the UID's
own bytes. On SQLite the tables are WITHOUT ROWID: a card is in the file once, and a sorted batch is
written in the order of the pages. Times are Unix seconds.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
)

SCHEMA_VERSION = 1  # a registry with another version is refused

metadata = MetaData()

# Cards issued. The printed number, 16 digits, is a number here; not every card has one.
cards = Table(
    "cards",
    metadata,
    Column("uid", LargeBinary, primary_key=True),
    Column("number", BigInteger, unique=True),
    sqlite_with_rowid=False,
)

# Rules by a small number, since a name in each of 26 million rows would be most of the file.
rules = Table(
    "rules",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("name", String(32), nullable=False, unique=True),
    sqlite_with_rowid=False,
)


def _states(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("rule", SmallInteger, primary_key=True, autoincrement=False),
        Column("uid", LargeBinary, primary_key=True),
        Column("ends_unix_s", BigInteger),  # NULL: no end
        Column("is_in", Boolean, nullable=False),  # false: taken out; gates must receive that
        Column("version", BigInteger, nullable=False),  # the list version that carries it, or will
        sqlite_with_rowid=False,
    )


# The last state of each card under each rule.
states = _states("states")
Index("states_by_version", states.c.rule, states.c.version)
# What the newest claimed version carries of a card that has changed since; empty after each claim.
outdated = _states("outdated_states")

# Cards that were added since the publisher last compared all of them; see new_cards.py.
new_cards = Table(
    "new_cards",
    metadata,
    Column("uid", LargeBinary, primary_key=True),
    Column("place", BigInteger, nullable=False),  # cards_added after its batch was added
    sqlite_with_rowid=False,
)

# open_version: the list version that will carry what changes now. cards_added: how many cards were
# ever added. cards_checked: how many of them are compared. schema: SCHEMA_VERSION.
counters = Table(
    "counters",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

notes = Table(
    "notes",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("text", String, nullable=False),
    sqlite_with_rowid=False,
)

publications = Table(
    "publications",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("issued_unix_s", BigInteger, nullable=False),
    Column("is_published", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

pieces = Table(
    "pieces",
    metadata,
    Column("rule", String(32), primary_key=True),
    Column("from_version", BigInteger, primary_key=True, autoincrement=False),
    Column("to_version", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, nullable=False),  # pieces.Kind
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("key_id", String(16), nullable=False),
    Column("made_unix_s", BigInteger, nullable=False),
    Column("retired_unix_s", BigInteger),  # NULL: on offer
    sqlite_with_rowid=False,
)

# Who asked to see a card at a gate (learning_log.py). Never which card.
learnings = Table(
    "learnings",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("at_unix_s", BigInteger, nullable=False),
    Column("who", String(128), nullable=False),
    Column("gate_id", String(64), nullable=False),
    Column("lane", Integer, nullable=False),
    Column("request_id", String(32), nullable=False, unique=True),
    Column("outcome", String(32), nullable=False),  # learning_log.Outcome
    Column("ended_unix_s", BigInteger),  # NULL: it never ended; its command was killed
    Column("gate_key", LargeBinary),  # the key that signed the gate's answer; NULL without one
)

# A batch on its way into the tables: private to one connection, and empty between transactions. It
# has no index, so that a join begins with it.
incoming = Table(
    "incoming",
    MetaData(),
    Column("uid", LargeBinary, nullable=False),
    Column("number", BigInteger),
    Column("ends_unix_s", BigInteger),
    Column("is_in", Boolean),
    prefixes=["TEMPORARY"],
)
