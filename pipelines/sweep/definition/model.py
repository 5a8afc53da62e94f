"""A sweep, as written in a YAML file: what is searched, how, on which data, and how much of it.

    name: quick
    algorithm: tpe
    scheduler: {name: asha, grace_epochs: 5, reduction: 3}
    budget: {trials: 12}
    space:
      stage2.k: {choice: [3, 4, 8]}

Whatever a definition does not name keeps its value from ``params.yaml``. How one is read and checked is in
:mod:`pipelines.sweep.definition.reading`.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, Field, field_validator, model_validator

from jmml.config import (
    Disjoint,
    LabelSpace,
    MethodConfig,
    Normalisation,
    PositiveFloat,
    PositiveInt,
    Section,
    matching,
)
from jmml.errors import SweepError, nearest
from pipelines.definitions import spaces
from pipelines.definitions.revisions import AtRevision
from pipelines.definitions.spaces import Dimension
from pipelines.sweep.definition.choices import ALGORITHMS, SCHEDULERS

Seed = Annotated[int, Field(ge=0)]
Version = Annotated[str, matching(r"[0-9a-f]{6,64}", "6 to 64 hexadecimal digits in lower case")]


def _each_once(values: list[int]) -> list[int]:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"{', '.join(map(str, twice))} is named more than once")
    return values


class CorpusRef(AtRevision):
    """A corpus of ``params.yaml``, by its bare name or with the version that is meant.

    Without a ``name`` it is that of the project's task. ``version`` is the beginning (6 hexadecimal digits or more) of
    the hash that DVC has of its features or of its recordings, or of the digest of the features' content: what is there
    must be that. ``rev`` is a git revision or tag: its recordings as they were then are read, beside the work tree.
    """

    name: str | None = None
    version: Version | None = None


class CorporaConfig(Section):
    """The data of the sweep; a modality that is left out is that of the project's task."""

    speech: CorpusRef | None = None
    eeg: CorpusRef | None = None

    @field_validator("speech", "eeg", mode="before")
    @classmethod
    def _by_name(cls, data: object) -> object:
        return {"name": data} if isinstance(data, str) else data


class SweepProtocol(Section):
    """How trials are scored; what is left out is that of ``protocol`` and ``task`` in ``params.yaml``.

    Attributes
    ----------
    seeds : of the refit of the best configuration.
    outer_fold : the fold whose groups no trial sees; the best configuration is evaluated on it, once.
    """

    label_space: LabelSpace | None = None
    groups_per_fold: PositiveInt | None = None
    disjoint: Disjoint | None = Field(
        default=None, exclude_if=lambda keys: keys is None
    )  # as definitions were
    inner_folds: Annotated[int, Field(ge=2)] | None = None
    normalisation: Normalisation | None = None
    seeds: Annotated[list[Seed], Field(min_length=1), AfterValidator(_each_once)] | None = None
    outer_fold: Annotated[int, Field(ge=0)] = 0


class SchedulerConfig(Section):
    """Which trials end early, by their score so far; ``none`` lets every trial finish.

    ``asha`` stops, at each rung from ``grace_epochs`` of stage 2 on, all but the best 1/``reduction``; ``hyperband``
    does so in brackets that begin earlier and later (``grace_epochs`` is not used); ``median`` stops, after
    ``grace_epochs``, trials below the median of the others at that epoch (``reduction`` is not used).

    ``asha`` and ``median`` compare a trial with all trials before it, and it waits until it is known what they have
    reached. Without ``wait`` it is compared with whatever is there, so that timing decides which trials are stopped.
    """

    name: str = "asha"
    grace_epochs: PositiveInt = 5
    reduction: Annotated[int, Field(ge=2)] = 3
    wait: bool = True

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in SCHEDULERS:
            raise ValueError(f"unknown scheduler '{name}'; {nearest(name, SCHEDULERS)}")
        return name


class PBTConfig(Section):
    """Population based training: every ``interval`` epochs of stage 2 the worst quarter of the trials goes on from a
    copy of one of the best quarter, with settings that differ a little."""

    interval: PositiveInt = 5


class Budget(Section):
    """How much is tried: the sweep ends with the first of these that is used up.

    Attributes
    ----------
    trials : configurations; ``grid`` takes the whole grid and may leave it out.
    hours : of work, all sessions together.
    epochs : of stage 2, all trials together.
    """

    trials: PositiveInt | None = None
    hours: PositiveFloat | None = None
    epochs: PositiveInt | None = None


class Resources(Section):
    """Resources of one trial; fractions share a CPU or GPU between trials."""

    cpus: PositiveFloat = 1.0
    gpus: Annotated[float, Field(ge=0)] = 0.0

    @field_validator("gpus")
    @classmethod
    def _whole(cls, gpus: float) -> float:
        if gpus > 1 and gpus != int(gpus):
            raise ValueError(f"expected a fraction below 1 or a whole number, got {gpus:g}")
        return gpus


class Objective(Section):
    """Objective of the search.

    Attributes
    ----------
    score : mean UAR of the inner folds, or a lower confidence bound of it, which prefers even folds.
    cost : a second objective that is minimised: ``inference``, the multiply-adds per utterance.
    """

    score: Literal["mean", "lower-bound"] = "mean"
    cost: Literal["inference"] | None = None


class SweepDefinition(Section):
    """One sweep over both stages and the classifier.

    Attributes
    ----------
    seed : of the search and of every trial, so that trials differ by their configuration alone.
    concurrent : trials at the same time; default: as many as fit.
    share : part of the CPUs and GPUs of the cluster that this sweep takes at most.
    lag : proposal n knows the results of the trials 1 to n - lag and of no other, so that timing cannot change a
        sweep; at most so many trials run at the same time where the algorithm learns from results.
    """

    name: Annotated[
        str,
        matching(
            r"[a-z0-9][a-z0-9_-]{0,63}",
            "lower-case letters, digits, - and _, a letter or digit first, 64 characters at most",
        ),
    ]
    description: str = ""
    corpora: CorporaConfig = Field(default_factory=CorporaConfig)
    protocol: SweepProtocol = Field(default_factory=SweepProtocol)
    seed: Seed = 0
    algorithm: str = "tpe"
    scheduler: SchedulerConfig = Field(default_factory=SchedulerConfig)
    pbt: PBTConfig | None = None
    budget: Budget = Field(default_factory=Budget)
    resources: Resources = Field(default_factory=Resources)
    concurrent: PositiveInt | None = None
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    lag: PositiveInt = 8
    objective: Objective = Field(default_factory=Objective)
    space: Annotated[dict[str, Dimension], Field(min_length=1)]

    @field_validator("algorithm")
    @classmethod
    def _known(cls, name: str) -> str:
        if name == "optuna":
            raise ValueError("'optuna' is called tpe now (cma-es is there as well); write algorithm: tpe")
        if name not in ALGORITHMS:
            raise ValueError(f"unknown algorithm '{name}'; {nearest(name, ALGORITHMS)}")
        return name

    @field_validator("scheduler", mode="before")
    @classmethod
    def _by_name(cls, data: object) -> object:
        return {"name": data} if isinstance(data, str) else data

    @model_validator(mode="before")
    @classmethod
    def _of_a_population(cls, data: object) -> object:
        """Population based training is a scheduler itself; nothing else has its settings."""
        if isinstance(data, dict) and data.get("algorithm") == "pbt":
            return {"scheduler": "none", "pbt": {}} | {k: v for k, v in data.items() if v is not None}
        return data

    def n_trials(self) -> int:
        """Trials that will run: the grid's size for ``grid``, else those of the budget."""
        if ALGORITHMS[self.algorithm].finite:
            return int(spaces.size(self.space))
        assert self.budget.trials is not None  # checked
        return self.budget.trials

    def max_epochs(self, base: MethodConfig) -> int:
        """The most stage-2 epochs any trial can run."""
        searched = self.space.get("stage2.epochs")
        return max(int(v) for v in searched.corners() if v) if searched else base.stage2.epochs

    def trials_at_a_time(self, *, cpus: float, gpus: float, trials: int | None = None) -> int:
        """How many of ``trials`` (default: all) run at the same time where there are so many CPUs and GPUs.

        Raises
        ------
        SweepError : not even one fits; the message says what there is.
        """
        fitting = math.inf
        for what, there, wanted in (("CPUs", cpus, self.resources.cpus), ("GPUs", gpus, self.resources.gpus)):
            if not wanted:
                continue
            if self.share * there + 1e-9 < wanted:
                part = (
                    "" if self.share == 1 else f", of which this sweep takes {self.share:g} at most (share)"
                )
                raise SweepError(
                    f"a trial takes {wanted:g} {what if wanted != 1 else what[:-1]}, and there are {there:g}{part}",
                    where=f"sweep {self.name}",
                    fix=(
                        f"lower resources.{what.lower()}" if there else f"leave resources.{what.lower()} out"
                    )
                    + (", raise share" if self.share < 1 else "")
                    + f", or use a {'larger cluster' if there else f'cluster that has {what}'} (--address)",
                )
            fitting = min(fitting, math.floor(self.share * there / wanted + 1e-9))
        if ALGORITHMS[self.algorithm].learns:
            fitting = min(fitting, self.lag)
        return int(min(fitting, self.concurrent or math.inf, trials or self.n_trials()))

    def plain(self) -> dict[str, Any]:
        """The definition as plain values, the space as it is written in a file."""
        data = self.model_dump(mode="json", exclude={"space"})
        if self.pbt is None:
            del data["pbt"]
        if self.scheduler.wait:  # a definition says only that it does not
            del data["scheduler"]["wait"]
        data["space"] = {key: {d.kind: list(d.values)} for key, d in self.space.items()}
        return data

    def to_yaml(self) -> str:
        """The definition as a file, overrides included; reading it gives the same definition."""
        return yaml.safe_dump(self.plain(), sort_keys=False)
