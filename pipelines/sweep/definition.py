"""A sweep, as written in a YAML file: what is searched, how, and how much of it.

    name: quick
    trials: 12
    algorithm: optuna
    scheduler: {name: asha, grace_epochs: 5, reduction: 3}
    space:
      stage2.k: {choice: [3, 4, 8]}

All problems of a definition are reported at once, before anything starts. Settings can be overridden by
``key=value`` texts, see :func:`override`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, field_validator

from jmml.config import MethodConfig, PositiveInt, Section, load_yaml, validate
from jmml.errors import ConfigError, nearest
from pipelines.ready_made import ready_made, resolve
from pipelines.sweep import spaces
from pipelines.sweep.search import ALGORITHMS, SCHEDULERS
from pipelines.sweep.spaces import DISTRIBUTIONS, Dimension

_CALL = re.compile(r"(\w+)\((.*)\)")


class SchedulerConfig(Section):
    """``asha`` stops the worst trials early: none before ``grace_epochs`` of stage 2, then, at each rung, all
    but the best 1/``reduction``; ``none`` lets every trial finish."""

    name: str = "asha"
    grace_epochs: PositiveInt = 5
    reduction: Annotated[int, Field(ge=2)] = 3

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        return _registered(name, SCHEDULERS, "scheduler")


class SweepDefinition(Section):
    """One sweep over both stages.

    Attributes
    ----------
    outer_fold : the fold whose groups no trial sees; the best configuration is evaluated on it, once.
    seed : of the search and of every trial, so that trials differ by their configuration alone.
    trials : configurations to try; ``grid`` takes the whole grid and needs at least its size.
    concurrent : trials at the same time, one CPU each; default: all CPUs.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    description: str = ""
    outer_fold: Annotated[int, Field(ge=0)] = 0
    seed: Annotated[int, Field(ge=0)] = 0
    trials: PositiveInt
    concurrent: PositiveInt | None = None
    algorithm: str = "optuna"
    scheduler: SchedulerConfig = Field(default_factory=SchedulerConfig)
    space: Annotated[dict[str, Dimension], Field(min_length=1)]

    @field_validator("algorithm")
    @classmethod
    def _known(cls, name: str) -> str:
        return _registered(name, ALGORITHMS, "algorithm")

    @field_validator("scheduler", mode="before")
    @classmethod
    def _by_name(cls, data: object) -> object:
        return {"name": data} if isinstance(data, str) else data

    def n_trials(self) -> int:
        """Trials that will run: the grid's size for ``grid``, else ``trials``."""
        return int(spaces.size(self.space)) if ALGORITHMS[self.algorithm].finite else self.trials

    def max_epochs(self, base: MethodConfig) -> int:
        """The most stage-2 epochs any trial can run."""
        searched = self.space.get("stage2.epochs")
        return max(int(v) for v in searched.corners() if v) if searched else base.stage2.epochs

    def to_yaml(self) -> str:
        """The definition as a file, overrides included; reading it gives the same definition."""
        data = self.model_dump(mode="json", exclude={"space"})
        data["space"] = {key: {d.kind: list(d.values)} for key, d in self.space.items()}
        return yaml.safe_dump(data, sort_keys=False)


def load_definition(
    source: str | Path, *, overrides: Sequence[str] = (), name: str | None = None
) -> SweepDefinition:
    """Read, override and check a definition.

    Parameters
    ----------
    source : a YAML file, or the name of a definition that ships with the project (:data:`READY_MADE`).
    overrides : texts for :func:`override`.
    name : name of the sweep instead of the definition's.

    Raises
    ------
    ConfigError : everything that is wrong with it, at once.
    """
    path = resolve(source, READY_MADE, what="sweep")
    data = load_yaml(path)
    if not isinstance(data, dict):
        raise ConfigError(["expected a sweep definition with name, trials and space"], where=path)
    problems = [problem for text in overrides if (problem := override(data, text))]
    if name is not None:
        data["name"] = name
    return check(data, where=path, problems=problems)


def check(data: dict[str, Any], *, where: object = None, problems: Sequence[str] = ()) -> SweepDefinition:
    """The definition in ``data``, or one :class:`ConfigError` with ``problems`` and all its own."""
    found = list(problems)
    space = data.get("space")
    named = space if isinstance(space, dict) else {}
    found += [problem for key in named if (problem := spaces.key_problem(key))]
    if space == {}:
        found.append("space: empty, nothing to search; add a setting, e.g. stage2.k: {choice: [2, 4]}")
        data = {**data, "space": {"stage2.k": {"choice": [2, 4]}}}
    definition: SweepDefinition | None = None
    try:
        definition = validate(SweepDefinition, data)
    except ConfigError as error:
        found += error.problems
    # What can be checked of the space is checked even when other parts are wrong.
    valid = {
        key: dimension
        for key, entry in named.items()
        if spaces.key_problem(key) is None and (dimension := _parsed(entry)) is not None
    }
    found += spaces.bound_problems(valid)
    if definition is not None and not found:
        found += _counts(definition)
    if found or definition is None:
        raise ConfigError(found, where=where)
    return definition


def check_against(definition: SweepDefinition, base: MethodConfig) -> None:
    """Check a definition with the settings of a project, which hold wherever it says nothing.

    Raises
    ------
    ConfigError : the scheduler waits longer than trials run, settings contradict each other somewhere in the
        space, or a classifier lacks an option.
    """
    found = spaces.corner_problems(definition.space, base)
    longest, grace = definition.max_epochs(base), definition.scheduler.grace_epochs
    if definition.scheduler.name != "none" and grace > longest:
        found.append(
            f"scheduler.grace_epochs: {grace}, but trials run at most {longest} epochs of stage 2 "
            "(method.stage2.epochs)"
        )
    if found:
        raise ConfigError(found, where=definition.name)


def override(data: dict[str, Any], text: str) -> str | None:
    """Change a definition by one text; what is wrong with the text, or None.

    ``trials=20`` sets a setting of the definition, ``scheduler.grace_epochs=3`` one of its parts,
    ``stage2.k=3,4,8`` makes a setting of the method a choice, ``stage2.lr=loguniform(1e-4,1e-2)`` gives it
    another distribution; a single value, ``stage2.k=4``, fixes it.
    """
    key, equals, value = (part.strip() for part in text.partition("="))
    if not (key and equals and value):
        return f"override '{text}': expected KEY=VALUE, for example trials=20 or stage2.k=3,4,8"
    key = key.removeprefix("space.")
    section, _, name = key.partition(".")
    if section in MethodConfig.model_fields:
        space = data.setdefault("space", {})
        if not isinstance(space, dict):
            return None  # reported where the definition is checked
        call = _CALL.fullmatch(value)
        kind, items = (call[1], call[2]) if call else ("choice", value)
        if kind not in DISTRIBUTIONS:
            return f"override '{text}': unknown distribution '{kind}'; {nearest(kind, DISTRIBUTIONS)}"
        space[key] = {kind: [_scalar(item) for item in items.split(",")]}
    elif section == "scheduler" and name:
        current = data.get("scheduler", {})
        data["scheduler"] = ({"name": current} if isinstance(current, str) else dict(current)) | {
            name: _scalar(value)
        }
    elif name or key == "space" or key not in SweepDefinition.model_fields:
        keys = [*SweepDefinition.model_fields, *(f"scheduler.{k}" for k in SchedulerConfig.model_fields)]
        keys = [k for k in keys if k != "space"] + spaces.valid_keys()
        return f"override '{text}': unknown key '{key}'; {nearest(key, keys)}"
    else:
        data[key] = _scalar(value)
    return None


# Definitions that come with the project, by name.
READY_MADE: dict[str, Path] = ready_made(__file__)


def _counts(definition: SweepDefinition) -> list[str]:
    """Trials against the size of the space, and whether it can be counted."""
    problems = []
    total, algorithm = spaces.size(definition.space), definition.algorithm
    if ALGORITHMS[algorithm].finite:
        endless = [key for key, dimension in definition.space.items() if dimension.size == float("inf")]
        if endless:
            problems.append(
                f"algorithm: {algorithm} cannot enumerate {', '.join(endless)}; "
                "use choice or int there, or algorithm random or optuna"
            )
        elif definition.trials < total:
            problems.append(
                f"trials: {definition.trials} is less than the grid of {total:g} configurations; "
                f"set trials to {total:g}, or use algorithm random"
            )
    elif definition.trials > total:
        problems.append(
            f"trials: {definition.trials}, but the space holds {total:g} configurations; "
            f"set trials to {total:g} or less, or widen the space"
        )
    return problems


def _registered(name: str, registry: dict[str, Any], what: str) -> str:
    if name not in registry:
        raise ValueError(f"unknown {what} '{name}'; {nearest(name, registry)}")
    return name


def _parsed(entry: object) -> Dimension | None:
    try:
        return Dimension.model_validate(entry)
    except ValueError:
        return None


def _scalar(text: str) -> Any:
    """A YAML scalar; 1e-4 is a number here, which YAML 1.1 reads as text."""
    value = yaml.safe_load(text) if text.strip() else ""
    if isinstance(value, str):
        try:
            return float(value) if value.strip() else value
        except ValueError:
            return value
    return value
