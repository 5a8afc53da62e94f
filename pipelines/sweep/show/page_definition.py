"""Report section on the definition of a sweep, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.definitions.spaces import show
from pipelines.reporting.wording import many
from pipelines.sweep.definition.model import CorporaConfig, CorpusRef, SchedulerConfig
from pipelines.sweep.record.history import Record
from pipelines.sweep.show.charts.figure import score_name
from pipelines.sweep.show.words import resources, setting_text, text

ALGORITHMS = {"tpe": "tree-structured Parzen estimator", "cma-es": "covariance matrix adaptation",
              "pbt": "population based training", "random": "random search", "grid": "the whole grid"}  # fmt: skip


def asked(record: Record) -> list[tuple[str, str]]:
    """The definition in words; what it leaves to ``params.yaml`` is as the journal recorded it at the start."""
    state, d = record.state, record.state.definition
    hours, epochs = d.budget.hours, d.budget.epochs
    limits = [many(state.total, "trial")]
    limits += [many(hours, "hour")] if hours else []
    limits += [many(epochs, "epoch")] if epochs else []
    cost = ", and few multiply-adds per utterance" if d.objective.cost else ""
    known = ALGORITHMS.get(d.algorithm)
    held_out = state.fingerprint.get("held_out") or {}
    protocol = {**(state.fingerprint.get("protocol") or {}), **d.protocol.model_dump(exclude_none=True)}
    task = state.fingerprint.get("task") or {}
    lines = [
        ("Corpora", _corpora(d.corpora, task)),
        ("Label space", text(protocol.get("label_space") or task.get("label_space"))),
        ("Outer fold", text(d.protocol.outer_fold)),
        ("Held out", "; ".join(f"{k}: {', '.join(map(str, v))}" for k, v in held_out.items() if v)),
        ("Inner folds", text(protocol.get("inner_folds"))),
        ("Normalisation", text(protocol.get("normalisation"))),
        ("Seeds of the refit", text(protocol.get("seeds"))),
        ("Objective", f"high {score_name(record)}{cost}"),
        ("Algorithm", f"{d.algorithm} ({known})" if known else d.algorithm),
        ("Scheduler", _scheduler(d.scheduler)),
        ("Budget", ", ".join(limits)),
        ("Seed of the search", text(d.seed)),
        ("Resources per trial", resources(d.resources.model_dump())),
        ("Run in MLflow", state.run_id or ""),
    ]  # fmt: skip
    return [(key, value) for key, value in lines if value]


def _corpora(named: CorporaConfig, task: Mapping[str, Any]) -> str:
    """The corpora that were named, else those of the task; with their size."""
    words = []
    for modality, ref in (("speech", named.speech or CorpusRef()), ("eeg", named.eeg or CorpusRef())):
        seen = task.get(modality) or {}
        name = ref.name or seen.get("corpus")
        if not name:
            continue
        version = "".join(f" at {said}" for said in (ref.rev, ref.version) if said)
        size = (
            f" ({many(seen['rows'], 'row')} of {many(seen['groups'], 'person', 'people')})"
            if "rows" in seen
            else ""
        )
        words.append(f"{modality}: {name}{version}{size}")
    return ", ".join(words)


def _scheduler(scheduler: SchedulerConfig) -> str:
    used = _USED.get(scheduler.name, ())
    rest = ", ".join(f"{key.replace('_', ' ')} {text(getattr(scheduler, key))}" for key in used)
    rest += "" if scheduler.wait else ", without waiting"
    return f"{scheduler.name} ({rest})" if rest else scheduler.name


# What each scheduler heeds of its section.
_USED = {"asha": ("grace_epochs", "reduction"), "hyperband": ("reduction",), "median": ("grace_epochs",)}


def searched(record: Record, key: str) -> str:
    """Which values of a setting were searched; ``fixed`` where there was one."""
    dimension = record.space[key]
    if dimension is None:
        return "in earlier trials" if key not in record.state.definition.space else ""
    if dimension.size == 1:
        return "fixed"
    if dimension.kind == "choice":
        return ", ".join(setting_text(value) for value in dimension.values)
    words = {"int": "integer", "logint": "integer, logarithmic", "uniform": "", "loguniform": "logarithmic"}
    low, high = dimension.bounds
    kind = words[dimension.kind]
    return f"{show(low)} to {show(high)}" + (f", {kind}" if kind else "")
