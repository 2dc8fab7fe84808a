"""Card readers, a folder or a file each.

A new reader is a class with the methods of ports.Reader that passes
tests/contracts/test_reader_contract.py. `pn532/` owns its port. `board_reader.py` uses the board's.
"""
