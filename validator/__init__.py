"""The gate: everything that runs at a turnstile. Start at docs/one-tap.md."""
