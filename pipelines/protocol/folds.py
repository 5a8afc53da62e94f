"""The outer folds of a task: drawn, or those of published lists once these have been audited."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from jmml.config import Params, digest
from jmml.data.protocol.disjoint import Rows
from jmml.data.splits import Fold, Split
from jmml.errors import ProtocolError
from jmml.files import sha256_file
from jmml.task import TaskData, View, make_split
from pipelines.protocol.audit import of_told
from pipelines.protocol.told import tell
from pipelines.workspace.project import Project

# Which people share a fold is drawn once, apart from the seeds of training: all seeds see the same folds.
SPLIT_SEED = 0
TRAINED = ("train", "valid")  # what is left for selection is searched on inner folds, as everywhere


def draw_split(project: Project, params: Params, task: TaskData) -> Split:
    """The outer folds of ``task`` at these settings.

    Raises
    ------
    ProtocolError : the data cannot carry the folds; the lists of ``protocol.folds`` leak, or fit other data.
    """
    protocol = params.protocol
    speech = None
    if protocol.folds is not None:
        speech = listed_folds(project, params, task)
    return make_split(task, groups_per_fold=protocol.groups_per_fold, seed=SPLIT_SEED, speech=speech)


def read_split(project: Project, task: TaskData) -> Split:
    """The outer folds that the stage ``split`` wrote.

    Raises
    ------
    ProtocolError : they are missing, or are not the folds of this task at these settings.
    """
    split, listed = Split.load(project.split_path), project.params.protocol.folds
    if listed is None:
        split.check(task.speech.groups, None if task.eeg is None else task.eeg.groups)
    if split != draw_split(project, project.params, task):
        raise ProtocolError(
            f"the split is not that of {listed} any more"
            if listed
            else "the split was drawn for other labels or other settings of protocol",
            where=project.split_path,
            fix="run `dvc repro`",
        )
    return split


def listed_folds(project: Project, params: Params, task: TaskData) -> list[Fold]:
    """The folds of the speech corpus by the lists that ``protocol.folds`` names, which are audited first.

    What the lists call validation is trained on; recordings that a fold does not name are in neither of its parts.

    Raises
    ------
    ProtocolError : a leak by a key of ``protocol.disjoint``, or one that cannot be ruled out; lists of other data.
    """
    path = project.root / str(params.protocol.folds)
    where = f"protocol.folds: {params.protocol.folds}"
    told = tell(path, project=project, corpus=params.task.speech)
    found = of_told(path, told, list(params.protocol.disjoint))
    if not found.passed:
        first = next(line for line in found.lines() if line.startswith(("leak:", "unproven:")))
        raise ProtocolError(
            first,
            where=where,
            expected="lists whose parts share nothing that protocol.disjoint names",
            fix=f"`jmml protocol audit {params.protocol.folds} --corpus {params.task.speech}` tells it all",
        )
    # Who was recorded in both modalities at once is in the same part of both.
    views = [task.speech, *([task.eeg] if task.eeg is not None and task.parallel else [])]
    rows = Rows(
        np.concatenate([view.groups for view in views]),
        np.concatenate([np.asarray(task.classes)[view.y] for view in views]),
        np.concatenate([view.recordings for view in views]),
    )
    folds = []
    for index, (fold, frame) in enumerate(_speech(told.frame).groupby("fold", sort=False)):
        parts = np.concatenate([_parts(frame, view) for view in views])
        train, test = np.isin(parts, TRAINED), parts == "test"
        for side, inside in (("train", train), ("test", test)):
            if not inside.any():
                raise ProtocolError(
                    f"no recording of the {side} part of fold {fold} is in '{params.task.speech}'",
                    where=where,
                )
        folds.append(rows.fold(index, train, test, where=where))
    return folds


def _speech(frame: pd.DataFrame) -> pd.DataFrame:
    """Folds of speech alone, where a list is another project's split, which has those of both modalities."""
    return frame[~frame["fold"].astype(str).str.startswith("eeg ")]


def _parts(frame: pd.DataFrame, view: View) -> np.ndarray:
    """(n,) the part of each row in one fold; "" for those that it does not name.

    A list names recordings, or rows of a table of features, or people alone.
    """
    if "sample" not in frame:
        people = dict(zip(frame["person"], frame["part"], strict=True))
        return np.array([people.get(name, "") for name in view.groups])
    known = frame.dropna(subset=["sample"])
    part: Mapping[str, str] = dict(zip(known["sample"], known["part"], strict=True))
    both = zip(view.recordings, view.ids, strict=True)
    return np.array([part.get(recording, part.get(identity, "")) for recording, identity in both])


def lists_digest(path: Path) -> str | None:
    """SHA-256 of the file, or of the files below the folder, that ``protocol.folds`` names; None if there is none."""
    if path.is_file():
        return sha256_file(path)
    if not path.is_dir():
        return None
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return digest([[file.relative_to(path).as_posix(), sha256_file(file)] for file in files], length=64)
