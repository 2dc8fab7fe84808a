"""Pure: what is true about cards, rules, time and passages.

No clock, I/O, log, random number or thread. import-linter holds that.
"""
