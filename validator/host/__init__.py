"""What the gate's processes ask of the machine: clocks, durable files, log, process, mounts."""
