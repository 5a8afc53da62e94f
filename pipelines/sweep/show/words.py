"""Words that several parts of the page use."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from jmml.evaluation.wording import DASH

MAX_LISTED = 50  # trials of one error, trials with repeated epochs


def text(value: Any) -> str:
    """A setting in words; nothing for what is not set."""
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def moment(t: int) -> str:
    """``t`` (ms since 1970) in universal time."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(t / 1000)) if t else DASH


def resources(data: Mapping[str, Any]) -> str:
    """``4 CPUs, 0.5 GPUs``; what is not there is left out."""
    return ", ".join(
        f"{data[key]:g} {name}{'' if data[key] == 1 else 's'}"
        for key, name in (("cpus", "CPU"), ("gpus", "GPU"))
        if data.get(key)
    )
