"""`make demo`: the whole system on one machine with simulated hardware. It starts the same commands that a gate runs, as children."""
