"""The simulated turnstile board. Written from docs/board-protocol.md and from nothing else."""
