"""Stage ``code``: which code and libraries compute each other stage, a small file per stage that DVC can compare.

The other stages depend on these files and not on modules, so that an edited comment, docstring or message reruns none
of them, and an edited constant, wherever it stands, reruns those that it concerns. DVC runs this stage every time.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from jmml import plugins
from jmml.files import atomic_path
from jmml.fingerprint import Fingerprint, fingerprint
from pipelines.protocol.folds import lists_digest
from pipelines.stages._accepted import check_accepted
from pipelines.stages._main import main
from pipelines.workspace.fingerprint import ENTERS_AS_DATA
from pipelines.workspace.project import Project

# Modules of the platform that compute; the others find, carry and show.
_COMPUTE = (
    "pipelines.corpora.scan",
    "pipelines.protocol",
    "pipelines.stages.summary",
    "pipelines.workspace.task",
)
_SPLITS = (
    "pipelines.corpora",
    "pipelines.protocol",
)  # their folds are compared with data/splits.json, a dependency
# By stage, what it imports that cannot change its outputs but through its other dependencies.
STAGES: dict[str, tuple[str, ...]] = {
    "synthesize": (),
    "ingest": (),
    "featurize": (),
    "split": ("jmml.methods", "jmml.models"),
    "train": (*ENTERS_AS_DATA, *_SPLITS),
    "evaluate": (*ENTERS_AS_DATA, *_SPLITS),
}
# By stage, what additions of the project have a part in its outputs.
ADDITIONS: dict[str, tuple[str, ...]] = {
    "synthesize": (),
    "ingest": ("corpora",),
    "featurize": ("corpora", "features"),
    "split": ("corpora",),
    "train": ("methods",),
    "evaluate": ("methods",),
}
FIGURES = "figures"  # drawn by the stage evaluate; no number depends on them


def code(project: Project) -> str:
    """Write data/code/STAGE.json, unless files of a corpus were changed behind everyone's back."""
    check_accepted(project, project.params.corpora)
    project.code_dir.mkdir(parents=True, exist_ok=True)
    found = fingerprints()
    for name, one in found.items():
        with atomic_path(project.code_dir / f"{name}.json") as temporary:
            held: dict[str, Any] = {"code": one.code, "libraries": one.libraries}
            if name == "split" and (lists := project.params.protocol.folds) is not None:
                held["folds"] = lists_digest(
                    project.root / lists
                )  # DVC knows no dependency that may be absent
            text = json.dumps(held, indent=1, sort_keys=True)
            temporary.write_text(text + "\n", encoding="utf-8")
    return f"{len({module for one in found.values() for module in one.modules})} modules"


def fingerprints() -> dict[str, Fingerprint]:
    """Fingerprints of the code that computes each stage, and of the code that draws the figures."""
    found = {name: of_stage(name) for name in STAGES}
    return {**found, FIGURES: fingerprint("jmml.evaluation.plots", within=("jmml.evaluation.plots",))}


def of_stage(name: str) -> Fingerprint:
    """The code that decides the outputs of a stage, and the libraries."""
    own = plugins.modules(*ADDITIONS[name]) if ADDITIONS[name] else ()
    within = ("jmml", *_COMPUTE, *sorted({module.partition(".")[0] for module in own}))
    return fingerprint(f"pipelines.stages.{name}", *own, within=within, without=STAGES[name])


if __name__ == "__main__":
    sys.exit(main(code))
