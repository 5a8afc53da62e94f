"""From a corpus entry of ``params.yaml`` to its adapter and manifest: opened, scanned, admitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jmml.config import CorpusConfig
from jmml.data import quality
from jmml.data.copies import fingerprint, together
from jmml.data.corpora import Corpus, EitherCorpus, Recording, get_corpus
from jmml.data.corpora.table import TableCorpus
from jmml.data.features.audio import AUDIO
from jmml.data.features.sound import opened
from jmml.data.manifest import Manifest
from jmml.errors import CorpusError, DataError, RecordingError
from pipelines.reporting.progress import Progress
from pipelines.reporting.wording import many
from pipelines.workspace.project import Project, keep_out_of_git

SHOWN = 3
LOOKED_AT = 4  # blocks of a file whose channels are compared
SAID = ("group", "label", "valence", "arousal")  # what one recording cannot be twice


def open_corpus(name: str, config: CorpusConfig) -> Corpus:
    """The adapter of a corpus; :class:`~jmml.errors.CorpusError` when it reads the other modality."""
    adapter, modality = config.adapter, config.modality
    corpus = get_corpus(adapter)
    if isinstance(corpus, TableCorpus):
        return replace(
            corpus,
            modality=modality,
            features=tuple(config.features),
            leave_out=tuple(config.leave_out),
            windows=config.windows,
        )
    if isinstance(corpus, EitherCorpus):
        return corpus.holding(modality)
    if corpus.modality != modality:
        raise CorpusError(
            f"adapter '{adapter}' reads {corpus.modality}, the settings say {modality}",
            where=f"corpora.{name}",
            fix=f"set its modality to {corpus.modality}",
        )
    return corpus


def features_of(corpus: Corpus, root: Path) -> tuple[str, ...]:
    """The features of a table, with their units; none of recordings, which have them extracted."""
    if not isinstance(corpus, TableCorpus):
        return ()
    table = corpus.table(root, corpus.name)
    return tuple(
        name if unit == "1" else f"{name} [{unit}]"
        for name, unit in zip(table.names, table.units, strict=True)
    )


def features_line(features: Sequence[str], most: int | None = None) -> list[str]:
    """``2 features: 1 f0_mean [Hz], 2 jitter``, some in the middle left out beyond ``most``; no line for none."""
    shown = [f"{number} {name}" for number, name in enumerate(features, 1)]
    if most is not None and len(shown) > most:
        shown = [*shown[: most - 1], "...", shown[-1]]
    return [f"{many(len(features), 'feature')}: {', '.join(shown)}"] if features else []


def scan(
    name: str, corpus: Corpus, root: Path, *, skip_bad: bool = False, progress: Progress | None = None
) -> Manifest:
    """The manifest of the recordings under ``root``, under the name the project gives the corpus.

    Headers and hashes are read, not the signals; :func:`admit` reads those too.
    """
    return replace(corpus.scan(root, skip_bad=skip_bad, progress=progress), corpus=name)


def admit(
    name: str,
    corpus: Corpus,
    root: Path,
    *,
    skip_bad: bool = False,
    progress: Progress | None = None,
    refused: Mapping[str, str] | None = None,
) -> Manifest:
    """The manifest of a corpus whose every recording was read to its end: none is silent, cut off or not finite, and
    none is there again under another person or label.

    ``refused`` files, place -> why, are not read.

    Raises
    ------
    RecordingError : lists what cannot be used; with ``skip_bad`` it is left out and kept in ``skipped``.
    """
    manifest = scan(name, corpus, root, skip_bad=skip_bad)
    if isinstance(corpus, TableCorpus):
        return manifest  # its rows were read already
    usable = np.ones(len(manifest), dtype=bool)
    problems: list[str] = []
    prints, heard_in = [], _Heard(corpus, root)
    findings: list[tuple[str, dict[str, str]]] = []
    for number, row in enumerate(manifest.frame.itertuples(index=False)):
        heard = np.zeros(0, dtype=np.uint32)
        try:
            if refused and row.path in refused:
                raise RecordingError(refused[str(row.path)], where=row.path)
            recording = corpus.read(root, row)
            findings.append((str(row.id), heard_in(row, recording)))
            if corpus.modality == "speech":
                heard = fingerprint(recording.signal[0], recording.sample_rate_hz)
        except RecordingError as error:
            usable[number] = False
            problems.append(str(error))
        prints.append(heard)
        if progress is not None:
            progress(number + 1, len(manifest))
    _refuse(
        name, problems, f"of {many(len(manifest), 'recording')} cannot be used", skip_bad and usable.any()
    )
    again = [group for group in together(prints, manifest.frame["content_hash"]) if usable[group].all()]
    torn = [group for group in again if _told_apart(manifest.frame.iloc[group])]
    doubles = [_again(manifest.frame.iloc[group]) for group in torn]
    usable[[place for group in torn for place in group]] = False
    _refuse(name, doubles, "recordings are there again as another person or label", skip_bad and usable.any())
    same = sum(len(group) - 1 for group in again) - sum(len(group) - 1 for group in torn)
    notes = [f"{many(same, 'recording')} there again as the same person and label"] if same else []
    frame = manifest.frame[usable].reset_index(drop=True)
    findings += [
        (str(frame["id"][at]), {"duration": detail})
        for at, detail in quality.unusual_durations(list(frame["duration_s"])).items()
    ]
    left = set(frame["id"])
    checks = quality.gathered((name, found) for name, found in findings if name in left)
    return replace(
        manifest,
        frame=frame,
        skipped=[*manifest.skipped, *problems, *doubles],
        notes=[*manifest.notes, *notes, *quality.notes(checks, len(frame))],
        checks=checks,
    )


class _Heard:
    """What is wrong with each recording of a corpus; the channels of a file are looked at once."""

    def __init__(self, corpus: Corpus, root: Path) -> None:
        self._eeg, self._root = corpus.modality == "eeg", root
        self._channels: dict[str, dict[str, str]] = {}

    def __call__(self, row: Any, recording: Recording) -> dict[str, str]:
        if self._eeg:
            return quality.of_eeg(recording.signal, recording.sample_rate_hz, recording.channels)
        found = quality.of_sound(recording.signal[0], recording.sample_rate_hz)
        path = self._root / row.path
        if path.suffix.lower() not in AUDIO or not path.is_file():
            return found
        if row.path not in self._channels:
            with opened(path) as sound:
                # A minute and a half at 48 kHz tells.
                some = list(islice(sound.blocks(), LOOKED_AT)) if sound.channels > 1 else []
            self._channels[row.path] = quality.of_channels(np.concatenate(some)) if some else {}
        return {**found, **self._channels[row.path]}


def _refuse(name: str, problems: list[str], what: str, skippable: bool | np.bool) -> None:
    if problems and not skippable:
        raise RecordingError(
            f"{len(problems)} {what}: {'; '.join(problems[:SHOWN])}"
            + (f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""),
            where=name,
            fix="repair or remove them, or leave them out (`jmml data add --skip-bad`, or skip_bad: true in its "
            "corpora entry)",
        )


def _told_apart(rows: pd.DataFrame) -> bool:
    """Whether rows name different people, labels or ratings; overlapping segments of one file may have other labels."""
    segments = rows["path"].nunique() == 1 and rows["content_hash"].nunique() > 1
    return any(rows[key].nunique(dropna=False) > 1 for key in (SAID[:1] if segments else SAID))


def _again(rows: pd.DataFrame) -> str:
    """``x/1 (ann, joy) is y/7 (bob, joy)``."""
    said = [
        f"{row.id} ({', '.join(str(word) for word in (row.group, row.label) if word is not None)})"
        for row in rows.itertuples()
    ]
    return " is ".join(said)


def keep(project: Project, manifest: Manifest) -> None:
    """What was heard in a corpus that is added, until its stage has ingested it."""
    manifest.save(_kept(project, manifest.corpus))
    keep_out_of_git(project.root / ".jmml")


def heard(project: Project, found: Manifest) -> Manifest:
    """The manifest of the same recordings as they were read when they were added, where they have not changed since."""
    try:
        kept = Manifest.load(_kept(project, found.corpus))
    except DataError:
        return found
    now = found.frame.set_index("id")["content_hash"]
    then = kept.frame.set_index("id")["content_hash"]
    return kept if set(then.index) <= set(now.index) and then.eq(now[then.index]).all() else found


def _kept(project: Project, name: str) -> Path:
    return project.root / ".jmml" / "added" / f"{name}.parquet"


def read_manifest(project: Project, name: str) -> Manifest | None:
    """The manifest that the stage ``ingest`` wrote; None where it has not run."""
    path = project.manifest_path(name)
    return Manifest.load(path) if path.exists() else None
