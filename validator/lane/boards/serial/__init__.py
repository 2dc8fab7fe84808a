"""The board on a serial line: docs/board-protocol.md is its source."""
