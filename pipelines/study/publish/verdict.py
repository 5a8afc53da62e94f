"""How the verdict on the primary contrast is reached, in words, wherever it is shown.

The contrast is named before the study, so it is decided by its own interval and its own p, both of them: the interval
excludes 0 *and* p <= 1 - confidence (:func:`jmml.evaluation.contrast.primary`). Holm's p, over all comparisons of
the task's table, stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jmml.evaluation.statistics import smallest_p
from jmml.evaluation.wording import DASH, NO_INTERVAL, interval, number, p_in_view, p_value
from pipelines.reporting.comparison import plain
from pipelines.reporting.wording import many

RULE = (
    "The primary contrast was fixed beforehand, so its own interval and its own p decide, both of them; Holm p is for "
    "the family of all comparisons of one task. Nothing is corrected across tasks."
)
INTERVALS = (
    "Intervals come from a cluster bootstrap over speakers; each bound is the wider one of the expanded percentile and "
    "Student's t (jmml/evaluation/statistics.py), so a plain percentile bootstrap gives narrower ones."
)


def difference(primary: Mapping[str, Any], confidence: float, *, family: int = 0) -> str:
    """The figures of the primary contrast: difference, interval, p with the smallest possible one, Holm p, size.

    Parameters
    ----------
    family : comparisons that Holm's p is corrected for, 0 where that is said elsewhere.
    """
    found = _plain(primary)
    span = interval(found["diff_low"], found["diff_high"], signed=True)
    parts = [
        number(found["diff"], signed=True),
        NO_INTERVAL if span == DASH else f"{100 * confidence:g} % interval {span}",
    ]
    if found["p"] is not None:
        parts.append(p_in_view(found["p"], found["n_groups"]))
        of = f" as one of {family} comparisons" if family else ""
        parts += [f"Holm p {p_value(found['p_holm'])}{of}"] if family != 1 else []
    parts += [f"dz {number(found['dz'], signed=True)}"] if found["dz"] is not None else []
    return f"{', '.join(parts)}; {many(found['n_groups'], 'speaker')}, {many(found['n_seeds'], 'seed')}"


def words(primary: Mapping[str, Any], confidence: float) -> str:
    """The verdict; where interval and p disagree, also why it does not count as evidence.

    ``primary`` is that of :func:`jmml.evaluation.contrast.primary`; figures may be None in place of nan.
    """
    verdict = str(primary["verdict"])
    found = _plain(primary)
    low, high, p = (found[name] for name in ("diff_low", "diff_high", "p"))
    if low is None or high is None or p is None:
        return verdict
    level, people = 1 - confidence, primary["n_groups"]
    excludes, small = low > 0 or high < 0, p <= level + 1e-9
    if excludes == small:
        return verdict
    p_text = f"p {p_value(p)}"
    if not excludes:
        return f"{verdict} (the test over {people} speakers excludes 0, {p_text}, the interval does not)"
    smallest = smallest_p(people)
    why = f", and cannot be below {smallest:.3g}" if smallest > level + 1e-9 else f", above {level:.3g}"
    return f"{verdict} (the interval excludes 0, the test over {people} speakers does not: {p_text}{why})"


def _plain(primary: Mapping[str, Any]) -> dict[str, Any]:
    return plain({**primary, "diff_low": primary["low"], "diff_high": primary["high"]})
