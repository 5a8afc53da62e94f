"""What the commands on corpora report, as data, as text lines and as table cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from jmml.config import CorpusConfig, LabelSpace, TaskConfig
from jmml.data.labels import map_labels
from jmml.data.manifest import Manifest
from jmml.errors import DataError, LabelError

SHOWN_CHANGES = 10


@dataclass(frozen=True)
class AddResult:
    """A corpus that is now part of the project."""

    name: str
    adapter: str
    modality: str
    path: str
    samples: int
    groups: int
    dvc_hash: str
    used: bool
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        what = f"{self.samples} {self.modality} samples of {self.groups} people"
        use = f"task.{self.modality} in params.yaml names it now" if self.used else (
            f"to use it, set task.{self.modality}: {self.name} in params.yaml"
        )  # fmt: skip
        return [
            f"{self.name}: {what}, read as '{self.adapter}', in {self.path} (DVC {self.dvc_hash})",
            *(f"note: {note}" for note in self.notes),
            f"next: {use}; `git add {self.path}.dvc params.yaml`, then `dvc repro`",
        ]


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
    """What a corpus holds. Durations in seconds, sample rates in Hz; both empty for feature tables.

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
            ("groups", f"{len(sizes)}, with {min(sizes)} to {max(sizes)} samples: {', '.join(self.groups)}"),
            ("labels", counted(self.labels) or "none, ratings only"),
            (self.label_space, counted(self.classes) if self.classes else str(self.unmapped)),
        ]
        if duration:
            spread = f"{duration['min']:.2f} to {duration['max']:.2f} s, mean {duration['mean']:.2f} s"
            rows.append(("duration", f"{duration['total'] / 60:.1f} minutes, {spread}"))
            rates = {f"{key} Hz:": count for key, count in self.sample_rates_hz.items()}
            rows.append(("sample rate", counted(rates)))
        rows += [("note", note) for note in self.notes] + [("left out", line) for line in self.skipped]
        rows += [("manifest", self.digest), ("dvc", self.dvc_hash or "not tracked")]
        width = max(len(label) for label, _ in rows)
        return [f"{label:<{width}}  {text}" for label, text in rows]


@dataclass(frozen=True)
class CorpusCheck:
    """One corpus compared with its records; no problem means nothing has changed."""

    name: str
    samples: int
    recorded: str | None
    current: str | None
    problems: list[str]


@dataclass(frozen=True)
class VerifyReport:
    """The outcome of ``jmml data verify``."""

    checks: list[CorpusCheck]

    def as_dict(self) -> dict[str, Any]:
        return {"ok": not self._changed(), "corpora": [asdict(check) for check in self.checks]}

    def lines(self) -> list[str]:
        """One line per corpus, and one per difference."""
        text = []
        for check in self.checks:
            text.append(f"{check.name}: {'changed' if check.problems else 'unchanged'} ({check.current})")
            text += [f"  {problem}" for problem in check.problems[:SHOWN_CHANGES]]
            if len(check.problems) > SHOWN_CHANGES:
                text.append(f"  and {len(check.problems) - SHOWN_CHANGES} more differences")
        return text

    def raise_if_changed(self) -> None:
        """:class:`~jmml.errors.DataError` that names every corpus with a difference, and its first one."""
        changed = self._changed()
        if changed:
            named = "; ".join(f"{c.name}: {c.problems[0]}, {len(c.problems)} in all" for c in changed)
            raise DataError(
                f"{len(changed)} of {len(self.checks)} corpora differ from what was recorded ({named})",
                fix="restore them with `dvc checkout`, or record them as they are with `dvc commit`",
            )

    def _changed(self) -> list[CorpusCheck]:
        return [check for check in self.checks if check.problems]


def summarise(
    manifest: Manifest, config: CorpusConfig, task: TaskConfig, *, dvc_hash: str | None
) -> CorpusSummary:
    """Counts and spreads of one corpus, with its labels as the task would map them."""
    frame = manifest.frame
    classes: dict[str, int] = {}
    unmapped = None
    try:
        mapped = map_labels(
            frame,
            adapter=config.adapter,
            space=task.label_space,
            overrides=config.labels,
            unmapped=config.unmapped,
            rating_threshold=config.rating_threshold,
            where=manifest.corpus,
        )
        classes = _counts(["dropped" if label is None else label for label in mapped])
    except LabelError as error:
        unmapped = str(error)
    durations = frame["duration_s"].dropna().to_numpy()
    spread: dict[str, Callable[[Any], Any]] = {"total": np.sum, "mean": np.mean, "min": np.min, "max": np.max}
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
    )


def manifest_changes(recorded: Manifest, found: Manifest) -> list[str]:
    """Samples that are gone, new, of other content or of other label or group than the manifest says."""
    old, new = (m.frame.set_index("id") for m in (recorded, found))
    lines = [f"sample '{name}' is gone or cannot be used" for name in old.index.difference(new.index)]
    lines += [f"sample '{name}' is not in the manifest" for name in new.index.difference(old.index)]
    both = old.index.intersection(new.index)
    for column, what in (("content_hash", "content"), ("label", "label"), ("group", "speaker or subject")):
        a, b = old.loc[both, column].fillna(""), new.loc[both, column].fillna("")
        lines += [f"sample '{name}': {what} differs from the manifest" for name in both[a.ne(b)]]
    return lines


def _counts(values: Any) -> dict[str, int]:
    return dict(sorted(Counter(str(value) for value in values).items()))
