"""The radio of every simulated reader: the cards in its field, and the hand that lays them there.

field    the cards and their states (ISO 14443-3 and -4), for a reader that selects by itself
air      frames to those cards, for a reader whose host sends each frame
hand     the verbs present, remove and clash, and the faults of cards
"""
