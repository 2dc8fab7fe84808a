"""The outcome of each card on the demo's tray."""

OUTCOMES = {
    "card-matched": "admitted",
    "card-suspended": "denied",
    "card-unmatched": "denied",
    "card-brief": "denied",
    "card-staff": "admitted",
    "card-phone": "unsupported",
    "clash": "try_again",
}
