"""Plan of a sweep: its definition, checked, with the data it will run on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from jmml.config import MethodName, Params
from jmml.data.splits import Split
from jmml.errors import ProtocolError, SweepError
from jmml.task import TaskData
from pipelines.compute.machine import cpus_here, gpus_here
from pipelines.definitions import spaces
from pipelines.sweep.definition.fit import fit
from pipelines.sweep.definition.model import SweepDefinition
from pipelines.sweep.definition.reading import load_definition
from pipelines.workspace.project import Project

METHODS: tuple[MethodName, ...] = ("raw", "jec-ssl", "jmml", "one-hot")
STAGE1 = "stage1."


@dataclass(frozen=True)
class Plan:
    """A checked definition with the data it will run on.

    Attributes
    ----------
    params : the project's settings with those that the definition names.
    training : the task without the groups of the outer fold, all that trials ever see.
    project : its corpora as they are read, some of them perhaps at a revision.
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
            return self.definition.trials_at_a_time(
                cpus=cpus_here(), gpus=gpus_here(self.definition.resources.gpus)
            )
        except SweepError:
            return 0


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
    return Plan(
        found.project, definition, found.params, found.task, found.split, found.training, found.corpora
    )


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
