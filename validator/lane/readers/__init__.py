"""Card readers, a folder or a file each.

A new reader is a class with the methods of ports.Reader that passes tests/contracts/readers;
docs/readers.md has the steps. Each folder owns its device, and `board_reader.py` shares the line
of a board. What several readers share: `opener.py` brings a lost device back, `findings.py` has
what a search of the field finds, `held_cards.py` knows which card is a repeat, and
`printed_number.py` reads the number on a card.
"""
