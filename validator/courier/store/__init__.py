"""What the courier keeps on the gate's disk: lists, pieces, keys, and what it has accepted."""
