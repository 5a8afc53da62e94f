"""What this machine has for the trials of a sweep, found out without Ray."""

from __future__ import annotations

import os

from pipelines.sweep.definition.model import SweepDefinition


def cpus_here() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus_here(definition: SweepDefinition) -> int:
    """The GPUs of this machine, looked for where the trials want some: it takes the import of torch."""
    if not definition.resources.gpus:
        return 0
    import torch

    return torch.cuda.device_count()
