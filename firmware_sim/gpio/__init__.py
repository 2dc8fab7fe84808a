"""Simulated GPIO chips, in the program's own process: they take no bytes, only calls."""
