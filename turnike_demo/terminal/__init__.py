"""The demo's live view in a terminal, and its keys."""
