"""Stage ``split``: the outer folds of the task, leaving speakers and EEG subjects out."""

from __future__ import annotations

import json
import sys

from jmml.evaluation.shares import in_words, shares, summary
from jmml.files import atomic_path
from pipelines.corpora.confounding import of_corpora
from pipelines.protocol.folds import draw_split
from pipelines.stages._main import main
from pipelines.workspace.project import Project
from pipelines.workspace.task import fingerprint, read_task


def split(project: Project) -> str:
    """Write data/splits.json and data/task.json (what the folds are made of)."""
    task = read_task(project)
    folds = draw_split(project, project.params, task)
    card = fingerprint(task)
    folds.save(project.split_path)
    with atomic_path(project.task_path) as temporary:
        temporary.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    views = [
        f"{name} {card[name]['rows']} rows, {card[name]['groups']} groups"
        for name in ("speech", "eeg")
        if card[name]
    ]
    shared = "".join(f"; {line}" for line in in_words(summary(shares(task, folds))))
    told = of_corpora(project, (project.params.task.speech, project.params.task.eeg))
    warned = "".join(f"; warning: {line}" for line in told)
    return f"{len(folds)} folds over {len(task.classes)} classes ({'; '.join(views)}){shared}{warned}"


if __name__ == "__main__":
    sys.exit(main(split))
