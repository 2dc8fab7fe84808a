"""Learning a card: an operator asks a gate to show the next refused or unknown card."""
