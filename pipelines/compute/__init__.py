"""Ray clusters for sweeps: start one on the machines at hand, look at it, end it.

``token`` knows where the secret lies, ``started_nodes`` remembers what was started on this machine, ``nodes`` starts
and ends it. Ray is run as a program of its own here; what a cluster says of itself is asked in
``pipelines.compute.cluster_info``.
"""
