"""The courier process: it fetches lists and uploads reports. Nothing else on a gate uses the network."""
