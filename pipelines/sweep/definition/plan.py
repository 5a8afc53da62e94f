"""What a sweep is going to do, found out before anything starts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from jmml.config import MethodName, Params, digest
from jmml.data.splits import Split
from jmml.errors import ProtocolError, SweepError
from jmml.task import TaskData
from pipelines.compute.machine import cpus_here, gpus_here
from pipelines.definitions import spaces
from pipelines.definitions.spaces import DISTRIBUTIONS
from pipelines.reporting.wording import duration
from pipelines.sweep.decide import search
from pipelines.sweep.definition.estimate import Estimate, estimate
from pipelines.sweep.definition.fit import fit
from pipelines.sweep.definition.model import SweepDefinition
from pipelines.sweep.definition.reading import load_definition
from pipelines.workspace.fingerprint import code_digest, libraries
from pipelines.workspace.project import Project
from pipelines.workspace.task import fingerprint as task_fingerprint

METHODS: tuple[MethodName, ...] = ("raw", "jec-ssl", "jmml", "one-hot")
STAGE1 = "stage1."
_SHORT = 12  # digits of a digest that are shown
_ABSENT = "not there"


@dataclass(frozen=True)
class Plan:
    """A checked definition with the data it will run on.

    Attributes
    ----------
    params : the project's settings with those that the definition names.
    training : the task without the groups of the outer fold, all that trials ever see.
    corpora : names of the corpora in ``params.yaml``, speech and EEG.
    """

    project: Project
    definition: SweepDefinition
    params: Params
    task: TaskData
    split: Split
    training: TaskData
    corpora: tuple[str, ...]

    @property
    def trials(self) -> int:
        return self.definition.n_trials()

    @property
    def space_size(self) -> float:
        """Number of configurations, infinite with a continuous setting."""
        return spaces.size(self.definition.space)

    @property
    def stage1_configurations(self) -> int:
        """How many different stage-1 configurations the trials can have; each of them is trained once."""
        searched = {key: d for key, d in self.definition.space.items() if key.startswith(STAGE1)}
        return int(min(self.trials, spaces.size(searched)))

    @property
    def fits(self) -> dict[str, int]:
        """Models to fit: two stage-1 models per inner fold and stage-1 configuration (and what they would be
        without reuse), one stage-2 model per inner fold and trial; then the refit of every compared method with
        every seed."""
        folds = self.params.protocol.inner_folds
        return {
            "stage 1": 2 * folds * self.stage1_configurations,
            "stage 1 without reuse": 2 * folds * self.trials,
            "stage 2": folds * self.trials,
            "refit": len(METHODS) * len(self.params.protocol.seeds),
        }

    @cached_property
    def concurrent(self) -> int:
        """Trials at a time on this machine; 0 when not even one fits."""
        try:
            return self.definition.trials_at_a_time(cpus=cpus_here(), gpus=gpus_here(self.definition))
        except SweepError:
            return 0

    @cached_property
    def estimate(self) -> Estimate:
        """How long it takes on this machine; measured, in a few seconds, where no sweep has been run."""
        return estimate(self)

    def as_dict(self) -> dict[str, Any]:
        """The plan for machines; a continuous space has the size null."""
        speech, eeg = self.split.fold(self.definition.protocol.outer_fold)
        return {
            "definition": self.definition.plain(),
            "trials": self.trials,
            "space_size": None if math.isinf(self.space_size) else int(self.space_size),
            "stage1_configurations": self.stage1_configurations,
            "concurrent": self.concurrent,
            "resources": self.definition.resources.model_dump(mode="json"),
            "max_epochs": self.definition.max_epochs(self.params.method),
            "corpora": list(self.corpora),
            "label_space": self.params.task.label_space,
            "inner_folds": self.params.protocol.inner_folds,
            "seeds": list(self.params.protocol.seeds),
            "held_out": {"speech": list(speech.test), "eeg": list(eeg.test) if eeg else []},
            "fits": self.fits,
            "estimate": {
                "seconds": self.estimate.seconds,
                "worker_seconds": self.estimate.work,
                "source": self.estimate.source,
            },
        }

    def lines(self) -> list[str]:
        """The plan for people, one heading and text per line."""
        rows = self.rows()
        width = max(len(heading) for heading, _ in rows)
        return [f"{heading:<{width}}  {text}" for heading, text in rows]

    def rows(self) -> list[tuple[str, str]]:
        """Headings and texts of :meth:`lines`."""
        d, protocol = self.definition, self.params.protocol
        speech, eeg = self.split.fold(d.protocol.outer_fold)
        size = "continuous" if math.isinf(self.space_size) else f"{self.space_size:g} configurations"
        held_out = f"speakers {', '.join(speech.test)}"
        if eeg is not None:
            held_out += f"; EEG subjects {', '.join(eeg.test)}"
        search_on = f"{_size(self.training)}, {protocol.inner_folds} inner folds"
        return [
            ("sweep", f"{d.name}: {d.description}" if d.description else d.name),
            ("trials", f"{self.trials} by {d.algorithm}, seed {d.seed}{self._limits()}"),
            ("resources", self._resources()),
            ("scheduler", self._scheduler()),
            ("objective", self._objective()),
            ("space", f"{size} over {len(d.space)} settings"),
            *((f"  {key}", str(dimension)) for key, dimension in d.space.items()),
            ("epochs", f"{d.max_epochs(self.params.method)} of stage 2 at most"),
            ("corpora", f"{' and '.join(self.corpora)}, {self.params.task.label_space}"),
            ("search on", search_on),
            ("held out", f"outer fold {d.protocol.outer_fold} of {len(self.split)}: {held_out}"),
            ("fits", self._fits()),
            ("time", self._time()),
        ]

    def _limits(self) -> str:
        budget = self.definition.budget
        named = {"hours": budget.hours, "epochs": budget.epochs}
        return "".join(f"; {value:g} {what} at most" for what, value in named.items() if value is not None)

    def _resources(self) -> str:
        d = self.definition
        text = f"{d.resources.cpus:g} CPU per trial"
        if d.resources.gpus:
            text += f" and {d.resources.gpus:g} GPU"
        text += (
            f"; {self.concurrent} at a time on this machine"
            if self.concurrent
            else "; too much for this machine"
        )
        if d.share < 1:
            text += f", {d.share:.0%} of it at most"
        return text

    def _scheduler(self) -> str:
        d, scheduler = self.definition, self.definition.scheduler
        if d.pbt is not None:
            return f"pbt, every {d.pbt.interval} epochs"
        return {
            "asha": f"asha, from epoch {scheduler.grace_epochs}, keeps 1/{scheduler.reduction} per rung",
            "hyperband": f"hyperband, keeps 1/{scheduler.reduction} per rung",
            "median": f"median, from epoch {scheduler.grace_epochs}",
        }.get(scheduler.name, scheduler.name)

    def _objective(self) -> str:
        objective = self.definition.objective
        text = {"mean": "mean UAR of the inner folds", "lower-bound": "lower bound of the inner folds' UAR"}[
            objective.score
        ]
        return text if objective.cost is None else f"{text}, and the cost of inference (minimised)"

    def _fits(self) -> str:
        fits, seeds = self.fits, ", ".join(map(str, self.params.protocol.seeds))
        stage1 = f"{fits['stage 1']} stage 1"
        if fits["stage 1"] < fits["stage 1 without reuse"]:
            stage1 += f" ({fits['stage 1 without reuse']} without reuse)"
        return f"{stage1}, {fits['stage 2']} stage 2, {fits['refit']} refit (seeds {seeds})"

    def _time(self) -> str:
        found = self.estimate
        text = f"about {duration(found.seconds)} ({duration(found.work)} of work), {found.source}"
        stops = self.definition.scheduler.name != "none"
        return f"{text}; less where trials are stopped early" if stops else text


def plan(project: Project, source: str | Path | SweepDefinition, *, overrides: Sequence[str] = ()) -> Plan:
    """Read and check everything a sweep needs; starts nothing, writes nothing.

    Parameters
    ----------
    source : definition file, name of a shipped definition, or a checked definition.
    overrides : ``KEY=VALUE`` texts (:func:`pipelines.definitions.overrides.override`), for a file or name.

    Raises
    ------
    ConfigError : the definition is invalid, contradicts ``params.yaml`` or the data, or names a fold that the split
        does not have; also where several things are wrong, of whatever kind.
    DataError : features are missing, or are of another version than named.
    ProtocolError : the data cannot carry the folds or the pairing.
    """
    definition = (
        source
        if isinstance(source, SweepDefinition)
        else load_definition(source, overrides=overrides, project=project)
    )
    found = fit(project, definition)
    assert_blind(found.training, found.split, definition.protocol.outer_fold)
    return Plan(project, definition, found.params, found.task, found.split, found.training, found.corpora)


# What is going to run, as plain values ------------------------------------------------------------------


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


def assert_blind(training: TaskData, split: Split, fold: int) -> None:
    """Refuse data for a search that holds any row of the outer fold's groups.

    Raises
    ------
    ProtocolError : a speaker or subject of the outer fold is still there.
    """
    for modality, view, outer in zip(
        ("speech", "eeg"), (training.speech, training.eeg), split.fold(fold), strict=True
    ):
        if view is None or outer is None:
            continue
        seen = sorted({str(group) for group in view.groups} & set(outer.test))
        if seen:
            raise ProtocolError(
                f"groups {', '.join(seen)} of outer fold {fold} would reach the trials",
                where=modality,
                expected="the outer fold's training groups alone",
            )


def data_bytes(task: TaskData) -> int:
    """Size of a task's features in memory."""
    return sum(view.X.nbytes for view in (task.speech, task.eeg) if view is not None)


# Helpers ------------------------------------------------------------------------------------------------


def _size(task: TaskData) -> str:
    parts = [f"{len(task.speech)} utterances of {len(set(task.speech.groups))} speakers"]
    if task.eeg is not None:
        parts.append(f"{len(task.eeg)} EEG rows of {len(set(task.eeg.groups))} subjects")
    return " and ".join(parts)
