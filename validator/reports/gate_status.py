"""States in a gate's status, as the gate and the back office spell them."""

FRESH = "fresh"
BUSY = "busy"
