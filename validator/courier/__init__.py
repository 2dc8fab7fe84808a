"""The courier process: fetches lists and uploads reports, alone on a gate to use the network."""
