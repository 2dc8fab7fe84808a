"""Floor 2, pure: bytes to values and back. Bytes may be hostile; nothing here raises on them unless its docstring says so."""
