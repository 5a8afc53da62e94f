"""AMIGOS: EEG of 40 people who watched 16 short and 4 long film clips and rated each.

Miranda-Correa, J. A., Abadi, M. K., Sebe, N., Patras, I. (2021). AMIGOS: a dataset for affect, personality and mood
research on individuals and groups. IEEE Transactions on Affective Computing 12(2), 479-493.

The layout is that of ``data_preprocessed``: ``joined_data`` (1 x 20 cells, samples x 17: 14 EEG, 2 ECG, GSR; 128 Hz),
``labels_selfassessment`` (1 x 20 cells, 1 x 12: arousal, valence, dominance, liking, familiarity, seven emotions) and
``VideoIDs``, as TorchEEG 1.1 and four others read it; the first 5 s of a trial are baseline (TorchEEG).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jmml.data.corpora._base import Remark, files_in
from jmml.data.corpora._register import register_corpus
from jmml.data.corpora.eeg._trials import Found, Trial, TrialCorpus, missing, volts
from jmml.data.corpora.eeg.dreamer import CHANNELS
from jmml.data.matlab import load_mat
from jmml.errors import RecordingError

BASELINE_S = 5.0
_NAME = re.compile(r"Data_Preprocessed_P(?P<person>\d+)")
_FOLDERS = (".", "data_preprocessed", "Data_Preprocessed")


@register_corpus("amigos")
class Amigos(TrialCorpus):
    """``data_preprocessed/Data_Preprocessed_P01.mat``, also in a folder of its own name.

    Arousal stands before valence in the file. Ratings go from 1 to 9, the threshold is 5. Clips 1 to 16 are short, 17
    to 20 long (some people saw these in groups); people who missed clips have empty cells there, which are told of in a
    note. Trials with values that are NaN are unusable: ``--skip-bad`` leaves them out.
    """

    name = "amigos"
    layout = "data_preprocessed/Data_Preprocessed_P01.mat, ... (AMIGOS)"
    native_labels: Mapping[str, str] = {}
    sample_rate_hz = 128.0
    channels = CHANNELS
    rating_range = (1.0, 9.0)

    def trial_files(self, root: Path) -> list[Path]:
        for folder in _FOLDERS:
            nested = (entry for entry in files_in(root / folder, folders=True) if _NAME.fullmatch(entry.name))
            places = [root / folder, *(entry for entry in nested if entry.is_dir())]
            found = [file for place in places for file in files_in(place, suffixes=[".mat"])]
            if found := [file for file in found if _NAME.fullmatch(file.stem)]:
                return found
        return []

    def load(self, root: Path, source: str) -> Sequence[Found]:
        names = ["joined_data", "labels_selfassessment", "VideoIDs"]
        content = load_mat(root / source, names, where=source)
        missing(content, names[:2], source)
        data, ratings = (_cells(content[name], name, source) for name in names[:2])
        if len(data) != len(ratings):
            raise RecordingError(f"{len(data)} trials with {len(ratings)} ratings", where=source)
        videos = [
            str(np.ravel(cell)[0]) if np.size(cell) else "" for cell in np.ravel(content.get("VideoIDs", []))
        ]
        person = f"P{int(_NAME.fullmatch(Path(source).stem)['person']):02d}"  # type: ignore[index]
        start = round(BASELINE_S * self.sample_rate_hz)
        trials: list[Found] = []
        for clip, (signal, rating) in enumerate(zip(data, ratings, strict=True)):
            where = f"{source}, trial {clip + 1}"
            rated = np.ravel(rating).astype(float)
            if signal.size == 0 or rated.size < 2:
                trials.append(Remark("a clip that was not seen or not rated left out", source))
            elif signal.ndim != 2 or signal.shape[1] < len(CHANNELS) or signal.shape[0] <= start:
                trials.append(
                    RecordingError(
                        f"data of shape {signal.shape}",
                        where=where,
                        expected=f"more than {start} samples x 17",
                    )
                )
            else:
                video = videos[clip] if clip < len(videos) and videos[clip] else f"{clip + 1:02d}"
                trials.append(
                    Trial(
                        f"t{clip + 1:02d}",
                        volts(signal[start:, : len(CHANNELS)].T),
                        person,
                        valence=rated[1],
                        arousal=rated[0],
                        text=video,
                    )
                )
        return trials


def _cells(value: Any, name: str, where: str) -> list[np.ndarray]:
    if not isinstance(value, np.ndarray) or value.dtype != object:
        raise RecordingError(f"'{name}' holds no cells", where=where)
    cells = [np.asarray(cell) for cell in value.ravel()]
    wrong = [cell for cell in cells if cell.dtype.kind not in "iufb"]
    if wrong:
        # One more layer of cells, as MATLAB writes cells that were filled by others.
        cells = [
            np.asarray(cell.ravel()[0]) if cell.dtype == object and cell.size else cell for cell in cells
        ]
    if any(cell.dtype.kind not in "iufb" and cell.size for cell in cells):
        raise RecordingError(f"'{name}' holds no numbers", where=where)
    return [cell if cell.dtype.kind in "iufb" else np.zeros((0, 0)) for cell in cells]
