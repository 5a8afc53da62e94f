"""The audit of the folds that a project itself has drawn, or taken from lists."""

from __future__ import annotations

from collections.abc import Sequence

from jmml.data.protocol.overlap import KEYS
from jmml.errors import ProtocolError
from jmml.evaluation.shares import shares
from pipelines.protocol.audit import ALWAYS, Audit, key_of
from pipelines.protocol.folds import read_split
from pipelines.workspace.project import Project
from pipelines.workspace.task import read_task


def audit_own(project: Project, disjoint: Sequence[str] | None = None) -> Audit:
    """What the parts of data/splits.json share, by the speech corpus of the task.

    Parameters
    ----------
    disjoint : keys that no test part may share; those of ``protocol.disjoint`` if left out.

    Raises
    ------
    ProtocolError : there is no split, it is an old one, or nothing tells a key of ``disjoint``.
    """
    asked = [key_of(name) for name in disjoint or project.params.protocol.disjoint]
    task = read_task(project)
    found = shares(task, read_split(project, task))
    known = {one.key for one in found}
    if unknown := [key for key in asked if key not in known]:
        raise ProtocolError(
            f"nothing tells the {unknown[0]} of the samples of '{project.params.task.speech}'",
            where="--disjoint",
            expected=" or ".join(key for key in KEYS if key in known),
        )
    corpus = f"corpus {project.params.task.speech}"
    return Audit(
        where=project.split_path.relative_to(project.root).as_posix(),
        samples=len(task.speech),
        sources={key: corpus for key in KEYS if key in known},
        asked=asked,
        disjoint=tuple(key for key in KEYS if key in asked or key in ALWAYS),
        found=found,
        notes=[],
    )
