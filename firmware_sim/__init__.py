"""The hardware side: a PN532 and a turnstile board on ptys, byte for byte, and the crowd that uses them. Knows nothing of the gate."""
