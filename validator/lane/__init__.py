"""The lane process, which reads cards and opens the gate: loop.py main thread, clerk.py second."""
