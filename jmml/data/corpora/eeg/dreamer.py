"""DREAMER: EEG of 23 people who watched 18 film clips and rated each.

Katsigiannis, S., Ramzan, N. (2018). DREAMER: a database for emotion recognition through EEG and ECG signals from
wireless low-cost off-the-shelf devices. IEEE Journal of Biomedical and Health Informatics 22(1), 98-107.

One file, ``DREAMER.mat``: ``Data`` (1 x 23 cells) of structs with ``EEG.baseline`` and ``EEG.stimuli`` (18 x 1 cells,
samples x 14 in microvolts with the offset of the amplifier, 128 Hz), ``ScoreValence`` and ``ScoreArousal`` (18 x 1,
from 1 to 5), as its own ``EEG_SamplingRate`` and ``EEG_Electrodes`` say and as TorchEEG 1.1 reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jmml.data.corpora._register import register_corpus
from jmml.data.corpora.eeg._trials import Found, Trial, TrialCorpus, missing, volts
from jmml.data.matlab import load_mat
from jmml.errors import RecordingError

FILE = "DREAMER.mat"
CHANNELS = ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4")


@register_corpus("dreamer")
class Dreamer(TrialCorpus):
    """``DREAMER.mat``. A trial is a whole film clip; the minute of baseline before each is left out, not subtracted.

    Ratings go from 1 to 5, so that the threshold between low and high is 3 (``rating_threshold`` of its entry, set so
    where nothing else is said); a rating of 3 has no place in a dimensional label space (``unmapped: drop``). The clips
    stand in the order of their numbers, that of showing is not in the file. The file unpacks to some 2 GB, which is
    what reading it takes.
    """

    name = "dreamer"
    layout = FILE
    native_labels: Mapping[str, str] = {}
    sample_rate_hz = 128.0
    channels = CHANNELS
    rating_range = (1.0, 5.0)

    def trial_files(self, root: Path) -> list[Path]:
        return [root / FILE] if (root / FILE).is_file() else []

    def identity(self, source: str, trial: Trial) -> str:
        return trial.name

    def load(self, root: Path, source: str) -> Sequence[Found]:
        content = load_mat(root / source, ["DREAMER"], where=source)
        missing(content, ["DREAMER"], source)
        corpus = _struct(content["DREAMER"], ("Data", "EEG_SamplingRate"), source)
        rate = float(np.ravel(corpus["EEG_SamplingRate"])[0])
        if rate != self.sample_rate_hz:
            raise RecordingError(f"EEG at {rate:g} Hz", where=source, expected=f"{self.sample_rate_hz:g} Hz")
        trials: list[Found] = []
        for person, cell in enumerate(np.ravel(corpus["Data"]), start=1):
            where = f"{source}, person {person}"
            one = _struct(cell, ("EEG", "ScoreValence", "ScoreArousal"), where)
            stimuli = np.ravel(_struct(one["EEG"], ("stimuli",), where)["stimuli"])
            valence, arousal = (
                np.ravel(one[name]).astype(float) for name in ("ScoreValence", "ScoreArousal")
            )
            if not len(stimuli) == len(valence) == len(arousal):
                trials.append(
                    RecordingError(f"{len(stimuli)} clips with {len(valence)} ratings", where=where)
                )
                continue
            for clip, signal in enumerate(stimuli):
                trials.append(
                    Trial(
                        f"p{person:02d}_t{clip + 1:02d}",
                        volts(np.atleast_2d(signal).T),
                        f"p{person:02d}",
                        valence=valence[clip],
                        arousal=arousal[clip],
                        text=f"{clip + 1:02d}",
                    )
                )
        return trials


def _struct(value: Any, fields: Sequence[str], where: str) -> dict[str, Any]:
    """The fields of a MATLAB struct, however many arrays of one element stand around it."""
    while isinstance(value, np.ndarray) and value.dtype.names is None and value.size == 1:
        value = value.ravel()[0]
    names = getattr(getattr(value, "dtype", None), "names", None) or ()
    absent = [name for name in fields if name not in names]
    if absent:
        raise RecordingError(f"no field {' and no field '.join(absent)}", where=where)
    value = value.ravel()[0] if isinstance(value, np.ndarray) else value
    return {name: _bare(value[name]) for name in fields}


def _bare(value: Any) -> Any:
    """A struct in a field stands in an array of one element; a cell array or a matrix is left as it is."""
    if isinstance(value, np.ndarray) and value.dtype == object and value.size == 1:
        inner = value.ravel()[0]
        if getattr(getattr(inner, "dtype", None), "names", None):
            return inner
    return value
