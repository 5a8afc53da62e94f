"""A study, as written in a YAML file: which methods are compared, on which tasks, with which seeds and budget.

    name: worlds
    tasks:
      label-only: {world: label}                       synthetic, made in memory
      nemo: {speech: nemo, eeg: deap}                  corpora of params.yaml
      mine: {project: true}                            the task of params.yaml
    methods: [all]                                     or names; `peers` and `controls` stand for several
    seeds: [0, 1, 2, 3, 4]
    tuning: {trials: 4, space: {stage2.lr: {loguniform: [1e-3, 1e-2]}}}

Whatever a definition does not name keeps its value from ``params.yaml``. All problems of a definition are
reported at once, before anything starts. How one is read and checked is in
:mod:`pipelines.study.define.reading`. Every key is explained in docs/studies.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, Field, field_validator, model_validator

from jmml.config import (
    Disjoint,
    LabelSpace,
    Normalisation,
    PositiveInt,
    Section,
)
from jmml.errors import nearest
from jmml.methods import METHODS, of_kind
from pipelines.definitions.revisions import AtRevision
from pipelines.definitions.spaces import Dimension

GROUPS: dict[str, Callable[[], Iterable[str]]] = {
    "all": METHODS.names,
    "peers": partial(of_kind, "peer"),
    "controls": partial(of_kind, "control"),
}
_NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"

Seed = Annotated[int, Field(ge=0)]


def _each_once(values: list[int]) -> list[int]:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"{', '.join(map(str, twice))} is named more than once; name each seed once")
    return values


class NamedCorpus(AtRevision):
    """A corpus of ``params.yaml``, and the git revision or tag at which its recordings are read."""

    name: str


class StudyTask(AtRevision):
    """Where the data of one task come from, and how it is evaluated.

    Attributes
    ----------
    project : the task of ``params.yaml``.
    world : a synthetic world made in memory (``jmml.data.synthetic.worlds``), in which EEG carries the label
        alone or the single trial too; with ``people``, ``trials`` (of each) and ``seed`` (of the world).
    speech, eeg : corpora of ``params.yaml``, whose features ``dvc repro`` has made; without ``eeg`` only
        methods that need none can be compared. ``{name: nemo, rev: v1.2}`` is one at a revision of git.
    rev : revision of those corpora that name none themselves.
    pairing : ``instance`` needs recordings that both modalities share.
    method : settings of the method for this task alone, as in ``params.yaml``.
    """

    project: bool = False
    world: Literal["label", "trial"] | None = None
    people: Annotated[int, Field(ge=2)] | None = None
    trials: PositiveInt | None = None
    seed: Seed | None = None
    speech: str | NamedCorpus | None = None
    eeg: str | NamedCorpus | None = None
    label_space: LabelSpace | None = None
    pairing: Literal["class", "instance"] | None = None
    groups_per_fold: PositiveInt | None = None
    disjoint: Disjoint | None = None
    method: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_source(self) -> StudyTask:
        sources = [name for name in ("project", "world", "speech") if getattr(self, name)]
        if len(sources) != 1:
            found = " and ".join(sources) or ("eeg alone" if self.eeg else "none")
            raise ValueError(f"expected one of project: true, world and speech, got {found}")
        for names, owner in ((("people", "trials", "seed"), "world"), (("eeg",), "speech")):
            strange = [name for name in names if getattr(self, name) is not None]
            if strange and sources != [owner]:
                raise ValueError(f"{', '.join(strange)} belongs to a task with {owner}")
        if self.world and self.label_space:
            raise ValueError("label_space: a world has its own")
        if self.world and self.rev:
            raise ValueError("rev: a world has no revisions")
        return self

    def named(self, modality: Literal["speech", "eeg"]) -> tuple[str | None, str | None]:
        """Name and revision of the corpus of a modality, as far as the task says them."""
        corpus = self.speech if modality == "speech" else self.eeg
        if isinstance(corpus, NamedCorpus):
            return corpus.name, corpus.rev or self.rev
        return corpus, self.rev


class Tuning(Section):
    """One budget for every method: ``trials`` configurations, drawn once, the first one being the defaults.

    Each is scored on inner folds at every epoch; ``seed`` is that of the draw.
    """

    trials: PositiveInt = 1
    inner_folds: Annotated[int, Field(ge=2)] | None = None
    seed: Seed = 0
    space: dict[str, Dimension] = Field(default_factory=dict)


class StudyDefinition(Section):
    """One study: methods x tasks x outer folds x seeds.

    Attributes
    ----------
    methods : in the order of every table; names and groups (:data:`GROUPS`) as written are expanded.
    claim : the method whose difference to the best label-only control is the primary contrast.
    audit : which cells are fitted a second time with the labels and features of the evaluated people spoilt,
        to see that nothing notices: the first fold and seed of each method (``sample``), ``all`` or ``none``.
    bootstrap, confidence : resamples of speakers behind every interval, and its level.
    """

    name: Annotated[str, Field(pattern=_NAME)]
    description: str = ""
    tasks: Annotated[dict[Annotated[str, Field(pattern=_NAME)], StudyTask], Field(min_length=1)]
    methods: Annotated[list[str], Field(min_length=1)] = Field(default_factory=lambda: list(METHODS))
    claim: str = "jmml"
    seeds: Annotated[list[Seed], Field(min_length=1), AfterValidator(_each_once)] = Field(
        default_factory=lambda: [0, 1, 2, 3, 4]
    )
    groups_per_fold: PositiveInt | None = None
    disjoint: Disjoint | None = None
    normalisation: Normalisation | None = None
    tuning: Tuning = Field(default_factory=Tuning)
    method: dict[str, Any] = Field(default_factory=dict)
    audit: Literal["none", "sample", "all"] = "sample"
    bootstrap: Annotated[int, Field(ge=100)] = 10_000
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95

    @field_validator("methods")
    @classmethod
    def _expanded(cls, names: list[str]) -> list[str]:
        known = [*METHODS, *GROUPS]
        strange = [name for name in names if name not in known]
        if strange:
            raise ValueError(
                "; ".join(f"unknown method '{name}'; {nearest(name, known)}" for name in strange)
            )
        chosen = {method for name in names for method in (GROUPS[name]() if name in GROUPS else [name])}
        return [method for method in METHODS if method in chosen]

    @field_validator("claim")
    @classmethod
    def _claims_something(cls, name: str) -> str:
        if METHODS[METHODS.check(name)].label_only:
            raise ValueError(
                f"'{name}' is a label-only control itself; name the method that is claimed to gain"
            )
        return name

    def to_yaml(self) -> str:
        """The definition as a file, overrides included; reading it gives the same definition."""
        return yaml.safe_dump(self.plain(), sort_keys=False)

    def plain(self) -> dict[str, Any]:
        """The definition as plain values; entries of tasks that say nothing are left out."""
        data = self.model_dump(mode="json")
        data["tasks"] = {
            name: task.model_dump(mode="json", exclude_defaults=True) for name, task in self.tasks.items()
        }
        data["tuning"]["space"] = {key: {d.kind: list(d.values)} for key, d in self.tuning.space.items()}
        return data
