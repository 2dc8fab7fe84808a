"""Card readers, a folder or a file each.

A new reader is a class with the methods of ports.Reader that passes tests/contracts/readers; its
rigs.py has the steps. `pn532/` owns its port. `board_reader.py` uses the board's. What several
readers share: `opener.py` brings a lost device back, `held_cards.py` knows which card is a repeat.
"""
