"""The courier's HTTP client, bounded in bytes and time, and its errors."""
