"""Reports in the city: stored once, exported, and deleted at the end of retention.

More than twelve files: the store is one, and each thing that is done with its rows is another.
"""
