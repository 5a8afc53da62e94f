"""DEAP: EEG of 32 subjects who watched 40 one-minute music videos and rated each.

Koelstra, S., et al. (2012). DEAP: A Database for Emotion Analysis Using Physiological Signals. IEEE
Transactions on Affective Computing 3(1), 18-31. The layout is that of the preprocessed distribution.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from jmml.config import Modality
from jmml.data.corpora._base import FileCorpus, Listing, ManifestRow, Recording, field_of, files_in
from jmml.data.corpora._register import register_corpus
from jmml.data.corpora._safe_pickle import load_arrays
from jmml.data.listing.on_disk import check_file
from jmml.data.matlab import load_mat
from jmml.errors import RecordingError

SAMPLE_RATE_HZ = 128.0
BASELINE_S = 3.0
N_CHANNELS = 40
RATING_RANGE = (1.0, 9.0)
# The order of the preprocessed files (that of Geneva), first 32 of their 40 channels.
EEG_CHANNELS = (
    "Fp1", "AF3", "F3", "F7", "FC5", "FC1", "C3", "T7", "CP5", "CP1", "P3", "P7", "PO3", "O1", "Oz", "Pz",
    "Fp2", "AF4", "Fz", "F4", "F8", "FC6", "FC2", "Cz", "C4", "T8", "CP6", "CP2", "P4", "P8", "PO4", "O2",
)  # fmt: skip

_VARIABLES = ("data", "labels")
_NAME = re.compile(r"s\d+")
_FOLDERS = (".", "data_preprocessed_python", "data_preprocessed_matlab")


@register_corpus("deap")
class Deap(FileCorpus[str]):
    """``s01.dat`` (pickled arrays, read by :mod:`jmml.data.corpora._safe_pickle`) or ``s01.mat``.

    Each file holds one subject: ``data`` (trials, 40 channels, samples) in microvolts at 128 Hz and
    ``labels`` (trials, 4) with valence, arousal, dominance and liking in 1..9. The number and length of
    trials are read from the file. The adapter keeps the 32 EEG channels, takes off the 3 s of baseline
    before each video and converts to volts.
    """

    name = "deap"
    modality: Modality = "eeg"
    layout = (
        "s01.dat, s02.dat, ... or s01.mat, ... (also in data_preprocessed_python or data_preprocessed_matlab)"
    )
    native_labels: Mapping[str, str] = {}

    def recognises(self, root: Path) -> bool:
        return bool(_containers(root))

    def list_sources(self, root: Path) -> Listing[str]:
        return Listing([file.relative_to(root).as_posix() for file in _containers(root)])

    def inspect(self, root: Path, source: str) -> Iterator[ManifestRow | RecordingError]:
        subject = _load(root, source)
        for item, (signal, ratings) in enumerate(zip(subject.signal, subject.ratings, strict=True)):
            trial = f"{source}, trial {item + 1}"
            if not np.isfinite(signal).all():
                yield RecordingError("EEG values that are not finite", where=trial)
            elif not ((ratings >= RATING_RANGE[0]) & (ratings <= RATING_RANGE[1])).all():
                shown = ", ".join(f"{rating:g}" for rating in ratings)
                yield RecordingError(f"valence and arousal rated {shown}", where=trial, expected="1 to 9")
            else:
                yield ManifestRow(
                    id=f"{Path(source).stem}_t{item + 1:02d}",
                    path=source,
                    item=item,
                    modality="eeg",
                    label=None,
                    valence=float(ratings[0]),
                    arousal=float(ratings[1]),
                    group=Path(source).stem,
                    duration_s=signal.shape[1] / SAMPLE_RATE_HZ,
                    sample_rate_hz=SAMPLE_RATE_HZ,
                    content_hash=hashlib.sha256(np.ascontiguousarray(signal, "<f4").tobytes()).hexdigest(),
                    text=f"{item + 1:02d}",  # trials lie in the order of the video clips, not in that of showing
                )

    def read(self, root: Path, row: Any) -> Recording:
        """One trial as (32, samples) in volts. Successive trials of a subject load its file once."""
        source, item = str(field_of(row, "path")), int(field_of(row, "item"))
        signal = _load(root, source).signal
        if not 0 <= item < len(signal):
            raise RecordingError(
                f"trial {item + 1} of {len(signal)}", where=root / source, fix="scan the corpus again"
            )
        return Recording(signal[item], SAMPLE_RATE_HZ, EEG_CHANNELS)


@dataclass(frozen=True)
class _Subject:
    signal: np.ndarray  # (trials, 32, samples) float32, volts, read-only
    ratings: np.ndarray  # (trials, 2) valence, arousal


def _containers(root: Path) -> list[Path]:
    """Subject files of the first folder that holds any (a full download has the same data twice)."""
    for folder in _FOLDERS:
        found = [f for f in files_in(root / folder, suffixes=[".dat", ".mat"]) if _NAME.fullmatch(f.stem)]
        if found:
            return found
    return []


def _load(root: Path, source: str) -> _Subject:
    path = root / source
    check_file(path, where=source)
    stat = path.stat()
    return _load_cached(path, source, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=1)
def _load_cached(path: Path, source: str, _mtime_ns: int, _size: int) -> _Subject:
    # One subject of the real corpus is 100 MB on disk and 39 MB here: one is kept, as rows come in order.
    arrays = _arrays(path, source)
    missing = [name for name in _VARIABLES if name not in arrays]
    if missing:
        held = ", ".join(sorted(arrays)) or "nothing"
        raise RecordingError(f"no array {' and no array '.join(missing)} (holds {held})", where=source)
    data, labels = arrays["data"], arrays["labels"]
    baseline = round(BASELINE_S * SAMPLE_RATE_HZ)
    if data.ndim != 3 or data.shape[0] == 0 or data.shape[1] != N_CHANNELS or data.shape[2] <= baseline:
        raise RecordingError(
            f"data of shape {data.shape}",
            where=source,
            expected=f"(trials, {N_CHANNELS}, samples) with more than {baseline} samples",
        )
    if labels.shape != (data.shape[0], 4):
        raise RecordingError(
            f"labels of shape {labels.shape}", where=source, expected=f"({data.shape[0]}, 4)"
        )
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # what does not fit is reported per trial as not finite
        signal = (data[:, : len(EEG_CHANNELS), baseline:] * 1e-6).astype(np.float32)
    signal.flags.writeable = False
    return _Subject(signal, labels[:, :2].astype(np.float64))


def _arrays(path: Path, source: str) -> dict[str, np.ndarray]:
    if path.suffix.lower() == ".dat":
        return load_arrays(path, where=source)
    return load_mat(path, _VARIABLES, where=source, plain=True)
