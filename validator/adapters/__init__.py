"""Floor 3: one technology a file. What a driver raises is translated here, at the edge."""
