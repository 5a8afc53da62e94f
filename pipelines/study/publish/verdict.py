"""How the verdict on the primary contrast is reached, in words, wherever it is shown.

The contrast is named before the study, so it is decided by its own interval and its own p, both of them: the interval
excludes 0 *and* p <= 1 - confidence (:func:`jmml.evaluation.contrast.primary`). Holm's p, over all comparisons of
the task's table, stands beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

RULE = (
    "The primary contrast was fixed beforehand, so its own interval and its own p decide, both of them; Holm p is for "
    "the family of all comparisons of one task. Nothing is corrected across tasks."
)
INTERVALS = (
    "Intervals come from a cluster bootstrap over speakers; each bound is the wider one of the expanded percentile and "
    "Student's t (jmml/evaluation/statistics.py), so a plain percentile bootstrap gives narrower ones."
)


def words(primary: Mapping[str, Any], confidence: float) -> str:
    """The verdict; where interval and p disagree, also why it is no evidence.

    ``primary`` is that of :func:`jmml.evaluation.contrast.primary`; figures may be None in place of nan.
    """
    verdict = str(primary["verdict"])
    low, high, p = (primary[name] for name in ("low", "high", "p"))
    if any(value is None or not math.isfinite(value) for value in (low, high, p)):
        return verdict
    level, people = 1 - confidence, primary["n_groups"]
    excludes, small = low > 0 or high < 0, p <= level + 1e-9
    if excludes == small:
        return verdict
    p_text = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    if not excludes:
        return f"{verdict} (the test over {people} speakers excludes 0, {p_text}, the interval does not)"
    smallest = 2.0 ** (1 - people)
    why = f", and cannot be below {smallest:.3g}" if smallest > level + 1e-9 else f", above {level:.3g}"
    return f"{verdict} (the interval excludes 0, the test over {people} speakers does not: {p_text}{why})"
