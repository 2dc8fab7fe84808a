"""The report as value and bytes, shared with the city, and how a gate signs and seals it."""
