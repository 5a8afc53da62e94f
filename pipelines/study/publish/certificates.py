"""Nothing of a study is published before every cell has proved what it was fitted on.

A cell's certificate must name every object that was fitted, the search included; none may have seen a person of
the outer fold; the final ones must have seen exactly the training part; and the evidence must be of exactly the
people of the fold.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from jmml.cell import CellResult
from jmml.config import Modality
from jmml.data.splits import Fold
from jmml.errors import ProtocolError
from jmml.evaluation.leakage import Certificate
from jmml.methods import METHODS
from jmml.recogniser import STAGE1_PARTS
from jmml.task import rows_of
from pipelines.cache.cells import Key
from pipelines.study.define.plan import StudyPlan
from pipelines.study.define.tasks import PlannedTask

SELECTION = "search/selection"


def verify(plan: StudyPlan, cells: Mapping[Key, CellResult]) -> None:
    """Verify every cell of a study; :class:`ProtocolError` naming the first that fails, or is not there."""
    for key in plan.cells:
        if key not in cells:
            raise ProtocolError("the cell is missing", where=key, fix="run the study again")
        verify_cell(plan.tasks[key.task], key, cells[key])


def verify_cell(task: PlannedTask, key: Key, cell: CellResult) -> None:
    """Raise :class:`ProtocolError` unless the certificate of ``cell`` proves that its evidence is of people
    whom nothing was fitted on."""
    certificate = cell.certificate
    if not isinstance(certificate, Certificate):
        raise ProtocolError("no leakage certificate", where=key, expected="one for every result")
    found = evaluated(cell)
    speech, eeg = task.split.fold(key.fold)
    folds: tuple[tuple[Modality, Fold | None], ...] = (("speech", speech), ("eeg", eeg))
    for modality, fold in folds:
        of_fold = set(fold.test) if fold is not None else set()
        strange = sorted(found.get(modality, of_fold if modality == "eeg" else set()) ^ of_fold)
        if strange:
            raise ProtocolError(
                f"the evidence and the outer fold differ in {', '.join(strange)}",
                where=key,
                expected=modality,
            )
    try:
        closed: dict[Modality, set[str]] = {"speech": set(speech.test), **found}
        if eeg is not None and METHODS[key.method].eeg:
            closed["eeg"] = set(eeg.test)
        certificate.check({m: sorted(people) for m, people in closed.items()}, parallel=task.data.parallel)
        objects = expected_objects(key.method)
        certificate.check_complete(objects)
        for modality, fold in folds:
            view = task.data.speech if modality == "speech" else task.data.eeg
            if view is not None and fold is not None:
                names = [name for name, of in objects if of == modality]
                certificate.check_rows(modality, view.ids[rows_of(view, fold, "train")], names)
    except ProtocolError as error:
        raise ProtocolError(str(error), where=key) from None


def evaluated(cell: CellResult) -> dict[Modality, set[str]]:
    """The people whose recordings were predicted, by the modality of the recordings."""
    found: dict[Modality, set[str]] = {}
    for modality, rows in cell.evidence.groupby("modality"):
        # With both modalities at hand the sample is still an utterance of a speaker.
        found.setdefault("eeg" if modality == "eeg" else "speech", set()).update(map(str, rows["group"]))
    return found


def expected_objects(method: str) -> list[tuple[str, Modality]]:
    """Objects fitted for ``method`` and their modality, by the names of the certificate, the selection included."""
    spec = METHODS[method]
    learns_from: tuple[Modality, ...] = ("speech", "eeg") if spec.eeg else ("speech",)
    found: list[tuple[str, Modality]] = [("classifier/speech", "speech")]
    for modality in learns_from:
        found.append((SELECTION, modality))
        if spec.input == "stage1":
            found += [(f"jec_ssl/{modality}/{part}", modality) for part in STAGE1_PARTS]
        if spec.build is not None:
            found.append((f"{spec.part}/networks", modality))
        if spec.two_view:
            found.append((f"{spec.part}/pairing", modality))
    return found


def to_json(plan: StudyPlan, cells: Mapping[Key, CellResult]) -> str:
    """All certificates of a study with the people that each result was evaluated on, one cell per line."""
    return "[\n" + ",\n".join(json.dumps(entry) for entry in _entries(plan, cells)) + "\n]\n"


def _entries(plan: StudyPlan, cells: Mapping[Key, CellResult]) -> Iterator[dict[str, Any]]:
    for key in plan.cells:
        cell = cells[key]
        yield {
            "task": key.task,
            "method": key.method,
            "fold": key.fold,
            "seed": key.seed,
            "cell": key.digest,
            "parallel": plan.tasks[key.task].data.parallel,
            "audited": bool(key.parts["audited"]),
            "evaluated": {modality: sorted(people) for modality, people in evaluated(cell).items()},
            **json.loads(cell.certificate.to_json()),
        }
