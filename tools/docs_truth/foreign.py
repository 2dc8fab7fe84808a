"""Names that the docs may use although Turnike's code does not: they belong to others."""

# Programs that are no part of the tree; their arguments are not checked.
COMMANDS = frozenset(
    {
        *("apt", "apt-get", "cp", "curl", "git", "install", "kill", "openssl", "pg_dump", "pip"),
        *("promtool", "rsync", "scp", "source", "sqlite3", "ssh", "sudo", "systemctl", "udevadm"),
    }
)

# Names of libraries, of the system and of other programs, and formulas of a protocol.
NAMES = frozenset(
    {
        *("connect", "sense"),  # nfcpy's frontend
        *("MAP_POPULATE", "madvise"),  # Linux
        "synchronous",  # SQLite's pragma
        "pg_dump",
        "crypto_secretstream_xchacha20poly1305",  # libsodium
        "synchronized: yes",  # what timedatectl displays
        "Object contains unknown field …",  # msgspec
        "--basetemp",  # pytest
        "COBS(payload) 00",  # how a frame of the board is stuffed and ended
    }
)

# Pages of other projects, and folders and files that an operator makes in an example.
PATHS = frozenset(
    {
        "lang_select.html",  # SQLite's documentation
        *("city2", "gate.toml"),
    }
)
