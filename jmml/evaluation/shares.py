"""What the test part of an outer fold shares with training, key by key: told with every result, leak or not.

That a sentence is trained on is no leak where only people must be apart. But a score on new people who speak known
sentences is another claim than one on new people and new sentences, and a reader must be able to tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from jmml.data.protocol.overlap import KEYS, Overlap, overlaps
from jmml.data.splits import Split
from jmml.task import TaskData, View, rows_of

WORDS = {key: key for key in KEYS} | {"content": "recording of equal bytes"}


def shares(task: TaskData, split: Split, folds: Iterable[int] | None = None) -> list[Overlap]:
    """Every key that is known of the speech samples, in the test part of each outer fold against its training part.

    Parameters
    ----------
    folds : numbers of outer folds; all of them if left out.

    Example
    -------
    >>> from jmml.data.synthetic.worlds import world_tables
    >>> from jmml.task import make_split, make_task
    >>> task = make_task(*world_tables("trial", people=4, trials=8))
    >>> [(found.key, found.share) for found in shares(task, make_split(task), [0])]
    [('person', 0.0)]
    """
    view, found = task.speech, []
    frame = _known(view, np.asarray(task.classes, dtype=object)[view.y])
    if task.context.get("speech_extractor") == "external":
        frame = frame.drop(columns="content", errors="ignore")  # few features may be equal by chance
    for number in range(len(split)) if folds is None else folds:
        fold, _ = split.fold(number)
        for side in ("test", "train"):
            found.append(frame[rows_of(view, fold, side)].assign(fold=number, part=side))
    return overlaps(pd.concat(found, ignore_index=True))


def _known(view: View, labels: np.ndarray) -> pd.DataFrame:
    columns: dict[str, np.ndarray] = {"person": view.groups, "label": labels}
    columns |= {key: view.keys[key] for key in KEYS if key in view.keys}
    return pd.DataFrame(columns, dtype=object)


def summary(found: Sequence[Overlap]) -> dict[str, dict[str, float]]:
    """Key -> over all folds, the share of test samples whose value is trained on, and of those whose value and label
    are; ``unknown`` is the share of samples that cannot be told of. The person is left out: it is never shared."""
    told: dict[str, dict[str, float]] = {}
    for key in dict.fromkeys(one.key for one in found if one.key != "person"):
        rows = [one for one in found if one.key == key]
        total = sum(one.samples for one in rows)
        told[key] = {
            "share": sum(one.shared_samples for one in rows) / total,
            "with_label": sum(one.with_label or 0 for one in rows) / total,
            "unknown": sum(one.unknown for one in rows) / total,
        }
    return told


def in_words(told: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A line for each key of which more than nothing is shared or unknown, in the words of a result.

    Example
    -------
    >>> in_words({"text": {"share": 1.0, "with_label": 0.5, "unknown": 0.0}})
    ['100 % of the test samples have a text that is trained on too, 50 % with the same label']
    """
    lines = []
    for key, of in told.items():
        if of["share"] > 0:
            lines.append(
                f"{100 * of['share']:.0f} % of the test samples have a {WORDS[key]} that is trained on too, "
                f"{100 * of['with_label']:.0f} % with the same label"
            )
    return lines
