"""`turnike top`: the status page's content in a terminal."""
