"""The demo's city: its back office, its people and their cards, and its network to the gate."""
