"""A seeded crowd that taps at a gate and judges what the gate shows."""
