"""Plan of a study, made before anything starts: data, folds, candidates, cells."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from jmml.config import Params, digest
from jmml.errors import ConfigError, JMMLError
from pipelines.cache.cells import CellStore, Key, parts, shared_parts
from pipelines.definitions import spaces
from pipelines.reporting.wording import many, rough_duration
from pipelines.study.define.checks import merged, settings_problems
from pipelines.study.define.model import StudyDefinition
from pipelines.study.define.reading import load_definition
from pipelines.study.define.tasks import PlannedTask, draw_candidates, inner_folds, plan_task
from pipelines.workspace.fingerprint import code_digest
from pipelines.workspace.project import CorpusVersion, Project

RAY_STARTS = "starting Ray adds about 20 s"
SAMPLE_OF_CELLS = 500  # the newest ones, from which the time is estimated


@dataclass(frozen=True)
class Block:
    """The missing cells of one task, fold and seed: computed one after another by one worker, with shared
    stage-1 models."""

    task: str
    fold: int
    seed: int
    cells: tuple[Key, ...]


@dataclass(frozen=True)
class StudyPlan:
    """A checked definition with its data, its cells and what is known of them.

    Attributes
    ----------
    drawn : what each candidate but the first, which holds the defaults, sets besides them.
    cells : every cell of the study, in the order of task, seed, fold, method.
    cached : digests of those that are there; ``damaged`` ones are not, whatever lies in their folder.
    seconds : per method, mean seconds per model fit and 1000 rows in cells computed before.
    """

    definition: StudyDefinition
    params: Params
    tasks: Mapping[str, PlannedTask]
    drawn: tuple[spaces.Configuration, ...]
    cells: tuple[Key, ...]
    cached: frozenset[str]
    damaged: tuple[str, ...]
    seconds: Mapping[str, float]
    inner_folds: int
    code: str
    workers: int

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits of all that determines the published results."""
        kept = {k: v for k, v in self.definition.plain().items() if k != "description"}
        return digest({"definition": kept, "cells": [[key.task, key.digest] for key in self.cells]})

    @property
    def missing(self) -> tuple[Key, ...]:
        """The cells to compute; one that two tasks share occurs once."""
        return tuple({key.digest: key for key in self.cells if key.digest not in self.cached}.values())

    @property
    def corpora(self) -> list[str | CorpusVersion]:
        """Corpora of ``params.yaml`` that the study reads, by name or at a revision."""
        return list(dict.fromkeys(name for task in self.tasks.values() for name in task.corpora))

    def blocks(self) -> list[Block]:
        """The missing cells, by task, seed and fold."""
        grouped: dict[tuple[str, int, int], list[Key]] = {}
        for key in self.missing:
            grouped.setdefault((key.task, key.fold, key.seed), []).append(key)
        return [Block(*place, tuple(keys)) for place, keys in grouped.items()]

    def expected_seconds(self, keys: Iterable[Key]) -> float | None:
        """Seconds that one worker needs for ``keys``, by what their methods took before; None when one of
        the methods has never been run."""
        total = 0.0
        for key in keys:
            if key.method not in self.seconds:
                return None
            total += self.seconds[key.method] * _work(key.parts)
        return total

    @property
    def time(self) -> str:
        """How long the missing cells are going to take, in words."""
        missing = self.missing
        if not missing:
            return "nothing to compute"
        unknown = sorted({key.method for key in missing} - set(self.seconds))
        if unknown:
            names = ", ".join(unknown) if len(unknown) < 5 else f"{len(unknown)} of the methods"
            return f"no estimate: no cached cell yet of {names}; {RAY_STARTS}"
        expected = self.expected_seconds(missing)
        assert expected is not None
        # A worker takes a whole block; fewer blocks than workers leave some idle.
        busy = min(self.workers, len(self.blocks()))
        workers = many(busy, "worker")
        return f"about {rough_duration(expected / busy)} on {workers}, by the cells computed before; {RAY_STARTS}"


def plan(
    project: Project,
    source: str | Path | StudyDefinition,
    *,
    overrides: Sequence[str] = (),
    workers: int | None = None,
    recompute: bool = False,
) -> StudyPlan:
    """Read and check everything a study needs; starts nothing, writes nothing.

    Parameters
    ----------
    source : definition file, name of a shipped definition, or a checked definition.
    overrides : ``KEY=VALUE`` texts (:func:`pipelines.definitions.overrides.override`), for a file or name.
    workers : blocks computed at the same time; default: the number of CPUs.
    recompute : count no cell as cached.

    Raises
    ------
    ConfigError : the definition is invalid, or does not fit ``params.yaml`` (all problems at once).
    DataError, ProtocolError : features are missing, or the data cannot carry the folds.
    """
    base = project.params.method
    if isinstance(source, StudyDefinition):
        definition = source
        if problems := settings_problems(definition.model_copy(update={"tasks": {}}), base):
            raise ConfigError(problems, where=f"study {definition.name}")
    else:
        definition = load_definition(source, overrides=overrides, base=base)
    drawn = draw_candidates(definition, merged(base, definition.method))
    tasks: dict[str, PlannedTask] = {}
    failed: list[tuple[str, JMMLError]] = []
    for name, task in definition.tasks.items():
        try:
            tasks[name] = plan_task(project, definition, drawn, name, task)
        except JMMLError as error:
            failed.append((name, error))
    if len(failed) == 1 and not isinstance(failed[0][1], ConfigError):
        raise failed[0][1]
    if failed:
        problems = [
            f"task {name}: {problem}"
            for name, error in failed
            for problem in (error.problems if isinstance(error, ConfigError) else error.lines)
        ]
        raise ConfigError(list(dict.fromkeys(problems)), where=f"study {definition.name}")
    code, inner = code_digest(), inner_folds(definition, project.params)
    cells = tuple(_cells(definition, tasks, inner, project.params.device, code))
    store = CellStore.of(project.root)
    states = {name: store.state(name) for name in {key.digest for key in cells}}
    return StudyPlan(
        definition,
        project.params,
        tasks,
        drawn,
        cells,
        cached=frozenset(name for name, state in states.items() if state == "" and not recompute),
        damaged=tuple(sorted(state for state in states.values() if state)),
        seconds=_seconds(store, definition.methods),
        inner_folds=inner,
        code=code,
        workers=workers or os.cpu_count() or 1,
    )


# Cells -------------------------------------------------------------------------------------------------


def _cells(
    definition: StudyDefinition, tasks: Mapping[str, PlannedTask], inner_folds: int, device: str, code: str
) -> Iterator[Key]:
    for name, task in tasks.items():
        shared = shared_parts(
            task.data, task.split, task.candidates, inner_folds=inner_folds, device=device, code=code
        )
        for seed in definition.seeds:
            for fold in range(len(task.split)):
                first = fold == 0 and seed == definition.seeds[0]
                audited = definition.audit == "all" or (definition.audit == "sample" and first)
                for method in definition.methods:
                    made_of = parts(shared, method=method, fold=fold, seed=seed, audited=audited)
                    yield Key(name, method, fold, seed, made_of)


def _work(made_of: Mapping[str, Any]) -> float:
    """Size of a cell: model fits times thousands of rows."""
    fits = (len(made_of["candidates"]) * made_of["inner_folds"] + 1) * (1 + made_of["audited"])
    return float(fits * made_of["task"]["speech"]["rows"] / 1000)


def _seconds(store: CellStore, methods: Sequence[str]) -> dict[str, float]:
    total: defaultdict[str, float] = defaultdict(float)
    work: defaultdict[str, float] = defaultdict(float)
    for record in store.newest(SAMPLE_OF_CELLS):
        seconds = record["metrics"].get("seconds")
        if record["method"] in methods and isinstance(seconds, int | float) and math.isfinite(seconds):
            total[record["method"]] += seconds
            work[record["method"]] += _work(record["parts"])
    return {method: total[method] / work[method] for method in total if work[method] > 0}
