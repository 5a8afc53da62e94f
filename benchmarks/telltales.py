"""Twelve features of noise and one common mistake: what the mistake scores, and that it is refused.

    python benchmarks/telltales.py

Chance is 0.25. Each mistake is a table of 12 people with 24 rows each, whose column is first taken for a feature (UAR
of a random forest over people that are left out, two at a time), then read as `jmml data add` would.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import recall_score

from jmml.data.corpora import read_table
from jmml.data.splits import mask, outer_folds
from jmml.data.table import FeatureTable
from jmml.errors import DataError

PEOPLE, EACH, NOISE = 12, 24, 12
LABELS = np.array(["HVHA", "HVLA", "LVHA", "LVLA"])
Table = pd.DataFrame


def table(seed: int = 0) -> Table:
    """Noise of 12 people, labels balanced and in no order."""
    rng = np.random.default_rng(seed)
    groups = np.repeat([f"p{n:02d}" for n in range(PEOPLE)], EACH)
    labels = np.concatenate([rng.permutation(np.repeat(LABELS, EACH // 4)) for _ in range(PEOPLE)])
    frame = pd.DataFrame({"id": [f"u{n}" for n in range(len(groups))], "group": groups, "label": labels})
    noise = rng.normal(size=(len(frame), NOISE))
    return frame.join(pd.DataFrame(noise, columns=[f"f{n}" for n in range(NOISE)]))


def code(frame: Table) -> np.ndarray:
    return np.searchsorted(LABELS, frame["label"])


def by_label(frame: Table) -> Table:
    return frame.sort_values("label", kind="stable").reset_index(drop=True)


def by_label_in_people(frame: Table) -> Table:
    return frame.sort_values(["group", "label"], kind="stable").reset_index(drop=True)


def placed(frame: Table, name: str, values: Any) -> Table:
    return frame.assign(**{name: values})


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


MISTAKES: dict[str, Callable[[Table], Table]] = {
    "index without a name (table in the order of labels)": lambda t: placed(by_label(t), "", range(len(t))),
    "Unnamed: 0 (of pandas)": lambda t: placed(by_label(t), "Unnamed: 0", range(len(t))),
    "index under another name": lambda t: placed(by_label(t), "x", range(len(t))),
    "index, rows shuffled since": lambda t: placed(by_label(t), "x", range(len(t))).sample(frac=1, random_state=0),
    "id of a recording as a number": lambda t: placed(by_label(t), "clip_id", 5000 + 7 * np.arange(len(t))),
    "time of recording": lambda t: placed(by_label(t), "x", 1.6e9 + np.cumsum(rng().uniform(3, 9, len(t)))),
    "number of the trial, one order for all": lambda t: placed(
        by_label_in_people(t), "x", np.tile(np.arange(EACH), PEOPLE)
    ),
    "code of the label": lambda t: placed(t, "x", code(t)),
    "code of the label as 0 and 1 each": lambda t: placed(
        placed(placed(t, "x", code(t) == 0), "x2", code(t) == 1), "x3", code(t) == 2
    ),
    "rating, whole numbers": lambda t: placed(
        placed(t, "x", np.where(code(t) > 1, rng().integers(6, 10, len(t)), rng().integers(1, 5, len(t)))),
        "x2", np.where(code(t) % 2, rng().integers(6, 10, len(t)), rng().integers(1, 5, len(t))),
    ),
    "rating, any number": lambda t: placed(
        placed(t, "x", np.where(code(t) > 1, rng().uniform(5, 9, len(t)), rng().uniform(1, 5, len(t)))),
        "x2", np.where(code(t) % 2, rng().uniform(5, 9, len(t)), rng().uniform(1, 5, len(t))),
    ),
    "rating by its name": lambda t: placed(
        placed(t, "valence_rating", 5 + 2 * (code(t) > 1) + rng().normal(size=len(t))),
        "arousal_rating", 5 + 2 * (code(t) % 2) + rng().normal(size=len(t)),
    ),
    "code of the person": lambda t: placed(t, "x", np.repeat(rng().permutation(PEOPLE), EACH)),
}  # fmt: skip


def score(found: FeatureTable, trees: int = 200) -> float:
    """UAR over people that are left out, two at a time."""
    y, groups = found.index["label"].to_numpy(dtype=str), found.groups
    told = np.empty_like(y)
    for fold in outer_folds(groups, y, groups_per_fold=2):
        train, test = mask(groups, fold.train), mask(groups, fold.test)
        forest = RandomForestClassifier(trees, max_features=None, random_state=0).fit(
            found.X[train], y[train]
        )
        told[test] = forest.predict(found.X[test])
    return float(recall_score(y, told, average="macro"))


def main() -> None:
    print(f"{'mistake':54s} {'UAR taken':>9s}  told")
    for name, make in {"none": lambda t: t, **MISTAKES}.items():
        frame = make(table())
        added = [column for column in frame if column not in table()]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "features.csv")
            frame.to_csv(path, index=False)
            named = ["Unnamed: 15" if column == "" else column for column in added]
            taken = score(read_table(path, "noise", "speech", features=named))
            try:
                read_table(path, "noise", "speech")
                told = "nothing"
            except DataError as error:
                told = error.what.partition(": ")[2]
        print(f"{name:54s} {taken:9.3f}  {told}")


if __name__ == "__main__":
    main()
