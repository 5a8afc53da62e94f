"""The plan of a sweep, human-readable and as JSON."""

from __future__ import annotations

import math
from typing import Any

from jmml.task import TaskData
from pipelines.reporting.wording import duration, many
from pipelines.sweep.definition.model import SweepDefinition
from pipelines.sweep.definition.plan import Plan
from pipelines.sweep.execute.estimate import Estimate


def as_dict(plan: Plan, time: Estimate) -> dict[str, Any]:
    """The plan as JSON; a continuous space has the size null."""
    definition, params = plan.definition, plan.params
    speech, eeg = plan.split.fold(definition.protocol.outer_fold)
    return {
        "definition": definition.plain(),
        "trials": plan.trials,
        "space_size": None if math.isinf(plan.space_size) else int(plan.space_size),
        "stage1_configurations": plan.stage1_configurations,
        "concurrent": plan.concurrent,
        "resources": definition.resources.model_dump(mode="json"),
        "max_epochs": definition.max_epochs(params.method),
        "corpora": list(plan.corpora),
        "label_space": params.task.label_space,
        "inner_folds": params.protocol.inner_folds,
        "seeds": list(params.protocol.seeds),
        "held_out": {"speech": list(speech.test), "eeg": list(eeg.test) if eeg else []},
        "fits": plan.fits,
        "estimate": {"seconds": time.seconds, "worker_seconds": time.work, "source": time.source},
    }


def _corpora(plan: Plan) -> list[str]:
    """Their names, with the revision of those that are not read from the work tree."""
    return [str(plan.project.versions.get(name, name)) for name in plan.corpora]


def rows(plan: Plan, time: Estimate) -> list[tuple[str, str]]:
    """Headings and texts of the plan."""
    d, protocol = plan.definition, plan.params.protocol
    speech, eeg = plan.split.fold(d.protocol.outer_fold)
    size = "continuous" if math.isinf(plan.space_size) else many(plan.space_size, "configuration")
    held_out = f"speakers {', '.join(speech.test)}"
    if eeg is not None:
        held_out += f"; EEG subjects {', '.join(eeg.test)}"
    return [
        ("sweep", f"{d.name}: {d.description}" if d.description else d.name),
        ("trials", f"{plan.trials} by {d.algorithm}, seed {d.seed}{_limits(d)}"),
        ("resources", _resources(plan)),
        ("scheduler", _scheduler(d)),
        ("objective", _objective(d)),
        ("space", f"{size} over {many(len(d.space), 'setting')}"),
        *((f"  {key}", str(dimension)) for key, dimension in d.space.items()),
        ("epochs", f"{d.max_epochs(plan.params.method)} of stage 2 at most"),
        ("corpora", f"{' and '.join(_corpora(plan))}, {plan.params.task.label_space}"),
        ("search on", f"{_size(plan.training)}, {protocol.inner_folds} inner folds"),
        ("held out", f"outer fold {d.protocol.outer_fold} of {len(plan.split)}: {held_out}"),
        ("fits", _fits(plan)),
        ("time", _time(d, time)),
    ]


def _limits(d: SweepDefinition) -> str:
    budget = d.budget
    named = {"hours": budget.hours, "epochs": budget.epochs}
    return "".join(f"; {value:g} {what} at most" for what, value in named.items() if value is not None)


def _resources(plan: Plan) -> str:
    d = plan.definition
    text = f"{d.resources.cpus:g} CPU per trial"
    if d.resources.gpus:
        text += f" and {d.resources.gpus:g} GPU"
    text += (
        f"; {plan.concurrent} at a time on this machine" if plan.concurrent else "; too much for this machine"
    )
    if d.share < 1:
        text += f", {d.share:.0%} of it at most"
    return text


def _scheduler(d: SweepDefinition) -> str:
    scheduler = d.scheduler
    if d.pbt is not None:
        return f"pbt, every {many(d.pbt.interval, 'epoch')}"
    text = {
        "asha": f"asha, from epoch {scheduler.grace_epochs}, keeps 1/{scheduler.reduction} per rung",
        "hyperband": f"hyperband, keeps 1/{scheduler.reduction} per rung",
        "median": f"median, from epoch {scheduler.grace_epochs}",
    }.get(scheduler.name, scheduler.name)
    return text if scheduler.wait else f"{text}; without waiting, by what is there"


def _objective(d: SweepDefinition) -> str:
    objective = d.objective
    text = {"mean": "mean UAR of the inner folds", "lower-bound": "lower bound of the inner folds' UAR"}[
        objective.score
    ]
    return text if objective.cost is None else f"{text}, and the cost of inference (minimised)"


def _fits(plan: Plan) -> str:
    fits, seeds = plan.fits, ", ".join(map(str, plan.params.protocol.seeds))
    stage1 = f"{fits['stage 1']} stage 1"
    if fits["stage 1"] < fits["stage 1 without reuse"]:
        stage1 += f" ({fits['stage 1 without reuse']} without reuse)"
    return f"{stage1}, {fits['stage 2']} stage 2, {fits['refit']} refit (seeds {seeds})"


def _time(d: SweepDefinition, time: Estimate) -> str:
    text = f"about {duration(time.seconds)} ({duration(time.work)} of work), {time.source}"
    stops = d.scheduler.name != "none"
    return f"{text}; less where trials are stopped early" if stops else text


def _size(task: TaskData) -> str:
    parts = [f"{len(task.speech)} utterances of {len(set(task.speech.groups))} speakers"]
    if task.eeg is not None:
        parts.append(f"{len(task.eeg)} EEG rows of {len(set(task.eeg.groups))} subjects")
    return " and ".join(parts)
