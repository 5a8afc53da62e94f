"""The tags by which runs are found, told apart and traced to the code and person behind them."""

from __future__ import annotations

import getpass
import os

from pipelines.workspace.lineage import Lineage

KIND, SWEEP, TRIAL, STUDY, TRIAL_ID = "jmml.kind", "sweep", "trial", "study", "jmml.trial_id"
SWEEP_ID, STUDY_ID = "jmml.sweep_id", "jmml.study_id"
CHANGED, ERROR = "jmml.changed_params", "jmml.error"
PARENT = "mlflow.parentRunId"

# Of a sweep, for each of its trials.
INHERITED = frozenset(
    {
        "jmml.sweep",
        "jmml.sweep_id",
        "jmml.team",
        "jmml.version",
        "jmml.git_sha",
        "jmml.git_dirty",
        "jmml.params_digest",
        "jmml.code_digest",
        "jmml.split_digest",
        "jmml.outer_fold",
        "jmml.seed",
        "mlflow.user",
        "mlflow.source.name",
        "mlflow.source.type",
        "mlflow.source.git.commit",
    }
)


def provenance(kind: str, lineage: Lineage) -> dict[str, str]:
    """The tags behind MLflow's own columns: user, source and version."""
    tags = {"mlflow.source.name": f"jmml {kind}", "mlflow.source.type": "LOCAL"}
    if lineage.git_sha:
        tags["mlflow.source.git.commit"] = lineage.git_sha
    try:
        tags["mlflow.user"] = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        tags["mlflow.user"] = str(os.getuid())
    return tags
