"""SEED-IV: EEG of 15 people who watched 24 Chinese film clips in each of three sessions; neutral, sad, fear, happy.

Zheng, W.-L., Liu, W., Lu, Y., Lu, B.-L., Cichocki, A. (2019). EmotionMeter: a multimodal framework for recognizing
human emotions. IEEE Transactions on Cybernetics 49(3), 1110-1122.

The layout is that of the folder ``eeg_raw_data``; the labels of each session stand in its ReadMe.txt and nowhere in the
data (two independent readers have the same three lists: TorchEEG 1.1, emotion_analyzer_of_EEG). Channels as in SEED.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from jmml.data.corpora._register import register_corpus
from jmml.data.corpora.eeg._trials import Found, TrialCorpus
from jmml.data.corpora.eeg.seed import (
    CHANNELS,
    LABELS,
    SAMPLE_RATE_HZ,
    SESSION_FILE,
    load_session,
    session_files,
)

CODES = ("neutral", "sad", "fear", "happy")
# Session -> code of each trial.
SESSIONS = {
    "1": (1, 2, 3, 0, 2, 0, 0, 1, 0, 1, 2, 1, 1, 1, 2, 3, 2, 2, 3, 3, 0, 3, 0, 3),
    "2": (2, 1, 3, 0, 0, 2, 0, 2, 3, 3, 2, 3, 2, 0, 1, 1, 2, 1, 0, 3, 0, 1, 3, 1),
    "3": (1, 2, 2, 1, 3, 3, 3, 1, 1, 2, 1, 0, 2, 3, 3, 0, 2, 3, 0, 0, 2, 0, 1, 0),
}
_FOLDERS = (".", "eeg_raw_data")


@register_corpus("seed-iv")
class SeedIV(TrialCorpus):
    """``eeg_raw_data/1/1_20160518.mat`` (session, person, date) with ``cz_eeg1`` to ``cz_eeg24``.

    Each session has clips and labels of its own; a file in the folder of another session would be labelled wrongly in
    silence, so the folders must be named 1, 2 and 3.
    """

    name = "seed-iv"
    layout = "eeg_raw_data/1/1_20160518.mat, ..., eeg_raw_data/2/, eeg_raw_data/3/ (SEED-IV)"
    native_labels: Mapping[str, str] = {
        "neutral": "neutral",
        "sad": "sadness",
        "fear": "fear",
        "happy": "happiness",
    }
    sample_rate_hz = SAMPLE_RATE_HZ
    channels = CHANNELS

    def trial_files(self, root: Path) -> list[Path]:
        for folder in _FOLDERS:
            found = [file for session in SESSIONS for file in session_files(root / folder / session)]
            if found and not any((root / folder / session / LABELS).exists() for session in SESSIONS):
                return found
        return []

    def load(self, root: Path, source: str) -> Sequence[Found]:
        session = Path(source).parent.name
        labels = [CODES[code] for code in SESSIONS[session]]
        person = SESSION_FILE.fullmatch(Path(source).stem)["person"]  # type: ignore[index]
        return load_session(root, source, labels, session=f"{int(person):02d}_{session}", clips=f"{session}_")
