"""A gate's own status page: what its lanes answer, in a browser and for Prometheus.

It changes nothing, and opens none of the gate's files.
"""
