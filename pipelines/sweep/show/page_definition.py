"""What a sweep was: its definition in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.definitions.spaces import show
from pipelines.reporting.wording import grouped, many
from pipelines.sweep.record.history import Record
from pipelines.sweep.show.charts import svg
from pipelines.sweep.show.charts.figure import score_name
from pipelines.sweep.show.words import resources, text

ALGORITHMS = {"tpe": "tree-structured Parzen estimator", "cma-es": "covariance matrix adaptation",
              "pbt": "population based training", "random": "random search", "grid": "the whole grid"}  # fmt: skip


def asked(record: Record) -> list[tuple[str, str]]:
    """The definition in words; what it leaves to ``params.yaml`` is as the journal recorded it at the start."""
    get, state = record.setting, record.state
    algorithm, scheduler = str(get("algorithm") or ""), get("scheduler")
    budget = get("budget") or {}
    limits = [many(state.total, "trial")]
    limits += (
        [f"{budget['hours']:g} hour{'' if budget['hours'] == 1 else 's'}"] if budget.get("hours") else []
    )
    limits += [f"{grouped(budget['epochs'])} epochs"] if budget.get("epochs") else []
    cost = ", and few multiply-adds per utterance" if get("objective", "cost") else ""
    known = ALGORITHMS.get(algorithm)
    held_out = state.fingerprint.get("held_out") or {}
    protocol = {**(state.fingerprint.get("protocol") or {}), **_said(get("protocol"))}
    task = state.fingerprint.get("task") or {}
    lines = [
        ("Corpora", _corpora(get("corpora"), task)),
        ("Label space", text(protocol.get("label_space") or task.get("label_space"))),
        ("Outer fold", text(get("protocol", "outer_fold"))),
        ("Held out", "; ".join(f"{k}: {', '.join(map(str, v))}" for k, v in held_out.items() if v)),
        ("Inner folds", text(protocol.get("inner_folds"))),
        ("Normalisation", text(protocol.get("normalisation"))),
        ("Seeds of the refit", text(protocol.get("seeds"))),
        ("Objective", f"high {score_name(record)}{cost}"),
        ("Algorithm", f"{algorithm} ({known})" if known else algorithm),
        ("Scheduler", _scheduler(scheduler)),
        ("Budget", ", ".join(limits)),
        ("Seed of the search", text(get("seed"))),
        ("Resources per trial", resources(get("resources") or {})),
        ("Run in MLflow", state.run_id or ""),
    ]  # fmt: skip
    return [(key, value) for key, value in lines if value]


def _said(data: Any) -> dict[str, Any]:
    return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else {}


def _corpora(data: Any, task: Mapping[str, Any]) -> str:
    """The corpora that were named, else those of the task; with their size."""
    named = _said(data)
    words = []
    for modality in ("speech", "eeg"):
        entry = named.get(modality) or {}
        ref = entry if isinstance(entry, dict) else {"name": entry}
        seen = task.get(modality) or {}
        name = ref.get("name") or seen.get("corpus")
        if not name:
            continue
        version = f" at {ref['version']}" if ref.get("version") else ""
        size = f" ({many(seen['rows'], 'row')} of {seen['groups']} people)" if "rows" in seen else ""
        words.append(f"{modality}: {name}{version}{size}")
    return ", ".join(words)


def _scheduler(data: Any) -> str:
    if not isinstance(data, dict):
        return text(data)
    name = text(data.get("name"))
    rest = ", ".join(f"{k.replace('_', ' ')} {text(data[k])}" for k in _USED.get(name, ()) if k in data)
    return f"{name} ({rest})" if rest else name


# What each scheduler heeds of its section.
_USED = {"asha": ("grace_epochs", "reduction"), "hyperband": ("reduction",), "median": ("grace_epochs",)}


def searched(record: Record, key: str) -> str:
    """Which values of a setting were searched; ``fixed`` where there was one."""
    dimension = record.space[key]
    if dimension is None:
        return "in earlier trials" if key not in (record.setting("space") or {}) else ""
    if dimension.size == 1:
        return "fixed"
    if dimension.kind == "choice":
        return ", ".join(svg.plain(value) for value in dimension.values)
    words = {"int": "integer", "logint": "integer, logarithmic", "uniform": "", "loguniform": "logarithmic"}
    low, high = dimension.bounds
    kind = words[dimension.kind]
    return f"{show(low)} to {show(high)}" + (f", {kind}" if kind else "")
