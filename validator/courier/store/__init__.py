"""What the courier keeps on the gate's disk: lists, pieces, keys, accepted versions."""
