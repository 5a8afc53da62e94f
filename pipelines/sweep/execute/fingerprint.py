"""All that a sweep's trials depend on, as plain values."""

from __future__ import annotations

from typing import Any

from jmml.config import digest
from pipelines.sweep.decide import search
from pipelines.sweep.definition.plan import Plan
from pipelines.workspace.fingerprint import code_digest, libraries
from pipelines.workspace.task import fingerprint as task_fingerprint


def fingerprint(plan: Plan) -> dict[str, Any]:
    """All that a sweep's trials and their scores depend on besides its definition, as plain values: it is resumed on
    the same."""
    protocol = plan.params.protocol.model_dump(mode="json")
    speech, eeg = plan.split.fold(plan.definition.protocol.outer_fold)
    return {
        "method": plan.params.method.model_dump(mode="json"),
        "protocol": protocol,
        "task": task_fingerprint(plan.task),
        "split": plan.split.digest,
        "held_out": {"speech": list(speech.test), "eeg": list(eeg.test) if eeg else []},
        "device": "cuda" if plan.definition.resources.gpus else plan.params.device.partition(":")[0],
        "code": code_digest(),
        "libraries": libraries(),
        "search": search.fingerprint(plan.definition),
    }


def refit_digest(plan: Plan) -> str:
    """Digest of all that the refit of a given configuration depends on: protocol, data, split, code, libraries."""
    found = fingerprint(plan)
    return digest({key: value for key, value in found.items() if key != "search"}, length=32)
