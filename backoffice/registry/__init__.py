"""The registry: which cards are issued, and which of them stand under which rule."""
