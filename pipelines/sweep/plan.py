"""What a sweep is going to do, found out before anything starts."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from jmml.config import MethodName, Params
from jmml.data.splits import Split, inner_folds
from jmml.errors import ConfigError, ProtocolError
from jmml.task import TaskData, training_part
from pipelines.project import Project
from pipelines.sweep import spaces
from pipelines.sweep.definition import SweepDefinition, check_against, load_definition
from pipelines.task import read_split, read_task

METHODS: tuple[MethodName, ...] = ("raw", "jec-ssl", "jmml", "one-hot")


@dataclass(frozen=True)
class Plan:
    """A checked definition with the data it will run on.

    Attributes
    ----------
    training : the task without the groups of the outer fold, all that trials ever see.
    concurrent : trials at the same time, one CPU each.
    """

    definition: SweepDefinition
    params: Params
    task: TaskData
    split: Split
    training: TaskData
    concurrent: int

    @property
    def trials(self) -> int:
        return self.definition.n_trials()

    @property
    def space_size(self) -> float:
        """Number of configurations, infinite with a continuous setting."""
        return spaces.size(self.definition.space)

    @property
    def fits(self) -> dict[str, int]:
        """Models to fit: two stage-1 models and one stage-2 model per trial and inner fold, then the refit of
        every compared method with every seed."""
        inner = self.trials * self.params.protocol.inner_folds
        return {
            "stage 1": 2 * inner,
            "stage 2": inner,
            "refit": len(METHODS) * len(self.params.protocol.seeds),
        }

    def as_dict(self) -> dict[str, Any]:
        """The plan for machines; a continuous space has the size null."""
        speech, eeg = self.split.fold(self.definition.outer_fold)
        return {
            "definition": yaml.safe_load(self.definition.to_yaml()),
            "trials": self.trials,
            "space_size": None if math.isinf(self.space_size) else int(self.space_size),
            "concurrent": self.concurrent,
            "max_epochs": self.definition.max_epochs(self.params.method),
            "inner_folds": self.params.protocol.inner_folds,
            "seeds": list(self.params.protocol.seeds),
            "held_out": {"speech": list(speech.test), "eeg": list(eeg.test) if eeg else []},
            "fits": self.fits,
        }

    def lines(self) -> list[str]:
        """The plan for people, one heading and text per line."""
        rows = self.rows()
        width = max(len(heading) for heading, _ in rows)
        return [f"{heading:<{width}}  {text}" for heading, text in rows]

    def rows(self) -> list[tuple[str, str]]:
        """Headings and texts of :meth:`lines`."""
        d, protocol = self.definition, self.params.protocol
        speech, eeg = self.split.fold(d.outer_fold)
        size = "continuous" if math.isinf(self.space_size) else f"{self.space_size:g} configurations"
        scheduler = d.scheduler.name
        if scheduler != "none":
            scheduler += f", from epoch {d.scheduler.grace_epochs}, keeps 1/{d.scheduler.reduction} per rung"
        held_out = f"speakers {', '.join(speech.test)}"
        if eeg is not None:
            held_out += f"; EEG subjects {', '.join(eeg.test)}"
        seeds = ", ".join(map(str, protocol.seeds))
        return [
            ("sweep", f"{d.name}: {d.description}" if d.description else d.name),
            (
                "trials",
                f"{self.trials} by {d.algorithm}, seed {d.seed}; {self.concurrent} at a time, 1 CPU each",
            ),
            ("scheduler", scheduler),
            ("space", f"{size} over {len(d.space)} settings"),
            *((f"  {key}", str(dimension)) for key, dimension in d.space.items()),
            ("epochs", f"{d.max_epochs(self.params.method)} of stage 2 at most"),
            ("search on", f"{_size(self.training)}, {protocol.inner_folds} inner folds"),
            ("held out", f"outer fold {d.outer_fold} of {len(self.split)}: {held_out}"),
            ("fits", ", ".join(f"{count} {what}" for what, count in self.fits.items()) + f" (seeds {seeds})"),
        ]


def plan(project: Project, source: str | Path | SweepDefinition, *, overrides: Sequence[str] = ()) -> Plan:
    """Read and check everything a sweep needs; starts nothing, writes nothing.

    Parameters
    ----------
    source : definition file, name of a shipped definition, or a checked definition.
    overrides : ``KEY=VALUE`` texts (:func:`pipelines.sweep.definition.override`), for a file or name.

    Raises
    ------
    ConfigError : the definition is invalid, or names a fold that the split does not have.
    DataError, ProtocolError : the features or the split are missing, or cannot carry the inner folds.
    """
    params = project.params
    definition = _definition(source, overrides)
    check_against(definition, params.method)
    if params.task.eeg is None:
        raise ProtocolError("a sweep searches both stages and needs EEG", fix="set task.eeg in params.yaml")
    task = read_task(project)
    split = read_split(project, task)
    if definition.outer_fold >= len(split):
        raise ConfigError(
            [f"outer_fold: {definition.outer_fold}, but the split has folds 0 to {len(split) - 1}"],
            where=definition.name,
        )
    training = training_part(task, split, definition.outer_fold)
    assert_blind(training, split, definition.outer_fold)
    for where, view in (("speech", training.speech), ("eeg", training.eeg)):
        assert view is not None
        inner_folds(
            view.groups, view.y, n_folds=params.protocol.inner_folds, seed=definition.seed, where=where
        )
    wanted = definition.concurrent or os.cpu_count() or 1
    return Plan(definition, params, task, split, training, min(wanted, definition.n_trials()))


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


def _definition(source: str | Path | SweepDefinition, overrides: Sequence[str]) -> SweepDefinition:
    if isinstance(source, SweepDefinition):
        return source
    return load_definition(source, overrides=overrides)


def _size(task: TaskData) -> str:
    parts = [f"{len(task.speech)} utterances of {len(set(task.speech.groups))} speakers"]
    if task.eeg is not None:
        parts.append(f"{len(task.eeg)} EEG rows of {len(set(task.eeg.groups))} subjects")
    return " and ".join(parts)
