"""The task of a project, read from what the earlier stages wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from jmml.config import LabelSpace, MethodConfig, MethodName, Params, digest, validate
from jmml.data.table import FeatureTable
from jmml.errors import ProtocolError
from jmml.methods import METHODS
from jmml.task import TaskData, View, load_task
from pipelines.workspace.project import Project


def read_task(project: Project, params: Params | None = None) -> TaskData:
    """Features and labels of the corpora that ``task`` names; ``eeg: null`` leaves that view out.

    Parameters
    ----------
    params : settings other than those of the project, such as :func:`with_task` makes.

    Raises
    ------
    DataError : the features are missing or damaged (next step: ``dvc repro``).
    LabelError, ProtocolError : the labels do not carry the task.
    """
    params = params or project.params
    task = params.task
    speech = FeatureTable.load(project.features_path(task.speech))
    eeg = None if task.eeg is None else FeatureTable.load(project.features_path(task.eeg))
    return load_task(params, speech, eeg)


def with_task(
    params: Params,
    *,
    speech: str,
    eeg: str | None,
    label_space: LabelSpace | None = None,
    method: MethodConfig | None = None,
    protocol: Mapping[str, Any] | None = None,
) -> Params:
    """``params`` with another task; what is None, also in ``protocol``, stays as it is.

    Raises
    ------
    ConfigError : a corpus is unknown or of the other modality, or a setting is out of its bounds.
    """
    data = params.model_dump(mode="python")
    space = label_space or params.task.label_space
    data["task"] = {"speech": speech, "eeg": eeg, "label_space": space}
    if method is not None:
        data["method"] = method.model_dump(mode="python")
    if speech != params.task.speech:
        data["protocol"]["folds"] = None  # lists are of one corpus
    data["protocol"] |= {key: value for key, value in (protocol or {}).items() if value is not None}
    return validate(Params, data)


def check_pairs(task: TaskData, pairings: Collection[str], *, where: object = None) -> None:
    """:class:`ProtocolError` where trials are to be paired and some recordings have no EEG."""
    if "instance" not in pairings or task.eeg is None:
        return
    alone = set(task.speech.recordings) - set(task.eeg.recordings)
    if alone:
        raise ProtocolError(
            f"pairing instance, but {len(alone)} of {len(set(task.speech.recordings))} speech recordings "
            "have no EEG of the same trial",
            where=where,
            fix="set pairing: class for corpora recorded apart",
        )


def methods_of(params: Params) -> list[MethodName]:
    """The methods that are compared: with ``task.eeg: null`` those that need no EEG."""
    chosen = [m for m in params.evaluation.methods if params.task.eeg is not None or not METHODS[m].eeg]
    if not chosen:
        raise ProtocolError(
            f"the task has no EEG, and evaluation.methods is {', '.join(params.evaluation.methods)} alone",
            fix="set task.eeg, or add a method that needs none",
        )
    return chosen


def fingerprint(task: TaskData) -> dict[str, Any]:
    """Fingerprint of a task as digests and counts: equal exactly when data and labels are equal.

    Normalisation is left out: it is a setting of its own, and the features are stored without it.
    """

    def view(name: str, data: View) -> dict[str, Any]:
        counts = Counter(data.y.tolist())
        return {
            "corpus": task.context[f"{name}_corpus"],
            "features": task.context[f"{name}_digest"],
            "labels": digest([[str(i), int(y)] for i, y in zip(data.ids, data.y, strict=True)]),
            "rows": len(data),
            "dropped": task.dropped.get(name, 0),
            "groups": len(set(data.groups.tolist())),
            "classes": {label: counts[number] for number, label in enumerate(task.classes)},
        }

    return {
        "label_space": task.label_space,
        "classes": list(task.classes),
        "speech": view("speech", task.speech),
        "eeg": None if task.eeg is None else view("eeg", task.eeg),
    }


def data_bytes(task: TaskData) -> int:
    """Size of a task's features in memory."""
    return sum(view.X.nbytes for view in (task.speech, task.eeg) if view is not None)
