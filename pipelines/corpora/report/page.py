"""The page of a corpus: what it holds, what goes along with its labels, how it sounds, and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from markupsafe import Markup

from jmml.config import CorpusConfig
from jmml.data.confounds import FACTORS, NATURAL, NOTABLE
from jmml.data.corpora import Corpus
from jmml.data.corpora.table import TableCorpus
from jmml.data.labels import map_labels
from jmml.data.manifest import Manifest
from jmml.errors import DataError, LabelError
from jmml.files import atomic_path
from pipelines.corpora.describe import CorpusSummary, summarise
from pipelines.corpora.dvc_record import DvcRecord
from pipelines.corpora.report import pictures
from pipelines.corpora.report.topomaps import topomaps
from pipelines.corpora.scan import features_of, heard, open_corpus, read_manifest, scan
from pipelines.reporting import pages
from pipelines.reporting.figures import embedded
from pipelines.reporting.progress import progress_bar
from pipelines.reporting.wording import many, sentence_case
from pipelines.workspace.project import Project, keep_out_of_git

TEMPLATES = Path(__file__).parent / "templates"
EXAMPLES = 8
TRIALS = 24  # of which spectra are the mean
NAMED = 60  # recordings under a check, lines of what was left out


@dataclass(frozen=True)
class Card:
    """One recording that is shown."""

    title: str
    facts: str
    picture: Markup
    told: str = ""


def write_report(project: Project, name: str, output: Path | None = None) -> Path:
    """Write the page of a corpus: ``data/reports/NAME.html``, which stays out of git, or ``output``.

    Equal corpora give equal pages.

    Raises
    ------
    CorpusError, DataError : there is no such corpus, or it cannot be read or the page not written.
    """
    config = project.corpus(name)
    corpus = open_corpus(name, config)
    folder = project.corpus_dir(name)
    manifest, read = read_manifest(project, name), True
    if manifest is None:
        with progress_bar(f"read {name}", "file") as progress:
            found = scan(name, corpus, folder, skip_bad=config.skip_bad, progress=progress)
        manifest = heard(project, found)
        read = manifest is not found
    with DvcRecord.of(project) as record:
        dvc_hash = record.hash_of(folder)
    summary = summarise(manifest, config, project.params.task, dvc_hash=dvc_hash)
    page = render(manifest, summary, config, corpus, folder, project.params.features.eeg.bands_hz, read=read)
    path = project.root / "data" / "reports" / f"{name}.html" if output is None else output
    try:
        if output is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            keep_out_of_git(path.parent)  # voices and brains of people
        with atomic_path(path) as temporary:
            temporary.write_text(page, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise DataError(
            f"the report cannot be written: {error.strerror or error}",
            where=path,
            fix="name another file with --output",
        ) from error
    return path


def render(
    manifest: Manifest,
    summary: CorpusSummary,
    config: CorpusConfig,
    corpus: Corpus,
    folder: Path,
    bands: Mapping[str, list[float]],
    *,
    read: bool = True,
) -> str:
    """The page; recordings are read from ``folder`` where they lie there.

    Parameters
    ----------
    bands : of EEG, whose power is shown over the head.
    read : whether all recordings were read for the checks of the manifest.
    """
    people, minutes = len(summary.groups), summary.duration_s.get("total", 0.0) / 60
    cards, brains, unread = _shown(manifest, summary, corpus, folder, bands)
    table, columns = _labels(manifest.frame, summary, config)
    return pages.render(
        TEMPLATES,
        "report.html.jinja",
        style=(TEMPLATES / "report.css").read_text(encoding="utf-8"),
        kind="Corpus report",
        heading=summary.name,
        about=f"{summary.modality}, read as '{summary.adapter}'",
        lead=f"{many(summary.samples, 'sample')} of {many(people, 'person', 'people')}"
        + (f", {minutes:.1f} minutes." if minutes else "."),
        tiles=_tiles(summary, manifest),
        warnings=[sentence_case(line) for line in summary.warnings],
        confounds=[_confound(one) for one in summary.confounds],
        notable=NOTABLE,
        natural=NATURAL,
        labels=pictures.counts(table, columns, "Samples by person and label") if columns else "",
        label_space=summary.label_space,
        unmapped=summary.unmapped,
        people_left=max(0, len(table) - pictures.MOST_PEOPLE),
        durations=_durations(manifest.frame),
        cards=cards,
        brains=brains,
        unread=unread,
        checks=[_check(kind, found) for kind, found in summary.checks.items()],
        checked=not isinstance(corpus, TableCorpus),
        read=read,
        eeg=summary.modality == "eeg",
        features=_features(corpus, folder),
        notes=[note for note in summary.notes if note.partition(" in ")[0] not in summary.checks],
        skipped=summary.skipped[:NAMED],
        skipped_more=max(0, len(summary.skipped) - NAMED),
        provenance=_provenance(summary).items(),
        settings_name="Entry in params.yaml",
        settings=yaml.safe_dump(
            {summary.name: config.model_dump(mode="json", exclude_defaults=True)},
            sort_keys=False,
            allow_unicode=True,
        ),
    )


def _tiles(summary: CorpusSummary, manifest: Manifest) -> list[tuple[str, str, str]]:
    """Name, figure and remark of what counts."""
    sizes = list(summary.groups.values())
    spread = str(sizes[0]) if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"
    tiles = [
        ("samples", str(summary.samples), ""),
        ("people", str(len(sizes)), f"{spread} samples each"),
        ("labels", str(len(summary.labels)) if summary.labels else "ratings", ""),
    ]
    if duration := summary.duration_s:
        tiles.append(
            ("duration", f"{duration['mean']:.2f} s", f"{duration['min']:.2f} to {duration['max']:.2f} s")
        )
    if rates := summary.sample_rates_hz:
        shown = [_rate(float(rate)) for rate in rates]
        tiles.append(
            ("sample rate", " and ".join(shown[:2]), f"{len(rates)} rates" if len(rates) > 1 else "")
        )
    known = [
        name
        for name in ("text", "session", "recording", "device", "order")
        if manifest.frame[name].notna().any()
    ]
    tiles.append(("also known", str(len(known)), ", ".join(known) or "nothing"))
    tiles.append(("left out", str(len(summary.skipped)), ""))
    return tiles


def _rate(hertz: float) -> str:
    return f"{hertz / 1000:g} kHz" if hertz >= 1000 else f"{hertz:g} Hz"


def _confound(one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **one,
        "what": FACTORS[one["factor"]],
        "picture": pictures.strength(one["v"], one["chance"], notable=one["notable"]),
        "leading": "; ".join(one["leading"]),
    }


def _labels(
    frame: pd.DataFrame, summary: CorpusSummary, config: CorpusConfig
) -> tuple[dict[str, dict[str, int]], list[str]]:
    """Samples by person and label, or by class where there are ratings alone."""
    labels = frame["label"]
    if labels.isna().all():
        try:
            labels = pd.Series(
                map_labels(
                    frame,
                    adapter=config.adapter,
                    space=summary.label_space,
                    overrides=config.labels,
                    unmapped="drop",
                    rating_threshold=config.rating_threshold,
                )
            )
        except LabelError:
            return {}, []
    known = labels.notna().to_numpy()
    columns = [name for name, _ in Counter(labels[known]).most_common()]
    table: dict[str, dict[str, int]] = {str(who): {} for who in sorted(frame["group"].unique())}
    for who, label in zip(frame["group"][known], labels[known], strict=True):
        table[str(who)][label] = table[str(who)].get(label, 0) + 1
    return table, columns


def _durations(frame: pd.DataFrame) -> Markup | str:
    known = frame["duration_s"].dropna()
    if known.nunique() < 2:
        return ""
    return pictures.histogram(list(known), "s", "Durations of the recordings")


def _examples(frame: pd.DataFrame, checks: Mapping[str, Mapping[str, str]]) -> list[Any]:
    """Rows to show: the labels by turns, people that were not shown first; then one of each kind of fault."""
    labels = [label for label, _ in Counter(frame["label"].fillna("")).most_common()]
    rows, people = [], Counter[str]()
    faulty = [next(iter(found)) for found in checks.values()]
    room = max(2, EXAMPLES - len(faulty))
    by_label = {label: frame[frame["label"].fillna("") == label] for label in labels}
    taken: set[str] = set()
    for turn in range(room):
        mine = by_label[labels[turn % len(labels)]]
        free = mine[~mine["id"].isin(taken)]
        if len(free):
            fewest = free["group"].map(people)
            row = free.iloc[int(np.argmin(fewest.to_numpy()))]
            people[row["group"]] += 1
            taken.add(row["id"])
            rows.append(row)
    faulty_rows = frame[frame["id"].isin(set(faulty) - taken)]
    return rows + [row for _, row in faulty_rows.iterrows()]


def _shown(
    manifest: Manifest, summary: CorpusSummary, corpus: Corpus, folder: Path, bands: Mapping[str, list[float]]
) -> tuple[list[Card], dict[str, Any], str]:
    """Cards of recordings; spectra and maps of EEG; why there are none."""
    if isinstance(corpus, TableCorpus):
        return [], {}, "A table of features holds no recordings."
    rows = _examples(manifest.frame, summary.checks)
    cards, trials, names, rate = [], [], (), 0.0
    for row, recording in _read(corpus, folder, rows):
        words = (row["group"], row["label"], row["text"] and f"text {row['text']}")
        said = " · ".join(str(word) for word in words if word)
        identity = str(row["id"])
        told = [f"{kind}: {found[identity]}" for kind, found in summary.checks.items() if identity in found]
        facts = f"{said} · {row['duration_s']:.2f} s, {_rate(row['sample_rate_hz'])}"
        if corpus.modality == "speech":
            label = f"Waveform and spectrogram of {identity}"
            picture = pictures.sound(recording.signal[0], recording.sample_rate_hz, label)
        else:
            picture = pictures.traces(
                recording.signal, recording.sample_rate_hz, recording.channels, f"EEG of {identity}"
            )
        cards.append(Card(identity, facts, picture, "; ".join(told)))
    if not cards:
        return [], {}, "The recordings are not here: `dvc pull` fetches them."
    if corpus.modality == "speech":
        return cards, {}, ""
    step = max(1, len(manifest) // TRIALS)
    for _, recording in _read(
        corpus, folder, [row for _, row in manifest.frame.iloc[::step].iterrows()][:TRIALS]
    ):
        names, rate = names or recording.channels, rate or recording.sample_rate_hz
        if recording.channels == names and recording.sample_rate_hz == rate:
            trials.append(recording.signal)
    picture, hertz, power = pictures.spectra(trials, rate, names, "Power spectra of the EEG")
    maps = topomaps(power, hertz, names, bands)
    return cards, {"spectra": picture, "trials": len(trials), "maps": maps and embedded(maps)}, ""


def _read(corpus: Corpus, folder: Path, rows: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Rows with their recordings; those that are not there any more are left out."""
    for row in rows:
        try:
            yield row, corpus.read(folder, row)
        except (DataError, OSError):
            continue


def _check(kind: str, found: Mapping[str, str]) -> dict[str, Any]:
    return {
        "kind": kind,
        "count": len(found),
        "named": list(found.items())[:NAMED],
        "more": max(0, len(found) - NAMED),
    }


def _features(corpus: Corpus, folder: Path) -> list[tuple[str, str, str, str]]:
    """Name, smallest, median and largest value of each feature of a table."""
    if not isinstance(corpus, TableCorpus) or not folder.exists():
        return []
    table = corpus.table(folder, corpus.name)
    numbers = (np.min(table.X, axis=0), np.median(table.X, axis=0), np.max(table.X, axis=0))
    columns = zip(*numbers, strict=True)
    return [
        (name, *(f"{value:.4g}" for value in values))  # type: ignore[misc]
        for name, values in zip(features_of(corpus, folder), columns, strict=True)
    ]


def _provenance(summary: CorpusSummary) -> dict[str, str]:
    return {
        "Manifest": summary.digest,
        "DVC": summary.dvc_hash or "not tracked",
        "Folder": summary.path,
        "In the task": "yes" if summary.used else "no",
    }
