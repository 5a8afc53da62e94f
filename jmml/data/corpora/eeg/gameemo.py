"""GAMEEMO: EEG of 28 people who played four computer games of five minutes; boring, calm, horror, funny.

Alakus, T. B., Gonen, M., Turkoglu, I. (2020). Database for an emotion recognition system based on EEG signals and
various computer games - GAMEEMO. Biomedical Signal Processing and Control 60, 101951.

The layout is that of the published archive, as three readers of it name its files; 14 channels, named in the header, at
128 Hz, in microvolts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from jmml.data.corpora._base import Listing
from jmml.data.corpora._register import register_corpus
from jmml.data.corpora.eeg._trials import Found, Trial, TrialCorpus, volts
from jmml.errors import RecordingError

CHANNELS = ("AF3", "AF4", "F3", "F4", "F7", "F8", "FC5", "FC6", "O1", "O2", "P7", "P8", "T7", "T8")
GAMES = {"1": "boring", "2": "calm", "3": "horror", "4": "funny"}
MAX_BYTES = 256 * 2**20  # of one table; those of the corpus have 6 MB
_NAME = re.compile(r"S(?P<person>\d{2})G(?P<game>[1-4])AllChannels\.csv", re.IGNORECASE)
_PLACES = ("(S*)/Preprocessed EEG Data/.csv format", "(S*)/Preprocessed EEG Data", "(S*)", ".")
_CAUTION = (
    "one recording per person and class: label, game and recording are one, so that windows of a recording on both "
    "sides of a split tell the label by themselves"
)


@register_corpus("gameemo")
class Gameemo(TrialCorpus):
    """``(S01)/Preprocessed EEG Data/.csv format/S01G1AllChannels.csv``; G1 boring, G2 calm, G3 horror, G4 funny.

    The folder's name begins with a dot, so that many tools leave it out as hidden. There is one recording per person
    and class: whatever tells recordings apart (drift, impedance, time of day) tells the classes apart. Only folds that
    leave people out, which are the only ones here, do not measure that; a note says so. Raw data and the ``.mat`` files
    of the same signals are left out. Horror is taken as fear, funny as happiness, boring as boredom.
    """

    name = "gameemo"
    layout = "(S01)/Preprocessed EEG Data/.csv format/S01G1AllChannels.csv, ... (GAMEEMO)"
    native_labels: Mapping[str, str] = {
        "boring": "boredom",
        "calm": "calm",
        "horror": "fear",
        "funny": "happiness",
    }
    sample_rate_hz = 128.0
    channels = CHANNELS

    def trial_files(self, root: Path) -> list[Path]:
        for base in (root, root / "GAMEEMO"):
            for place in _PLACES:
                found = [
                    file for file in base.glob(f"{place}/*") if _NAME.fullmatch(file.name) and file.is_file()
                ]
                if found:
                    return sorted(found, key=lambda file: file.name)
        return []

    def list_sources(self, root: Path) -> Listing[str]:
        return Listing(super().list_sources(root).sources, (), (_CAUTION,))

    def identity(self, source: str, trial: Trial) -> str:
        return trial.name

    def load(self, root: Path, source: str) -> Sequence[Found]:
        path = root / source
        if path.stat().st_size > MAX_BYTES:
            raise RecordingError(f"more than {MAX_BYTES // 2**20} MiB of text", where=source)
        name = _NAME.fullmatch(path.name)
        assert name is not None
        try:
            table = pd.read_csv(path, usecols=lambda column: column.strip() in CHANNELS, encoding="utf-8-sig")
            table = table.rename(columns=str.strip)
            absent = [channel for channel in CHANNELS if channel not in table]
            if absent:
                raise RecordingError(
                    f"no column {', '.join(absent)}: truncated, or of another kind", where=source
                )
            signal = table[list(CHANNELS)].to_numpy(np.float64).T
        except (ValueError, UnicodeDecodeError, pd.errors.ParserError) as error:
            raise RecordingError(
                f"truncated, or no table of numbers ({type(error).__name__})", where=source
            ) from None
        lines = path.read_bytes().split(b"\n")
        if lines[-1].count(b",") < lines[0].count(b",") and lines[-1]:
            raise RecordingError("truncated in its last line", where=source)
        person, game = f"S{name['person']}", name["game"]
        return [Trial(f"{person}G{game}", volts(signal), person, label=GAMES[game], text=f"G{game}")]
