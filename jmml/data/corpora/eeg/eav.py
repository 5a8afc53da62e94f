"""EAV: speech and EEG of 42 people in cued conversations; neutral, anger, happiness, sadness, calmness.

Lee, M.-H., Shomanov, A., Begim, B., Kabidenova, Z., Nyssanbay, A., Yazici, A., Lee, S.-W. (2024). EAV: EEG-Audio-Video
dataset for emotion recognition in conversational contexts. Scientific Data 11, 1026.

The layout is that of the published archive and of the authors' own reader (github.com/nubcico/EAV, Dataload_eeg.py):
per person ``EEG/subject1_eeg.mat`` with ``seg`` or ``seg1`` (10,000 samples x 30 channels x 200 trials, 500 Hz) and
``subject1_eeg_label.mat`` with ``label`` (10 x 200, one-hot), and ``Audio/002_Trial_02_Speaking_Neutral_Aud.wav``,
whose first number is the trial's. What the ten rows mean is not documented; a reader who compared them with the names
of all 8,400 media files has them as here (row = 2 x emotion + task). No order of channels and no unit is stated: the
order is that of the amplifier's standard cap of 32 without TP9 and TP10, the unit is taken as microvolts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jmml.config import Modality
from jmml.data.corpora._base import Listing, Manifest, Progress, Recording, Remark, files_in
from jmml.data.corpora._register import register_corpus
from jmml.data.corpora._speech import SpeechCorpus, Utterance
from jmml.data.corpora.eeg._trials import Found, Trial, TrialCorpus, missing, volts
from jmml.data.matlab import load_mat, numbers
from jmml.errors import RecordingError

SAMPLE_RATE_HZ = 500.0
CHANNELS = (
    "Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "FC5", "FC1", "FC2", "FC6", "T7", "C3", "Cz", "C4", "T8", "CP5", "CP1",
    "CP2", "CP6", "P7", "P3", "Pz", "P4", "P8", "PO9", "O1", "Oz", "O2", "PO10",
)  # fmt: skip
EMOTIONS = (
    "Neutral",
    "Sadness",
    "Anger",
    "Happiness",
    "Calmness",
)  # rows 0 and 1, 2 and 3, ... of the labels
SPEAKING = 1  # of the two rows of an emotion; the other is listening
_LAYOUT = (
    "subject1/Audio/002_Trial_02_Speaking_Neutral_Aud.wav, ... and subject1/EEG/subject1_eeg.mat, ... (EAV)"
)
_LABELS: Mapping[str, str] = {
    "Neutral": "neutral",
    "Sadness": "sadness",
    "Anger": "anger",
    "Happiness": "happiness",
    "Calmness": "calm",
}
_PERSON = re.compile(r"subject_?(?P<number>\d{1,2})_*", re.IGNORECASE)
_AUDIO = re.compile(
    r"(?P<trial>\d{3})_Trial_\d+_(?P<task>Speaking|Listening)_(?P<label>[A-Za-z]+)(?:_aud)?\.wav",
    re.IGNORECASE,
)
_ORDER = (
    "the order of classes is the same for all people, so that a trial's place in the session tells its label"
)


@register_corpus("eav")
class Eav:
    """One folder, two corpora of the same people: added twice, with ``--modality speech`` and ``--modality eeg``.

    Ids are the same in both (``subject01_002``: person and trial), and so are people's names: folds then leave a person
    out of both at once, and ``pairing: instance`` pairs each utterance with the EEG of that utterance. The EEG is that
    of the trials in which the person speaks; listening is left out, as in the authors' experiments. The classes came in
    a fixed order; ``order`` carries the place of each trial.
    """

    name = "eav"
    layout = _LAYOUT
    native_labels: Mapping[str, str] = _LABELS

    def __init__(self, modality: Modality = "eeg") -> None:
        self.modality: Modality = modality
        self._part: EavSpeech | EavEEG = EavSpeech() if modality == "speech" else EavEEG()

    @property
    def modalities(self) -> tuple[Modality, ...]:
        return ("speech", "eeg")

    def holding(self, modality: Modality) -> Eav:
        return Eav(modality)

    def held_in(self, root: Path) -> Modality | None:
        """The one modality that is there; None where both are."""
        speech, eeg = EavSpeech().recognises(root), EavEEG().recognises(root)
        return None if speech == eeg else "speech" if speech else "eeg"

    def recognises(self, root: Path) -> bool:
        return EavSpeech().recognises(root) or EavEEG().recognises(root)

    def scan(self, root: Path, *, skip_bad: bool = False, progress: Progress | None = None) -> Manifest:
        return self._part.scan(root, skip_bad=skip_bad, progress=progress)

    def read(self, root: Path, row: Any) -> Recording:
        return self._part.read(root, row)

    def files(self, root: Path) -> list[str]:
        """Places of the files of this modality; the videos are many times as large."""
        if isinstance(self._part, EavSpeech):
            found = [file for _, file in _audio(root)]
        else:
            eeg = self._part.trial_files(root)
            found = [file for path in eeg for file in (path, _label_file(path)) if file.is_file()]
        return [file.relative_to(root).as_posix() for file in found]


class EavSpeech(SpeechCorpus):
    """The utterances."""

    name = "eav"
    layout = _LAYOUT
    native_labels = _LABELS

    def recognises(self, root: Path) -> bool:
        return bool(_audio(root))

    def list_sources(self, root: Path) -> Listing[Utterance]:
        utterances, problems, listening = [], [], 0
        for person, file in _audio(root):
            path = file.relative_to(root).as_posix()
            named = _AUDIO.fullmatch(file.name)
            label = named["label"].capitalize() if named is not None else ""
            if named is None or label not in _LABELS:
                problems.append(
                    RecordingError(
                        "name not coded as in EAV",
                        where=path,
                        expected="002_Trial_02_Speaking_Neutral_Aud.wav",
                    )
                )
            elif named["task"].capitalize() != "Speaking":
                listening += 1
            else:
                trial = named["trial"]
                utterances.append(
                    Utterance(path, f"{person}_{trial}", person, label, order=float(int(trial) - 1))
                )
        notes = [_ORDER, *([f"{listening} files of listening left out"] if listening else [])]
        return Listing(utterances, problems, notes)


class EavEEG(TrialCorpus):
    """The EEG of the trials in which the person speaks."""

    name = "eav"
    layout = _LAYOUT
    native_labels = _LABELS
    sample_rate_hz = SAMPLE_RATE_HZ
    channels = CHANNELS

    def trial_files(self, root: Path) -> list[Path]:
        return [
            file
            for _, folder in _people(root)
            for file in files_in(folder / "EEG", suffixes=[".mat"])
            if file.stem.lower().endswith("_eeg")
        ]

    def beside(self, root: Path, source: str) -> list[Path]:
        return [file for file in [_label_file(root / source)] if file.is_file()]

    def identity(self, source: str, trial: Trial) -> str:
        return f"{trial.group}_{trial.name}"

    def list_sources(self, root: Path) -> Listing[str]:
        return Listing(super().list_sources(root).sources, (), (_ORDER,))

    def load(self, root: Path, source: str) -> Sequence[Found]:
        path = root / source
        content = load_mat(path, ["seg", "seg1"], where=source, plain=True)
        name = "seg" if "seg" in content else "seg1"
        missing(content, [name], source)
        data = numbers(content, name, source)
        if data.ndim != 3 or data.shape[1] != len(CHANNELS):
            raise RecordingError(
                f"data of shape {data.shape}", where=source, expected=f"(samples, {len(CHANNELS)}, trials)"
            )
        rows = _rows(_label_file(path), data.shape[2], source)
        person = _person(path.parent.parent)
        trials: list[Found] = [
            Trial(
                f"{number + 1:03d}",
                volts(np.ascontiguousarray(data[:, :, number].T)),
                person,
                label=EMOTIONS[row // 2],
                recording=person,
                order=float(number),
            )
            for number, row in enumerate(rows)
            if row % 2 == SPEAKING
        ]
        if len(trials) < len(rows):
            trials.append(Remark("trials of listening left out", source))
        return trials


def _rows(path: Path, count: int, source: str) -> list[int]:
    """Row of each trial's one."""
    where = f"{Path(source).parent.as_posix()}/{path.name}"
    content = load_mat(path, ["label"], where=where, plain=True)
    missing(content, ["label"], where)
    label = numbers(content, "label", where)
    if label.shape == (count, 2 * len(EMOTIONS)) and count != 2 * len(EMOTIONS):
        label = label.T
    if label.shape != (2 * len(EMOTIONS), count):
        raise RecordingError(
            f"labels of shape {label.shape}", where=where, expected=f"({2 * len(EMOTIONS)}, {count})"
        )
    ones = (label != 0).sum(axis=0)
    if (ones != 1).any():
        raise RecordingError(
            f"trial {int((ones != 1).argmax()) + 1} has {int(ones[(ones != 1).argmax()])} labels", where=where
        )
    return [int(row) for row in label.argmax(axis=0)]


def _label_file(path: Path) -> Path:
    return path.with_name(f"{path.stem}_label.mat")


def _person(folder: Path) -> str:
    named = _PERSON.fullmatch(folder.name)
    return f"subject{int(named['number']):02d}" if named else folder.name


def _people(root: Path) -> list[tuple[str, Path]]:
    for base in (root, root / "EAV"):
        found = [
            (_person(entry), entry)
            for entry in files_in(base, folders=True)
            if entry.is_dir() and _PERSON.fullmatch(entry.name)
        ]
        if found:
            return sorted(found)
    return []


def _audio(root: Path) -> list[tuple[str, Path]]:
    return [
        (person, file)
        for person, folder in _people(root)
        for file in files_in(folder / "Audio", suffixes=[".wav"])
    ]
