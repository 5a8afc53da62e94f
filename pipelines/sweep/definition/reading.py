"""How a sweep's definition is read and checked; see :mod:`pipelines.definitions.reading`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.definitions import checks, reading
from pipelines.definitions.overrides import Keys
from pipelines.definitions.reading import Kind
from pipelines.definitions.shipped import ready_made
from pipelines.sweep.definition.checks import contradictions, trials_missing
from pipelines.sweep.definition.choices import ALGORITHMS
from pipelines.sweep.definition.model import SweepDefinition

if TYPE_CHECKING:
    from pipelines.workspace.project import Project

# Definitions that come with the project, by name.
READY_MADE: dict[str, Path] = ready_made(str(Path(__file__).parent))
KEYS = Keys(
    SweepDefinition,
    space="space",
    example="budget.trials=20 or stage2.k=3,4,8",
    short={"trials": "budget.trials"},
    settings=True,
)
GUIDE = "docs/sweeps.md"


def form(data: dict[str, Any]) -> tuple[SweepDefinition | None, list[str]]:
    """The definition in ``data``, and what is wrong with its form."""
    data, found = _spelt_out(data)
    if data.get("space") == {}:
        found.append("space: empty, nothing to search; add a setting, e.g. stage2.k: {choice: [2, 4]}")
        data["space"] = {"stage2.k": {"choice": [2, 4]}}
    definition, problems = checks.form(SweepDefinition, data, space="space")
    found += problems
    return definition, found + _entries_missing(data) if found else found


KIND = Kind("sweep", "name, budget and space", GUIDE, READY_MADE, KEYS, form)


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
    overrides : texts for :func:`pipelines.definitions.overrides.override`.
    name : name of the sweep instead of the definition's.
    project : where it is to run. A definition whose parts contradict each other is compared with it as well, so that
        all is said at once; one that is right is compared when it is planned
        (:func:`pipelines.sweep.definition.plan.plan`).

    Raises
    ------
    ConfigError : everything that is wrong with it, at once.
    """

    def together(definition: SweepDefinition) -> list[str]:
        found = contradictions(definition)
        if found and project is not None:
            from pipelines.sweep.definition.fit import project_problems

            found += project_problems(project, definition)
        return found

    return reading.load(KIND, source, together=together, overrides=overrides, name=name)


def change(definition: SweepDefinition, overrides: Sequence[str]) -> SweepDefinition:
    """``definition`` with overrides, checked; :class:`ConfigError` with everything that is wrong."""
    place = f"sweep {definition.name}"
    return reading.change(KIND, definition.plain(), place=place, together=contradictions, overrides=overrides)


def check(data: dict[str, Any]) -> SweepDefinition:
    """The definition in ``data``, or one :class:`ConfigError` with all that is wrong with it."""
    return reading.check(KIND, data, together=contradictions)


def _entries_missing(data: dict[str, Any]) -> list[str]:
    """Entries that others make necessary and that are not there, in a definition whose form is not sound."""
    algorithm = data.get("algorithm", SweepDefinition.model_fields["algorithm"].default)
    budget = data.get("budget", {})
    if algorithm not in list(ALGORITHMS) or not isinstance(budget, dict):
        return []
    return trials_missing(algorithm, budget.get("trials"))


def _spelt_out(data: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """``trials`` as ``budget.trials``, keys that say nothing left out; what cannot be read."""
    known = SweepDefinition.model_fields.keys() - {"space"}
    data = {key: value for key, value in data.items() if value is not None or key not in known}
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
