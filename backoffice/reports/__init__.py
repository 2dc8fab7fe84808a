"""Reports in the city: stored once, exported, and deleted at the end of retention."""
