"""The city's side: the registry of cards, the publisher of lists. Not the gate: it shares only the domain and the list format."""
