"""The courier process put together."""
