"""Turnstile boards, a folder each; `port.py` is the serial port of those that have one.

A new board is a class with the methods of ports.Board that passes tests/contracts/boards;
docs/boards.md has the steps.
"""
