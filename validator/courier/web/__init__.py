"""The courier's HTTP client, bounded in bytes and time, and what can go wrong on the way."""
