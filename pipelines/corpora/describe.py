"""``jmml data list`` and ``show``: what the corpora of a project hold, as data and as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from jmml.config import CorpusConfig, LabelSpace, TaskConfig
from jmml.data.corpora import ADAPTERS, Corpus, EitherCorpus
from jmml.data.manifest import Manifest
from jmml.errors import LabelError
from pipelines.corpora.confounding import classes_of, label_warnings, of_manifest, warnings
from pipelines.corpora.dvc_record import DvcRecord
from pipelines.corpora.scan import features_line, features_of, heard, open_corpus, read_manifest, scan
from pipelines.reporting.progress import progress_bar
from pipelines.reporting.wording import many
from pipelines.workspace.project import Project


@dataclass(frozen=True)
class CorpusEntry:
    """One line of ``jmml data list``; counts are None until the corpus has been ingested."""

    name: str
    adapter: str
    modality: str
    path: str
    used: bool
    present: bool
    samples: int | None
    groups: int | None
    dvc_hash: str | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def cells(self) -> list[str]:
        """corpus, adapter, modality, used, samples, groups, dvc."""
        state = "missing" if not self.present else (self.dvc_hash or "not tracked")[:12]
        counts = ["-" if number is None else str(number) for number in (self.samples, self.groups)]
        return [self.name, self.adapter, self.modality, "yes" if self.used else "no", *counts, state]


@dataclass(frozen=True)
class CorpusSummary:
    """Contents of a corpus. Durations in seconds, sample rates in Hz; both empty for feature tables.

    ``classes`` counts samples per class of the task's label space; ``unmapped`` says why it is empty.
    """

    name: str
    adapter: str
    modality: str
    path: str
    used: bool
    samples: int
    groups: dict[str, int]
    labels: dict[str, int]
    label_space: LabelSpace
    classes: dict[str, int]
    unmapped: str | None
    duration_s: dict[str, float]
    sample_rates_hz: dict[str, int]
    notes: list[str]
    skipped: list[str]
    digest: str
    dvc_hash: str | None
    features: tuple[str, ...] = ()
    confounds: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()
    checks: dict[str, dict[str, str]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        def counted(counts: dict[str, int]) -> str:
            return ", ".join(f"{key} {count}" for key, count in counts.items())

        sizes = list(self.groups.values())
        duration = self.duration_s
        rows = [
            ("corpus", f"{self.name} ({self.modality}, read as '{self.adapter}' from {self.path})"),
            ("in the task", "yes" if self.used else "no"),
            ("samples", str(self.samples)),
            (
                "groups",
                f"{len(sizes)}, with {_span(min(sizes), max(sizes))} samples: {', '.join(self.groups)}",
            ),
            ("labels", counted(self.labels) or "none, ratings only"),
            (self.label_space, counted(self.classes) if self.classes else str(self.unmapped)),
        ]
        if self.features:
            number, _, names = features_line(self.features)[0].partition(" features: ")
            rows.append(("features", f"{number}: {names}"))
        if duration:
            spread = f"{duration['min']:.2f} to {duration['max']:.2f} s, mean {duration['mean']:.2f} s"
            rows.append(("duration", f"{duration['total'] / 60:.1f} minutes, {spread}"))
            rates = {f"{key} Hz:": count for key, count in self.sample_rates_hz.items()}
            rows.append(("sample rate", counted(rates)))
        rows += [
            (
                f"label by {one['factor']}",
                f"V {one['v']:.2f}, chance up to {one['chance']:.2f}; {many(one['values'], 'value')}, "
                f"{one['alone']} with one label alone",
            )
            for one in self.confounds
        ]
        rows += [("warning", line) for line in self.warnings]
        rows += [("note", note) for note in self.notes] + [("left out", line) for line in self.skipped]
        rows += [("manifest", self.digest), ("dvc", self.dvc_hash or "not tracked")]
        width = max(len(label) for label, _ in rows)
        return [f"{label:<{width}}  {text}" for label, text in rows]


@dataclass(frozen=True)
class AdapterEntry:
    """One line of ``jmml data adapters``.

    Attributes
    ----------
    added : by the project or by an installed package.
    source : ``jmml``, the file of the project, or the package that has it.
    problem : why it cannot be used, in one line; None where it can.
    """

    name: str
    modality: str | None
    layout: str
    added: bool
    source: str
    problem: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def cells(self) -> list[str]:
        """adapter, holds, from, layout."""
        holds = "-" if self.problem else self.modality or "either"
        return [
            self.name,
            holds,
            self.source,
            f"cannot be used: {self.problem}" if self.problem else self.layout,
        ]


def list_adapters() -> list[AdapterEntry]:
    """Every adapter by name; of those that the project or packages add also what cannot be used."""
    problems = ADAPTERS.problems()
    entries = []
    for name in sorted(ADAPTERS):
        source = ADAPTERS.source(name)
        where = "jmml" if source is None else source.where
        problem = problems.pop(name, None)
        try:
            made = None if problem else ADAPTERS[name]()
            modality = None if made is None else _holds(made)
            layout = "" if made is None else made.layout
        except Exception as error:
            if source is None:
                raise
            modality, layout, problem = None, "", str(source.failure("fails", error))
        entries.append(AdapterEntry(name, modality, layout, source is not None, where, problem))
    return entries + [AdapterEntry("-", None, "", True, where, line) for where, line in problems.items()]


def _holds(corpus: Corpus) -> str | None:
    """The modality of an adapter; None for one that reads either."""
    return None if isinstance(corpus, EitherCorpus) and len(corpus.modalities) > 1 else corpus.modality


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


def list_corpora(project: Project) -> list[CorpusEntry]:
    """Every corpus of ``params.yaml`` in its order; counts come from the manifests that exist."""
    task = project.params.task
    entries = []
    with DvcRecord.of(project) as record:
        for name, config in project.params.corpora.items():
            manifest = read_manifest(project, name)
            entries.append(
                CorpusEntry(
                    name=name,
                    adapter=config.adapter,
                    modality=config.modality,
                    path=config.path,
                    used=name in (task.speech, task.eeg),
                    present=project.corpus_dir(name).exists(),
                    samples=None if manifest is None else len(manifest),
                    groups=None if manifest is None else int(manifest.frame["group"].nunique()),
                    dvc_hash=record.hash_of(project.corpus_dir(name)),
                )
            )
    return entries


def show(project: Project, name: str) -> CorpusSummary:
    """Contents of one corpus, from its manifest, or from its recordings where there is none yet."""
    config = project.corpus(name)
    manifest = read_manifest(project, name)
    if manifest is None:
        corpus = open_corpus(name, config)
        with progress_bar(f"read {name}", "file") as progress:
            folder, skip_bad = project.corpus_dir(name), config.skip_bad
            manifest = heard(project, scan(name, corpus, folder, skip_bad=skip_bad, progress=progress))
    with DvcRecord.of(project) as record:
        dvc_hash = record.hash_of(project.corpus_dir(name))
    summary = summarise(manifest, config, project.params.task, dvc_hash=dvc_hash)
    if not project.corpus_dir(name).exists():
        return summary
    return replace(summary, features=features_of(open_corpus(name, config), project.corpus_dir(name)))


def summarise(
    manifest: Manifest, config: CorpusConfig, task: TaskConfig, *, dvc_hash: str | None
) -> CorpusSummary:
    """Counts and spreads of one corpus, with its labels as the task would map them."""
    frame = manifest.frame
    classes: dict[str, int] = {}
    unmapped = None
    try:
        mapped = classes_of(manifest, config, task.label_space)
        classes = _counts(["dropped" if label is None else label for label in mapped])
    except LabelError as error:
        unmapped = str(error)
    durations = frame["duration_s"].dropna().to_numpy()
    spread: dict[str, Callable[[Any], Any]] = {"total": np.sum, "mean": np.mean, "min": np.min, "max": np.max}
    found = of_manifest(manifest, config, task.label_space)
    return CorpusSummary(
        name=manifest.corpus,
        adapter=config.adapter,
        modality=config.modality,
        path=config.path,
        used=manifest.corpus in (task.speech, task.eeg),
        samples=len(manifest),
        groups=_counts(frame["group"]),
        labels=_counts(frame["label"].dropna()),
        label_space=task.label_space,
        classes=classes,
        unmapped=unmapped,
        duration_s={key: float(of(durations)) for key, of in spread.items()} if len(durations) else {},
        sample_rates_hz=_counts(f"{rate:g}" for rate in frame["sample_rate_hz"].dropna()),
        notes=manifest.notes,
        skipped=manifest.skipped,
        digest=manifest.digest,
        dvc_hash=dvc_hash,
        confounds=tuple(one.as_dict() for one in found),
        warnings=(
            *(() if unmapped else label_warnings(manifest, config, task.label_space)),
            *warnings(found),
        ),
        checks=manifest.checks,
    )


def _counts(values: Any) -> dict[str, int]:
    return dict(sorted(Counter(str(value) for value in values).items()))
