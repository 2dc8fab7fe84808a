"""The gate's programs: the only folder that names loops and adapters together."""
