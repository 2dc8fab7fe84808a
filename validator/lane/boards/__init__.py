"""Turnstile boards, a folder each.

A new board is a class with the methods of ports.Board that passes
tests/contracts/boards.
"""
