"""The city's side: the registry of cards, the publisher of lists, the receiver of reports.

Of the gate it imports only the domain and the formats that they share.
"""
