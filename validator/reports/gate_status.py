"""The states of a gate's way to the city that the status names, as gate and back office spell them."""

FRESH = "fresh"
BUSY = "busy"
