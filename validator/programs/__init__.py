"""The gate's programs, put together: the only place that names loops and adapters together."""
