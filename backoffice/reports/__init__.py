"""Reports as the city holds them: stored once, exported, deleted when their time is over."""
