"""Resources of this machine for the trials of a sweep, found out without Ray."""

from __future__ import annotations

import os


def cpus_here() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus_here(wanted: float) -> int:
    """The GPUs of this machine, looked for where some are wanted: it takes the import of torch."""
    if not wanted:
        return 0
    import torch

    return torch.cuda.device_count()
