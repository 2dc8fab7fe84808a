"""Imports: from a file of any bytes to the registry; each row is in effect or refused."""
