"""Floor 1, pure: what is true about cards, rules, time and passages. No clock, no I/O, no log, no random, no thread."""
