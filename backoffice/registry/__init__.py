"""The registry: which cards are issued, and which of them are under which rule."""
