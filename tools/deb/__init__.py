"""Builds the Debian packages: `make deb`. Nothing is compiled or emulated.

    python -m tools.deb --suite bookworm --architecture arm64 --package turnike-gate

Each package holds the project's own code and every Python package that it needs, as pinned in
requirements/run.lock, in a folder of its own below /usr/lib. docs/decisions/0032 has the reasons.
"""
