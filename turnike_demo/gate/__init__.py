"""The demo's gate: its configuration, its crowd, and what can be read of its lanes."""
