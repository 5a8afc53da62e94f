"""All that a sweep's trials depend on, as plain values, and what differs between two of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jmml.config import digest
from pipelines.definitions.spaces import DISTRIBUTIONS
from pipelines.sweep.decide import search
from pipelines.sweep.definition.plan import Plan
from pipelines.workspace.fingerprint import code_digest, libraries
from pipelines.workspace.task import fingerprint as task_fingerprint

_SHORT = 12  # digits of a digest that are shown
_ABSENT = "not there"


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


def differences(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two definitions or fingerprints, a line each; descriptions do not count.

    Example
    -------
    >>> differences({"space": {"stage2.k": {"choice": [3, 6]}}}, {"space": {"stage2.k": {"choice": [3, 8]}}})
    ['space.stage2.k: choice [3, 6] -> choice [3, 8]']
    """
    before, after = dict(_leaves(recorded)), dict(_leaves(now))
    return [
        f"{key}: {before.get(key, _ABSENT)} -> {after.get(key, _ABSENT)}"
        for key in dict.fromkeys((*before, *after))
        if key != "description" and before.get(key, _ABSENT) != after.get(key, _ABSENT)
    ]


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and len(value) == 1 and set(value) <= set(DISTRIBUTIONS):
            ((kind, of),) = value.items()
            yield f"{prefix}{key}", f"{kind} {_text(of)}"
        elif isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _text(value)


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, str) and len(value) >= 32 and set(value) <= set("0123456789abcdef"):
        return f"{value[:_SHORT]}..."
    return "none" if value is None else str(value)
