"""The virtual turnstile: a visitor's own lane, played in a browser."""
