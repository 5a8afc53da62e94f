"""SEED: EEG of 15 people who watched 15 Chinese film clips in each of three sessions; negative, neutral, positive.

Zheng, W.-L., Lu, B.-L. (2015). Investigating critical frequency bands and channels for EEG-based emotion recognition
with deep neural networks. IEEE Transactions on Autonomous Mental Development 7(3), 162-175.

The layout is that of the folder ``Preprocessed_EEG`` and its readme, as TorchEEG 1.1 and others read it: 62 channels at
200 Hz in the order of ``Channel Order.xlsx``; 1 positive, 0 neutral, -1 negative. No unit is stated; the values are
microvolts by their size.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jmml.data.corpora._base import files_in
from jmml.data.corpora._register import register_corpus
from jmml.data.corpora.eeg._trials import Found, Trial, TrialCorpus, volts
from jmml.data.matlab import load_mat, numbers
from jmml.errors import RecordingError

SAMPLE_RATE_HZ = 200.0
CHANNELS = (
    "Fp1", "Fpz", "Fp2", "AF3", "AF4", "F7", "F5", "F3", "F1", "Fz", "F2", "F4", "F6", "F8", "FT7", "FC5", "FC3", "FC1",
    "FCz", "FC2", "FC4", "FC6", "FT8", "T7", "C5", "C3", "C1", "Cz", "C2", "C4", "C6", "T8", "TP7", "CP5", "CP3", "CP1",
    "CPz", "CP2", "CP4", "CP6", "TP8", "P7", "P5", "P3", "P1", "Pz", "P2", "P4", "P6", "P8", "PO7", "PO5", "PO3", "POz",
    "PO4", "PO6", "PO8", "CB1", "O1", "Oz", "O2", "CB2",
)  # fmt: skip
CODES = {1: "positive", 0: "neutral", -1: "negative"}
LABELS = "label.mat"
SESSION_FILE = re.compile(r"(?P<person>\d{1,2})_(?P<date>\d{8})")
_VARIABLE = re.compile(r".*eeg_?(?P<trial>\d+)", re.IGNORECASE)
_FOLDERS = (".", "Preprocessed_EEG", "SEED_EEG/Preprocessed_EEG")


@register_corpus("seed")
class Seed(TrialCorpus):
    """``Preprocessed_EEG/1_20131027.mat`` (person and date) with ``djc_eeg1`` to ``djc_eeg15``, and ``label.mat``.

    The n-th value of ``label.mat`` belongs to the variable whose name ends in n; MATLAB lists ``eeg10`` before
    ``eeg2``. The clips are the same in all sessions, in the same order, so that ``text`` (the clip), ``order`` and
    label go together: no claim on stimuli is possible. A person's three dates are three sessions. Positive and negative
    are classes of valence alone (label space ``binary-valence``); for quadrants map them under ``labels``.
    """

    name = "seed"
    layout = f"Preprocessed_EEG/1_20131027.mat, ... and {LABELS} (SEED)"
    native_labels: Mapping[str, str] = {"neutral": "neutral"}
    sample_rate_hz = SAMPLE_RATE_HZ
    channels = CHANNELS
    companions = tuple((Path(folder) / LABELS).as_posix() for folder in _FOLDERS)

    def trial_files(self, root: Path) -> list[Path]:
        for folder in _FOLDERS:
            if (root / folder / LABELS).is_file() and (found := session_files(root / folder)):
                return found
        return []

    def beside(self, root: Path, source: str) -> list[Path]:
        return [(root / source).with_name(LABELS)]

    def load(self, root: Path, source: str) -> Sequence[Found]:
        codes = _codes((root / source).with_name(LABELS))
        return load_session(
            root, source, [CODES[code] for code in codes], session=Path(source).stem, clips=""
        )


def session_files(folder: Path) -> list[Path]:
    """Files of sessions, in order of people and dates."""
    found = [
        (int(name["person"]), name["date"], file)
        for file in files_in(folder, suffixes=[".mat"])
        if (name := SESSION_FILE.fullmatch(file.stem)) is not None
    ]
    return [file for _, _, file in sorted(found)]


def load_session(root: Path, source: str, labels: Sequence[str], *, session: str, clips: str) -> list[Found]:
    """Trials of one session, in the order of their numbers; ``clips`` is put before the numbers of the clips."""
    content = load_mat(root / source, where=source)
    named = {int(found["trial"]): name for name in content if (found := _VARIABLE.fullmatch(name))}
    if not named:
        raise RecordingError(
            f"no array *_eeg1 to *_eeg{len(labels)} (holds {', '.join(sorted(content)[:4]) or 'nothing'})",
            where=source,
            fix="add the folder of the signals, not that of extracted features",
        )
    person = f"{int(SESSION_FILE.fullmatch(Path(source).stem)['person']):02d}"  # type: ignore[index]
    trials: list[Found] = []
    for number, label in enumerate(labels, start=1):
        if number not in named:
            trials.append(RecordingError(f"no array for trial {number}", where=source))
            continue
        signal = numbers(content, named[number], source)
        if signal.ndim != 2:
            trials.append(RecordingError(f"EEG of shape {signal.shape}", where=f"{source}, trial {number}"))
            continue
        trials.append(
            Trial(
                f"t{number:02d}",
                volts(signal),
                person,
                label=label,
                text=f"{clips}{number:02d}",
                session=session,
                recording=session,
                order=float(number - 1),
            )
        )
    return trials


def _codes(path: Path) -> list[int]:
    content = load_mat(path, ["label"])
    if "label" not in content:
        raise RecordingError("no array label", where=path)
    codes = [int(code) for code in np.ravel(numbers(content, "label", path))]
    strange = sorted(set(codes) - set(CODES))
    if strange or not codes:
        raise RecordingError(f"labels {strange}", where=path, expected="1, 0 and -1")
    return codes
