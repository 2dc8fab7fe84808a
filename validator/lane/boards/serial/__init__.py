"""The board on a serial line, as docs/board-protocol.md describes it: board > link > frames."""
