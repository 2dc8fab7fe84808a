"""Text and files that people write, made safe: configurations, addresses, text for a terminal.

Nothing here opens a device or a connection. The input may be hostile.
"""
