"""The demo's city: its people and cards, its back office, its network, and what happens in it."""
