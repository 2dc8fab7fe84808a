"""Turnstile boards, a folder each. Each implements ports.Board; one contract suite runs on all."""
