"""The demo's child processes, and the events that come from them and from its own threads."""
