"""A gate's own status page: its lanes as they say they are, in a browser and for Prometheus. It changes nothing, and opens none of the gate's files."""
