"""The outbox: reports on the disk until the back office has them."""
