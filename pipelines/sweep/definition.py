"""A sweep, as written in a YAML file: what is searched, how, on which data, and how much of it.

    name: quick
    algorithm: tpe
    scheduler: {name: asha, grace_epochs: 5, reduction: 3}
    budget: {trials: 12}
    space:
      stage2.k: {choice: [3, 4, 8]}

Whatever a definition does not name keeps its value from ``params.yaml``. All problems of a definition are reported at
once, before anything starts. Settings can be overridden by ``key=value`` texts, see
:func:`pipelines.sweep.overrides.override`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from jmml.config import (
    LabelSpace,
    MethodConfig,
    Normalisation,
    PositiveFloat,
    PositiveInt,
    Section,
    load_yaml,
    matching,
    validate,
)
from jmml.errors import ConfigError, SweepError, nearest
from pipelines.ready_made import ready_made, resolve
from pipelines.sweep import checks, spaces
from pipelines.sweep.overrides import override
from pipelines.sweep.search import ALGORITHMS, GRACEFUL, SCHEDULERS
from pipelines.sweep.spaces import Dimension

if TYPE_CHECKING:
    from pipelines.project import Project

Seed = Annotated[int, Field(ge=0)]
Version = Annotated[str, matching(r"[0-9a-f]{6,64}", "6 to 64 hexadecimal digits in lower case")]


def _each_once(values: list[int]) -> list[int]:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"{', '.join(map(str, twice))} is named more than once")
    return values


class CorpusRef(Section):
    """A corpus of ``params.yaml``, by its bare name or with the version that is meant.

    Without a ``name`` it is that of the project's task. ``version`` is the beginning (6 hexadecimal digits or more) of
    the hash that DVC has of its features or of its recordings, or of the digest of the features' content.
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
    inner_folds: Annotated[int, Field(ge=2)] | None = None
    normalisation: Normalisation | None = None
    seeds: Annotated[list[Seed], Field(min_length=1), AfterValidator(_each_once)] | None = None
    outer_fold: Annotated[int, Field(ge=0)] = 0


class SchedulerConfig(Section):
    """Which trials end early, by their score so far; ``none`` lets every trial finish.

    ``asha`` stops, at each rung from ``grace_epochs`` of stage 2 on, all but the best 1/``reduction``; ``hyperband``
    does so in brackets that begin earlier and later (``grace_epochs`` is not used); ``median`` stops, after
    ``grace_epochs``, trials below the median of the others at that epoch (``reduction`` is not used).
    """

    name: str = "asha"
    grace_epochs: PositiveInt = 5
    reduction: Annotated[int, Field(ge=2)] = 3

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
    """What one trial takes; fractions share a CPU or GPU between trials."""

    cpus: PositiveFloat = 1.0
    gpus: Annotated[float, Field(ge=0)] = 0.0

    @field_validator("gpus")
    @classmethod
    def _whole(cls, gpus: float) -> float:
        if gpus > 1 and gpus != int(gpus):
            raise ValueError(f"expected a fraction below 1 or a whole number, got {gpus:g}")
        return gpus


class Objective(Section):
    """What is searched for.

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
                    f"a trial takes {wanted:g} {what}, and there are {there:g}{part}",
                    where=f"sweep {self.name}",
                    fix=f"lower resources.{what.lower()}"
                    + (", raise share" if self.share < 1 else "")
                    + ", or use a larger cluster (--address)",
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
        data["space"] = {key: {d.kind: list(d.values)} for key, d in self.space.items()}
        return data

    def to_yaml(self) -> str:
        """The definition as a file, overrides included; reading it gives the same definition."""
        return yaml.safe_dump(self.plain(), sort_keys=False)


def load_definition(
    source: str | Path,
    *,
    overrides: Sequence[str] = (),
    name: str | None = None,
    project: Project | None = None,
) -> SweepDefinition:
    """Read, override and check a definition.

    Parameters
    ----------
    source : a YAML file, or the name of a definition that ships with the project (:data:`READY_MADE`).
    overrides : texts for :func:`pipelines.sweep.overrides.override`.
    name : name of the sweep instead of the definition's.
    project : where it is to run. A definition that is wrong is compared with it as well, as far as can be; one that
        is right is compared when it is planned (:func:`pipelines.sweep.plan.plan`).

    Raises
    ------
    ConfigError : everything that is wrong with it, at once.
    """
    path = resolve(source, READY_MADE, what="sweep")
    data = load_yaml(path)
    if not isinstance(data, dict):
        raise ConfigError(["expected a sweep definition with name, budget and space"], where=path)
    written = copy.deepcopy(data)
    problems = [problem for text in overrides if (problem := override(data, text, keys=KEYS))]
    if name is not None:
        data["name"] = name
    try:
        return check(data, problems=problems, project=project)
    except ConfigError as error:
        raise _blamed(error.problems, _problems(written, project), path, name) from None


def _problems(data: dict[str, Any], project: Project | None) -> list[str]:
    try:
        check(data, project=project)
    except ConfigError as error:
        return error.problems
    return []


def _blamed(problems: Sequence[str], written: Sequence[str], path: Path, name: str | None) -> ConfigError:
    """Problems of a definition with overrides: ``written`` are those that the file has by itself."""

    def blamed(problem: str) -> str:
        if problem in written:
            return str(path)
        return "--name" if name is not None and problem.startswith("name:") else "-s"

    origins = {blamed(problem) for problem in problems}
    if len(origins) == 1:
        return ConfigError(problems, where=origins.pop())
    return ConfigError([f"{blamed(problem)}: {problem}" for problem in problems])


def check(
    data: dict[str, Any],
    *,
    where: object = None,
    problems: Sequence[str] = (),
    project: Project | None = None,
) -> SweepDefinition:
    """The definition in ``data``, or one :class:`ConfigError` with ``problems`` and all its own.

    A ``project`` is asked only where something is wrong, so that all of it is said together.
    """
    data, found = _spelt_out(data)
    found += problems
    space = data.get("space")
    named = space if isinstance(space, dict) else {}
    found += [problem for key in named if (problem := spaces.key_problem(key))]
    if space == {}:
        found.append("space: empty, nothing to search; add a setting, e.g. stage2.k: {choice: [2, 4]}")
        data = {**data, "space": _ANY_SPACE}
    definition: SweepDefinition | None = None
    keys: set[str] = set()
    try:
        definition = validate(SweepDefinition, data)
    except ConfigError as error:
        found += [problem for problem in error.problems if ".[key]:" not in problem]  # said above
        keys = {problem.partition(":")[0] for problem in error.problems}
    wrong = {key.partition(".")[0] for key in keys}
    # What can be checked is checked even where other parts are wrong: those take their defaults meanwhile.
    valid = {
        key: dimension
        for key, entry in named.items()
        if spaces.key_problem(key) is None and (dimension := _parsed(entry)) is not None
    }
    beyond = spaces.bound_problems(valid)
    found += beyond
    keys |= {problem.partition(":")[0] for problem in beyond}
    if len(valid) < len(named) or not named:
        wrong.add("space")
        keys.add("space.")
    stand_in = definition or _stand_in(data, keys, valid)
    found += checks.contradictions(stand_in, wrong)
    if project is not None and (found or definition is None):
        from pipelines.sweep.fitting import misfits

        found += misfits(project, stand_in, keys)
    if found or definition is None:
        raise ConfigError(list(dict.fromkeys(found)), where=where)
    return definition


def check_against(definition: SweepDefinition, base: MethodConfig, wrong: Collection[str] = ()) -> None:
    """Check a definition with the settings of a project, which hold wherever it says nothing.

    Nothing is said of the keys in ``wrong``, or of what depends on them.

    Raises
    ------
    ConfigError : the scheduler waits longer than trials run, settings contradict each other somewhere in the
        space, or a classifier lacks an option.
    """
    space_is_wrong = any(key.startswith("space") for key in wrong)
    found = [] if space_is_wrong else spaces.corner_problems(definition.space, base)
    longest, scheduler = definition.max_epochs(base), definition.scheduler
    runs = f"but trials run at most {longest} epochs of stage 2 (method.stage2.epochs)"
    if scheduler.name in GRACEFUL and scheduler.grace_epochs > longest:
        found.append(f"scheduler.grace_epochs: {scheduler.grace_epochs}, {runs}")
    if definition.pbt is not None and definition.pbt.interval >= longest:
        found.append(f"pbt.interval: {definition.pbt.interval}, {runs}, so that nothing would ever change")
    if definition.scheduler.name == "hyperband" and longest < scheduler.reduction:
        found.append(f"scheduler.reduction: {scheduler.reduction}, {runs}")
    if definition.budget.epochs is not None and definition.budget.epochs < longest:
        found.append(
            f"budget.epochs: {definition.budget.epochs}, but one trial alone runs {longest} epochs of stage 2"
        )
    if {"space", "space.stage2.epochs"} & set(wrong):  # how long trials run is not known
        found = []
    if "scheduler.name" in wrong:
        found = [text for text in found if not text.startswith("scheduler.")]
    found = [text for text in found if not {text.partition(":")[0], text.partition(".")[0]} & set(wrong)]
    if found:
        raise ConfigError(found, where=definition.name)


# The keys of a definition, and the parts of those that have some.
SECTIONS: dict[str, type[Section] | None] = {
    **dict.fromkeys(SweepDefinition.model_fields),
    "corpora": CorporaConfig,
    "protocol": SweepProtocol,
    "scheduler": SchedulerConfig,
    "pbt": PBTConfig,
    "budget": Budget,
    "resources": Resources,
    "objective": Objective,
}
KEYS: dict[str, list[str]] = {
    key: list(model.model_fields) if model else [] for key, model in SECTIONS.items()
}

# Definitions that come with the project, by name.
READY_MADE: dict[str, Path] = ready_made(__file__)

_ANY_SPACE: dict[str, Any] = {"stage2.k": {"choice": [2, 4]}}


def _spelt_out(data: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """``trials`` as ``budget.trials``, sections that say nothing left out; what cannot be read."""
    data = {
        key: value
        for key, value in data.items()
        if value is not None or key not in SECTIONS or key == "space"
    }
    found = []
    trials = data.pop("trials", None)
    if trials is not None:
        budget = data.get("budget", {})
        if isinstance(budget, dict) and budget.get("trials") is not None:
            found.append("trials: given twice, here and in budget; keep one")
        elif isinstance(budget, dict):
            data["budget"] = {**budget, "trials": trials}
    if "outer_fold" in data:
        found.append(
            f"outer_fold: belongs to protocol; write protocol: {{outer_fold: {data.pop('outer_fold')}}}"
        )
    return data, found


def _stand_in(data: dict[str, Any], wrong: Collection[str], valid: dict[str, Dimension]) -> SweepDefinition:
    """A definition of all that is right in one whose keys ``wrong`` are not; sections that stay wrong are left out."""
    space = {key: {d.kind: list(d.values)} for key, d in valid.items()} or _ANY_SPACE
    right = {key: value for key, value in data.items() if key in SECTIONS and key not in wrong}
    right |= {"space": space, "name": "stand-in"}
    for key in wrong:
        if key.partition(".")[0] not in ("space", "name"):
            _drop(right, key.split("."))
    try:
        return SweepDefinition.model_validate(right)
    except ValidationError as error:
        still = {item["loc"][0] for item in error.errors() if item["loc"]}
        return SweepDefinition.model_validate({k: v for k, v in right.items() if k not in still})


def _drop(data: dict[str, Any], path: Sequence[str]) -> None:
    """Take the entry at ``path`` out, or the innermost one on the way that is there; copies what it changes."""
    head, *rest = path
    inner = data.get(head)
    if rest and isinstance(inner, dict) and rest[0] in inner:
        data[head] = dict(inner)
        _drop(data[head], rest)
    else:
        data.pop(head, None)


def _parsed(entry: object) -> Dimension | None:
    try:
        return Dimension.model_validate(entry)
    except ValueError:
        return None
