"""The lane process: it reads cards and opens the gate. loop.py is its main thread, clerk.py the second."""
