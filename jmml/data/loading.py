"""From a folder to a corpus, and from a corpus to its feature table: the first two steps in a notebook.

The stages of a project take the same steps one at a time, with DVC between them (``pipelines.stages``).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from jmml.config import FeaturesConfig, Modality
from jmml.data.corpora import (
    ADAPTERS,
    Corpus,
    EitherCorpus,
    Recording,
    detect_adapter,
    get_corpus,
)
from jmml.data.corpora.table import TableCorpus
from jmml.data.features.extract import extract_corpus
from jmml.data.manifest import Manifest
from jmml.data.table import FeatureTable
from jmml.errors import CorpusError

SHOWN = 3


@dataclass(frozen=True, repr=False)
class LoadedCorpus:
    """The recordings of a folder, listed and fingerprinted; signals are read when they are asked for.

    Attributes
    ----------
    name : what errors and tables call it.
    adapter : name of the adapter that reads it.
    root : the folder, or the one table in it.
    modality : ``"speech"`` or ``"eeg"``.
    manifest : one row per usable recording; ``manifest.skipped`` and ``manifest.notes`` say what is left out, and why.
    """

    name: str
    adapter: str
    root: Path
    modality: Modality
    manifest: Manifest
    reader: Corpus

    def __len__(self) -> int:
        return len(self.manifest)

    def __repr__(self) -> str:
        people = self.manifest.frame["group"].nunique()
        kind = "speakers" if self.modality == "speech" else "subjects"
        return (
            f"<corpus '{self.name}': {len(self)} {self.modality} recordings of {people} {kind}, "
            f"read by '{self.adapter}'>"
        )

    def recordings(self) -> Iterator[tuple[Any, Recording]]:
        """Each row of the manifest (a named tuple: ``id``, ``label``, ``group``, ...) with its recording.

        A recording has its ``signal``, float32 (channels, samples), speech in -1..1 and EEG in volts; its
        ``sample_rate_hz`` and ``channels``. A table of features has none, which is a :class:`CorpusError`.
        """
        for row in self.manifest.frame.itertuples(index=False):
            yield row, self.reader.read(self.root, row)


def load_corpus(
    path: Path | str,
    adapter: str | None = None,
    *,
    name: str | None = None,
    modality: Modality | None = None,
    skip_bad: bool = False,
    features: Sequence[str] = (),
    leave_out: Sequence[str] = (),
    windows: bool | None = None,
) -> LoadedCorpus:
    """The corpus under ``path``: every file found, its header read and its bytes hashed.

    Parameters
    ----------
    path : folder of the corpus, or a table of ready-made features (CSV, TSV, Parquet); ``~`` is the home folder.
    adapter : which adapter reads it; left out, the first one whose layout the files have.
    name : what to call it; the adapter's name if left out. Two corpora of one task need two names.
    modality : ``"speech"`` or ``"eeg"``, for tables, which do not say what they hold.
    skip_bad : leave unreadable recordings out, with a warning that counts them, instead of raising.
    features, leave_out, windows : of a table: columns that are features all the same, or none, and whether rows whose
        ids differ in their last number alone are windows of one recording (:func:`jmml.data.corpora.read_table`).

    Raises
    ------
    CorpusError : no such folder, no adapter recognises its files, or nothing says what modality a table holds.
    RecordingError : recordings cannot be used; their number and the first few, in one line.

    Example
    -------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name, "lab.csv")
    >>> _ = path.write_text("id,group,label,f0_mean [Hz]\\na,01,anger,210\\nb,01,calm,120\\nc,02,anger,180\\n")
    >>> corpus = load_corpus(path, name="lab", modality="speech")
    >>> corpus
    <corpus 'lab': 3 speech recordings of 2 speakers, read by 'table'>
    >>> corpus.manifest.frame["label"].tolist()
    ['anger', 'calm', 'anger']
    >>> folder.cleanup()
    """
    root = Path(path).expanduser()
    if not root.exists():
        raise CorpusError("no such file or folder", where=root, fix="check the path")
    chosen = adapter or detect_adapter(root)
    if chosen is None:
        raise CorpusError(
            "no adapter recognises these files",
            where=root,
            expected=f"a layout of {', '.join(sorted(ADAPTERS))}",
            fix="name the adapter; `jmml data adapters` describes them, and those of a project's own are known after "
            "jmml.plugins.use_project(folder)",
        )
    reader = get_corpus(chosen, modality)
    if modality is None and isinstance(reader, EitherCorpus) and (held := reader.held_in(root)) is not None:
        reader = reader.holding(held)
    if reader.modality is None:
        raise CorpusError(
            f"adapter '{chosen}' does not say what it holds",
            where=root,
            fix='give modality="speech" or "eeg"',
        )
    holds = reader.modality
    if isinstance(reader, TableCorpus):
        reader = replace(reader, features=tuple(features), leave_out=tuple(leave_out), windows=windows)
    elif features or leave_out or windows is not None:
        raise CorpusError(f"features, leave_out and windows are of tables, not of '{chosen}'", where=root)
    manifest = replace(reader.scan(root, skip_bad=skip_bad), corpus=name or chosen)
    _warn(manifest.corpus, manifest.skipped)
    return LoadedCorpus(manifest.corpus, chosen, root, holds, manifest, reader)


def extract_features(
    corpus: LoadedCorpus,
    config: FeaturesConfig | None = None,
    *,
    cache_dir: Path | str | None = None,
    workers: int = 1,
    skip_bad: bool = False,
    progress: bool | None = None,
) -> FeatureTable:
    """Features of every recording: (n, D) float32, each column with a name and a unit.

    Speech gives one row per utterance, EEG one per window (docs/method.md lists the features). Extraction is stateless
    per recording: nothing is fitted, so nothing can leak, whatever the folds. A table of ready-made features is taken
    as it is.

    Parameters
    ----------
    corpus : what :func:`load_corpus` returned.
    config : settings of both extractors; the defaults of ``params.yaml`` if left out.
    cache_dir : where features are kept by content, so that the next call takes them from there.
    workers : processes; the table is the same to the last bit for any number.
    skip_bad : leave unreadable recordings out, with a warning that counts them, instead of raising.
    progress : True draws a bar on standard error, False none, None where standard error is a terminal.

    Raises
    ------
    RecordingError : recordings are silent, cut off or not finite; their number and the first few, in one line.
    DataError : a table of features with missing columns, or values that are not finite.

    Example
    -------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name, "lab.csv")
    >>> _ = path.write_text("id,group,label,f0_mean [Hz]\\na,01,anger,210\\nb,01,calm,120\\nc,02,anger,180\\n")
    >>> table = extract_features(load_corpus(path, modality="speech"))
    >>> table.X.shape, table.names, table.units
    ((3, 1), ('f0_mean',), ('Hz',))
    >>> table.to_frame()[["id", "group", "label", "f0_mean"]].values.tolist()[0]
    ['a', '01', 'anger', 210.0]
    >>> folder.cleanup()
    """
    if not isinstance(corpus, LoadedCorpus):
        raise CorpusError(
            f"{type(corpus).__name__} is not a corpus",
            expected="what load_corpus returned",
            fix="extract_features(load_corpus(path))",
        )
    if isinstance(corpus.reader, TableCorpus):
        table = corpus.reader.table(corpus.root, corpus.name)
    else:
        table, skipped = extract_corpus(
            corpus.manifest.frame,
            partial(corpus.reader.read, corpus.root),
            corpus.modality,
            config or FeaturesConfig(),
            corpus=corpus.name,
            cache_dir=_place(cache_dir),
            workers=workers,
            skip_bad=skip_bad,
            progress=progress,
        )
        _warn(corpus.name, skipped)
    return replace(table, adapter=corpus.adapter)


def _warn(name: str, skipped: list[str]) -> None:
    if skipped:
        more = f"; and {len(skipped) - SHOWN} more" if len(skipped) > SHOWN else ""
        # Seen at the line of whoever called the public function.
        warnings.warn(
            f"{name}: {len(skipped)} recordings left out: {'; '.join(skipped[:SHOWN])}{more}", stacklevel=3
        )


def _place(cache_dir: Path | str | None) -> Path | str | None:
    if cache_dir is None or "://" in str(cache_dir):
        return cache_dir
    return Path(cache_dir).expanduser()
