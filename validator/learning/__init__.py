"""Learning a card: what the city asks of a gate, and what the gate answers. Shared with the city.

An operator asks a gate to show the next refused or unknown card, so that it can be registered.
docs/learning.md has the whole way and what each part of it must not be able to do.
"""
