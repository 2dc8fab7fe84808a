"""What a process asks of its machine: clocks, durable files, log, scheduling, mounts."""
