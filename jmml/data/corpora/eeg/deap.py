"""DEAP: EEG of 32 subjects who watched 40 one-minute music videos and rated each.

Koelstra, S., et al. (2012). DEAP: A Database for Emotion Analysis Using Physiological Signals. IEEE
Transactions on Affective Computing 3(1), 18-31. The layout is that of the preprocessed distribution.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jmml.data.corpora._base import files_in
from jmml.data.corpora._register import register_corpus
from jmml.data.corpora._safe_pickle import load_arrays
from jmml.data.corpora.eeg._trials import Found, Trial, TrialCorpus, missing, volts
from jmml.data.matlab import load_mat
from jmml.errors import RecordingError

SAMPLE_RATE_HZ = 128.0
BASELINE_S = 3.0
N_CHANNELS = 40
# The order of the preprocessed files (that of Geneva), first 32 of their 40 channels.
EEG_CHANNELS = (
    "Fp1", "AF3", "F3", "F7", "FC5", "FC1", "C3", "T7", "CP5", "CP1", "P3", "P7", "PO3", "O1", "Oz", "Pz",
    "Fp2", "AF4", "Fz", "F4", "F8", "FC6", "FC2", "Cz", "C4", "T8", "CP6", "CP2", "P4", "P8", "PO4", "O2",
)  # fmt: skip

_VARIABLES = ("data", "labels")
_NAME = re.compile(r"s\d+")
_FOLDERS = (".", "data_preprocessed_python", "data_preprocessed_matlab")


@register_corpus("deap")
class Deap(TrialCorpus):
    """``s01.dat`` (pickled arrays, read by :mod:`jmml.data.corpora._safe_pickle`) or ``s01.mat``.

    Each file holds one subject: ``data`` (trials, 40 channels, samples) in microvolts at 128 Hz and
    ``labels`` (trials, 4) with valence, arousal, dominance and liking in 1..9. The number and length of
    trials are read from the file. The adapter keeps the 32 EEG channels, takes off the 3 s of baseline
    before each video and converts to volts. Trials lie in the order of the videos, not in that of showing.
    """

    name = "deap"
    layout = (
        "s01.dat, s02.dat, ... or s01.mat, ... (also in data_preprocessed_python or data_preprocessed_matlab)"
    )
    companions = ()
    native_labels: Mapping[str, str] = {}
    sample_rate_hz = SAMPLE_RATE_HZ
    channels = EEG_CHANNELS
    rating_range = (1.0, 9.0)

    def trial_files(self, root: Path) -> list[Path]:
        """Subject files of the first folder that holds any (a full download has the same data twice)."""
        for folder in _FOLDERS:
            found = [f for f in files_in(root / folder, suffixes=[".dat", ".mat"]) if _NAME.fullmatch(f.stem)]
            if found:
                return found
        return []

    def load(self, root: Path, source: str) -> Sequence[Found]:
        arrays = _arrays(root / source, source)
        missing(arrays, _VARIABLES, source)
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
        # One subject of the real corpus is 100 MB on disk and 39 MB here.
        signals = volts(data[:, : len(EEG_CHANNELS), baseline:])
        return [
            Trial(
                f"t{number:02d}",
                signals[number - 1],
                Path(source).stem,
                valence=float(valence),
                arousal=float(arousal),
                text=f"{number:02d}",
            )
            for number, (valence, arousal) in enumerate(labels[:, :2].astype(np.float64), start=1)
        ]


def _arrays(path: Path, source: str) -> dict[str, np.ndarray]:
    if path.suffix.lower() == ".dat":
        return load_arrays(path, where=source)
    return load_mat(path, _VARIABLES, where=source, plain=True)
