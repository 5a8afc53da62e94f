"""From a manifest to a feature table: every recording read, extracted or taken from the cache, in parallel.

Extraction is stateless per recording. Nothing is fitted here, so the table is the same whatever the split,
and the same bit for bit whatever the number of processes.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any, Protocol

import joblib
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from jmml.config import FeaturesConfig, Modality, digest
from jmml.data.features import eeg, extractors, speech
from jmml.data.features.audio import load_audio
from jmml.data.features.blocks import Recorded
from jmml.data.features.cache import Entry, FeatureCache
from jmml.data.table import CONTEXT_COLUMNS, INDEX_COLUMNS, FeatureTable
from jmml.errors import CorpusError, DataError, RecordingError
from jmml.fingerprint import fingerprint, source_of
from jmml.plugins import in_project
from jmml.printable import printable

SHOWN_PROBLEMS = 3
MAX_BATCH = 16
# Starting a process and importing librosa in it takes as long as a few hundred utterances.
MIN_PER_WORKER = 100


class Recording(Protocol):
    """Return type of ``read``: see :class:`jmml.data.corpora.Recording`."""

    @property
    def signal(self) -> np.ndarray: ...
    @property
    def sample_rate_hz(self) -> float: ...
    @property
    def channels(self) -> tuple[str, ...]: ...


Read = Callable[[Any], Recording]
Progress = Callable[[int, int], None]


def extractor_digest(modality: Modality, cfg: FeaturesConfig) -> str:
    """Fingerprint of one modality's extractor: its settings and its version."""
    settings = settings_of(modality, cfg)
    if (other := extractors.chosen(modality, settings)) is not None:
        return extractors.digest_of(other, settings)
    return speech.extractor_digest(cfg.speech) if modality == "speech" else eeg.extractor_digest(cfg.eeg)


def same_digests(modality: Modality, cfg: FeaturesConfig) -> tuple[str, ...]:
    """Fingerprints under which the same features are known, but for rounding; the present one first."""
    if modality == "speech" and cfg.speech.extractor is None:
        return speech.same_digests(cfg.speech)
    return (extractor_digest(modality, cfg),)


def settings_of(modality: Modality, cfg: FeaturesConfig) -> extractors.Settings:
    """The section of one modality."""
    return cfg.speech if modality == "speech" else cfg.eeg


def code_digest(modality: Modality, read: Read, other: extractors.Extractor | None = None) -> str:
    """Digest of the code that reads a recording of one modality and extracts its features, and of its libraries.

    A ``read``, or an extractor of a project (``other``), that is defined at a prompt is not looked into.
    """
    while isinstance(read, partial):
        read = read.func
    owner = getattr(read, "__self__", read)
    reader = owner.__module__ if isinstance(owner, FunctionType) else type(owner).__module__
    own = [reader] if other is None else [reader, type(other).__module__]
    entries = [__name__, *(name for name in own if source_of(name))]
    return fingerprint(*entries, without=(eeg.__name__ if modality == "speech" else speech.__name__,)).digest


def extract_corpus(
    manifest_frame: pd.DataFrame,
    read: Read,
    modality: Modality,
    cfg: FeaturesConfig,
    *,
    corpus: str,
    cache_dir: Path | str | None = None,
    cache_limit: int | None = None,
    workers: int = 1,
    skip_bad: bool = False,
    progress: bool | Progress | None = None,
) -> tuple[FeatureTable, list[str]]:
    """Features of every recording of a manifest.

    Parameters
    ----------
    manifest_frame : one row per recording, with the columns of a manifest.
    read : a manifest row to its recording; picklable when ``workers`` is above 1.
    modality : which extractor.
    cfg : settings of both extractors, of which one is used.
    corpus : name of the corpus, for the table and for errors.
    cache_dir : folder of the feature cache, or an address that fsspec knows; None for no cache.
    cache_limit : bytes that are left of the cache at the end, if it is a folder; those not used for longest go.
    workers : processes. 1 stays in this process, and so do jobs too small to share.
    skip_bad : leave unreadable recordings out instead of raising.
    progress : True draws a bar on standard error, False none, None where standard error is a terminal; or is called
        with how many recordings are done, of those not cached.

    Returns
    -------
    table : one row per utterance, or per EEG window (id ``RECORDING#000`` ...) where the trial is windowed.
    skipped : one line per recording left out.

    Raises
    ------
    RecordingError
        recordings cannot be used: their number and the first few, in one line; nothing is returned then.
        Also when no recording is left, and when the EEG channels differ between recordings.
    CorpusError
        the manifest is empty.

    Warns
    -----
    FlatChannelWarning
        EEG channels without a signal: which, and in how many windows.
    """
    if manifest_frame.empty:
        raise CorpusError("the manifest lists no recording", where=corpus, fix="check the path of the corpus")
    frame = manifest_frame.reset_index(drop=True)
    extractor = extractor_digest(modality, cfg)
    cache = None
    if cache_dir is not None:
        code = code_digest(modality, read, extractors.chosen(modality, settings_of(modality, cfg)))
        cache = FeatureCache(cache_dir, modality, digest([extractor, code], length=64))
    entries, problems = _gather(frame, read, modality, cfg, cache, corpus, workers, progress)
    if cache is not None and cache_limit is not None:
        cache.prune(cache_limit)
    if problems and not (skip_bad and entries):
        raise _unusable(problems, len(frame), corpus, offer_skip=bool(entries))
    rows = sorted(entries)
    channels = entries[rows[0]].channels
    names, units = described(modality, channels, cfg)
    blocks = [
        _aligned(entries[row], channels, names, modality, cfg, f"{corpus}: {frame['id'][row]}")
        for row in rows
    ]
    table = FeatureTable(
        corpus=corpus,
        modality=modality,
        index=_index(
            frame, rows, [len(block) for block in blocks], windowed=_windowed(modality, cfg, blocks)
        ),
        X=np.concatenate(blocks),
        names=names,
        units=units,
        extractor=extractor,
        settings=settings_of(modality, cfg).model_dump(mode="json"),
    )
    if flat := eeg.flat_windows(table, channels, cfg.eeg):
        warnings.warn(
            f"{table.corpus}: channels are flat in windows, and their power there is put at the floor: "
            f"{flat}. Interpolate or drop them",
            eeg.FlatChannelWarning,
            stacklevel=eeg.CALLER,
        )
    return table, problems


def _gather(
    frame: pd.DataFrame,
    read: Read,
    modality: Modality,
    cfg: FeaturesConfig,
    cache: FeatureCache | None,
    corpus: str,
    workers: int,
    progress: bool | Progress | None,
) -> tuple[dict[int, Entry], list[str]]:
    """Entries by row number, and a line per recording that cannot be used, in manifest order."""
    entries: dict[int, Entry] = {}
    problems: list[str] = []
    own_bar = progress if progress is None or isinstance(progress, bool) else False
    with tqdm(
        total=len(frame),
        desc=printable(f"{corpus} features"),
        unit="recording",
        file=sys.stderr,
        disable=None if own_bar is None else not own_bar,
        mininterval=0.1 if sys.stderr.isatty() else 5.0,
    ) as bar:
        if cache is not None:
            for row, content_hash in enumerate(frame["content_hash"]):
                if (found := cache.get(content_hash)) is not None:
                    entries[row] = found
            bar.update(len(entries))
        missing = [row for row in range(len(frame)) if row not in entries]
        workers = max(1, min(workers, len(missing) // MIN_PER_WORKER))
        done = 0
        job = in_project(partial(_extract_batch, read=read, modality=modality, cfg=cfg, cache=cache))
        for batch in _run(job, [frame.iloc[list(rows)] for rows in _batches(missing, workers)], workers):
            for row, result in batch:
                if isinstance(result, Entry):
                    entries[row] = result
                else:
                    problems.append(result)
            bar.update(len(batch))
            done += len(batch)
            if callable(progress):
                progress(done, len(missing))
    return entries, problems


def _batches(rows: Sequence[int], workers: int) -> list[Sequence[int]]:
    """Runs of neighbours, so that trials of one file are read together; several per worker to even out."""
    size = max(1, min(MAX_BATCH, -(-len(rows) // (4 * workers))))
    return [rows[start : start + size] for start in range(0, len(rows), size)]


Batch = list[tuple[int, Entry | str]]


def _run(job: Callable[[pd.DataFrame], Batch], batches: list[pd.DataFrame], workers: int) -> Iterator[Batch]:
    if workers == 1:
        # One thread, as in the workers: the order of a sum, and so its last bit, may depend on it.
        with threadpool_limits(limits=1):
            yield from map(job, batches)
        return
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        parallel = joblib.Parallel(n_jobs=workers, return_as="generator", batch_size=1)
        try:
            yield from parallel(joblib.delayed(job)(batch) for batch in batches)
        except BrokenProcessPool as error:  # joblib's own error is one
            raise DataError(
                "a process that extracts features died, most likely for want of memory",
                fix="use fewer workers, and look for recordings of extreme length",
            ) from error


def _extract_batch(
    frame: pd.DataFrame, *, read: Read, modality: Modality, cfg: FeaturesConfig, cache: FeatureCache | None
) -> Batch:
    results: Batch = []
    stream = _streamed(read) if modality == "speech" else None
    # Only unusable recordings are gathered: an unsafe file, or a full disk, stops everything at once.
    for number, row in zip(frame.index, frame.itertuples(index=False), strict=True):
        where = f"{row.path}: trial {int(str(row.item)) + 1}" if modality == "eeg" else row.path
        try:
            recording = read(row) if stream is None else stream(row)
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore", eeg.FlatChannelWarning
                )  # told of the whole corpus, cached or not
                entry = extract_one(recording, modality, cfg, where)
        except RecordingError as error:
            results.append((int(number), str(error)))
            continue
        if cache is not None:
            cache.put(str(row.content_hash), entry)
        results.append((int(number), entry))
    return results


def _streamed(read: Read) -> Callable[[Any], Recording | Recorded] | None:
    """``stream`` of the adapter whose ``read`` this is, with the same first arguments; None where it has none."""
    method = read.func if isinstance(read, partial) else read
    stream = getattr(getattr(method, "__self__", None), "stream", None)
    if stream is None or getattr(method, "__name__", None) != "read":
        return None
    return partial(stream, *read.args, **read.keywords) if isinstance(read, partial) else stream


def extract_one(
    recording: Recording | Recorded, modality: Modality, cfg: FeaturesConfig, where: object
) -> Entry:
    """Features of one recording, (rows, D), and the channels whose names they carry."""
    settings = settings_of(modality, cfg)
    other = extractors.chosen(modality, settings)
    if isinstance(recording, Recorded):
        if other is None:
            return Entry(
                ("mono",), speech.rows_of(recording.at(cfg.speech.sample_rate_hz), cfg.speech, where=where)
            )
        signal, rate = load_audio(recording.path)
        channels: tuple[str, ...] = ("mono",)
    else:
        signal, rate, channels = recording.signal, recording.sample_rate_hz, tuple(recording.channels)
    if modality == "speech":
        mono = speech.prepared(signal, rate, cfg.speech, where=where)
        if other is None:
            return Entry(("mono",), speech.rows_of((mono,), cfg.speech, where=where))
        signal, rate, channels = mono[None], cfg.speech.sample_rate_hz, ("mono",)
    if other is not None:
        return Entry(channels, extractors.features(other, signal, rate, channels, settings, where=where))
    return Entry(channels, eeg.extract(signal, rate, channels, cfg.eeg, where=where))


def described(
    modality: Modality, channels: Sequence[str], cfg: FeaturesConfig
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and units of the D features of one modality."""
    settings = settings_of(modality, cfg)
    if (other := extractors.chosen(modality, settings)) is not None:
        names, units = zip(*other.described(channels, settings), strict=True)
        return tuple(names), tuple(units)
    if modality == "speech":
        return speech.feature_names(cfg.speech), speech.feature_units(cfg.speech)
    return eeg.feature_names(channels, cfg.eeg), eeg.feature_units(channels, cfg.eeg)


def _aligned(
    entry: Entry,
    channels: Sequence[str],
    names: Sequence[str],
    modality: Modality,
    cfg: FeaturesConfig,
    where: str,
) -> np.ndarray:
    """Columns in the order of the first recording; an electrode is known by its name, not by its row."""
    if entry.channels == tuple(channels):
        return entry.X
    missing, extra = (
        sorted(set(a) - set(b)) for a, b in ((channels, entry.channels), (entry.channels, channels))
    )
    if missing or extra:
        raise RecordingError(
            "its channels differ from those of the first recording"
            + (f" (missing: {', '.join(missing)})" if missing else "")
            + (f" (in addition: {', '.join(extra)})" if extra else ""),
            where=where,
            fix="keep the channels that all recordings share, or make two corpora of them",
        )
    own = {name: column for column, name in enumerate(described(modality, entry.channels, cfg)[0])}
    return entry.X[:, [own[name] for name in names]]


def _windowed(modality: Modality, cfg: FeaturesConfig, blocks: Sequence[np.ndarray]) -> bool:
    if settings_of(modality, cfg).extractor is not None:
        return any(len(block) > 1 for block in blocks)
    return (cfg.eeg.window_s if modality == "eeg" else cfg.speech.segments) is not None


def _index(
    frame: pd.DataFrame, rows: Sequence[int], counts: Sequence[int], *, windowed: bool
) -> pd.DataFrame:
    repeated = frame.iloc[np.repeat(rows, counts)].reset_index(drop=True)
    index = repeated.assign(recording=repeated["id"], content=repeated["content_hash"])
    if "recording" in repeated:
        index["source"] = repeated["recording"]
    if windowed:
        numbers = [f"{window:03d}" for count in counts for window in range(count)]
        index["id"] = [
            f"{recording}#{number}" for recording, number in zip(index["recording"], numbers, strict=True)
        ]
    return index.loc[:, [*INDEX_COLUMNS, *(column for column in CONTEXT_COLUMNS if column in index)]]


def _unusable(problems: Sequence[str], total: int, corpus: str, *, offer_skip: bool) -> RecordingError:
    shown = " | ".join(problems[:SHOWN_PROBLEMS])
    more = f" | and {len(problems) - SHOWN_PROBLEMS} more" if len(problems) > SHOWN_PROBLEMS else ""
    return RecordingError(
        f"{len(problems)} of {total} recordings cannot be used: {shown}{more}",
        where=corpus,
        fix="repair or remove them"
        + (
            ", or leave them out (`jmml data add --skip-bad`, or skip_bad: true in its corpora entry)"
            if offer_skip
            else ""
        ),
    )
