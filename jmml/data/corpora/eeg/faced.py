"""FACED: EEG of 123 people who watched 28 film clips of nine emotions.

Chen, J., Wang, X., Huang, C., Hu, X., Shen, X., Zhang, D. (2023). A large finer-grained affective computing EEG
dataset. Scientific Data 10, 740.

The layout is that of ``Processed_data``, as TorchEEG 1.1 and others read it: a pickled array (28 clips, 32 channels,
7500 samples) per person, the last 30 s of each clip at 250 Hz, in the order of the clips' numbers and not of showing;
the channels of TorchEEG's list, then A2 and A1. No unit is stated; the values are microvolts by their size. The raw
data of the second cohort (sub061 on) have another order of electrodes; whether it was undone in ``Processed_data`` is
not stated where we looked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jmml.data.corpora._base import files_in
from jmml.data.corpora._register import register_corpus
from jmml.data.corpora._safe_pickle import load_array
from jmml.data.corpora.eeg._trials import Found, Trial, TrialCorpus, volts
from jmml.errors import RecordingError

CHANNELS = (
    "Fp1", "Fp2", "Fz", "F3", "F4", "F7", "F8", "FC1", "FC2", "FC5", "FC6", "Cz", "C3", "C4", "T7", "T8", "CP1", "CP2",
    "CP5", "CP6", "Pz", "P3", "P4", "P7", "P8", "PO3", "PO4", "Oz", "O1", "O2",
)  # fmt: skip
N_CHANNELS = 32  # with both mastoids
# First and last clip of each emotion.
CLIPS = {
    "anger": (1, 3), "disgust": (4, 6), "fear": (7, 9), "sadness": (10, 12), "neutral": (13, 16), "amusement": (17, 19),
    "inspiration": (20, 22), "joy": (23, 25), "tenderness": (26, 28),
}  # fmt: skip
_NAME = re.compile(r"sub(?P<person>\d{3})")
_FOLDERS = (".", "Processed_data")


@register_corpus("faced")
class Faced(TrialCorpus):
    """``Processed_data/sub000.pkl`` (read by :mod:`jmml.data.corpora._safe_pickle`, which runs nothing).

    Amusement and joy are happiness. Inspiration and tenderness are positive and have no emotion of
    :data:`jmml.data.labels.EMOTIONS`: they are mapped under ``labels``, or left out with ``unmapped: drop``. Every
    person saw the same clips, so that ``text`` tells the label.
    """

    name = "faced"
    layout = "Processed_data/sub000.pkl, sub001.pkl, ... (FACED)"
    native_labels: Mapping[str, str] = {
        "anger": "anger",
        "disgust": "disgust",
        "fear": "fear",
        "sadness": "sadness",
        "neutral": "neutral",
        "amusement": "happiness",
        "joy": "happiness",
    }
    sample_rate_hz = 250.0
    channels = CHANNELS

    def trial_files(self, root: Path) -> list[Path]:
        for folder in _FOLDERS:
            found = [f for f in files_in(root / folder, suffixes=[".pkl"]) if _NAME.fullmatch(f.stem)]
            if found:
                return found
        return []

    def load(self, root: Path, source: str) -> Sequence[Found]:
        data = load_array(root / source, where=source)
        clips = {clip: label for label, (first, last) in CLIPS.items() for clip in range(first, last + 1)}
        if data.ndim != 3 or data.shape[:2] != (len(clips), N_CHANNELS) or data.dtype.kind not in "iuf":
            raise RecordingError(
                f"data of shape {data.shape}", where=source, expected=f"({len(clips)}, {N_CHANNELS}, samples)"
            )
        signals = volts(np.asarray(data)[:, : len(CHANNELS)])
        return [
            Trial(f"t{clip:02d}", signals[clip - 1], Path(source).stem, label=label, text=f"{clip:02d}")
            for clip, label in sorted(clips.items())
        ]
