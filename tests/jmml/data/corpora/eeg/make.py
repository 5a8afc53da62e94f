"""Small EEG corpora on disk, in exactly the layouts that were published."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.io import savemat

from jmml.data.corpora.eeg import dreamer, eav, gameemo
from tests.jmml.data.corpora.make import write_wav

SEED_LABELS = (1, 0, -1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 0, 1, -1)  # those of the published label.mat


def microvolts(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 20.0, shape)


def write_session(path: Path, trials: int, initials: str = "djc", seed: int = 0, samples: int = 40) -> Path:
    """A session of SEED or SEED-IV; its variables stand in MATLAB's order, 10 before 2."""
    arrays = {
        f"{initials}_eeg{n}": microvolts(62, samples + n, seed=100 * seed + n) for n in range(1, trials + 1)
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, dict(sorted(arrays.items())), do_compression=True)
    return path


def make_seed(root: Path) -> Path:
    folder = root / "Preprocessed_EEG"
    write_session(folder / "1_20131027.mat", 15, "djc", 1)
    write_session(folder / "1_20131030.mat", 15, "djc", 2)
    write_session(folder / "10_20131130.mat", 15, "ww", 3)
    savemat(folder / "label.mat", {"label": np.array([SEED_LABELS])})
    (folder / "readme.txt").write_text("Preprocessed_EEG")
    return root


def make_seed_iv(root: Path) -> Path:
    for session, date in (("1", "20160518"), ("2", "20161125")):
        write_session(root / "eeg_raw_data" / session / f"1_{date}.mat", 24, "cz", int(session))
    write_session(root / "eeg_raw_data" / "3" / "2_20151028.mat", 24, "ha", 3)
    (root / "ReadMe.txt").write_text("session1_label = [1,2,3,0,...]")
    return root


def write_dreamer(
    root: Path, people: int = 2, clips: int = 18, seed: int = 0, rating: float | None = None
) -> Path:
    """``DREAMER.mat`` with structs in cells, as MATLAB nests them."""

    def cells(length: int, start: int) -> np.ndarray:
        found = np.empty((clips, 1), dtype=object)
        for clip in range(clips):
            found[clip, 0] = (
                microvolts(length + clip, 14, seed=start + clip) + 4200.0
            )  # the offset of the amplifier
        return found

    data = np.empty((1, people), dtype=object)
    for person in range(people):
        start = 1000 * (10 * seed + person)
        scores = np.array([[1 + (clip + person) % 5] for clip in range(clips)], dtype=np.uint8)
        if rating is not None:
            scores = np.full_like(scores, rating, dtype=float)
        data[0, person] = {
            "Age": str(22 + person), "Gender": "male",
            "EEG": {"baseline": cells(20, start + 500), "stimuli": cells(64, start)},
            "ECG": {"baseline": cells(8, start + 700), "stimuli": cells(8, start + 800)},
            "ScoreValence": scores, "ScoreArousal": scores[::-1], "ScoreDominance": scores,
        }  # fmt: skip
    corpus: dict[str, Any] = {
        "Data": data, "EEG_SamplingRate": 128.0, "ECG_SamplingRate": 256.0,
        "EEG_Electrodes": np.array(dreamer.CHANNELS, dtype=object), "noOfSubjects": float(people),
        "noOfVideoSequences": float(clips), "Version": "1.0.2",
    }  # fmt: skip
    root.mkdir(parents=True, exist_ok=True)
    savemat(root / dreamer.FILE, {"DREAMER": corpus}, do_compression=True)
    return root


def make_dreamer(root: Path) -> Path:
    return write_dreamer(root)


def write_amigos(path: Path, seed: int = 0, unseen: tuple[int, ...] = (18, 19)) -> Path:
    """20 clips; those of ``unseen`` have empty cells."""
    data, ratings = np.empty((1, 20), dtype=object), np.empty((1, 20), dtype=object)
    videos = np.empty((1, 20), dtype=object)
    for clip in range(20):
        blank = clip in unseen
        data[0, clip] = np.zeros((0, 0)) if blank else microvolts(700 + clip, 17, seed=100 * seed + clip)
        rated = [1.0 + (clip % 9), 9.0 - (clip % 9), 5, 5, 5, 0, 0, 1, 0, 0, 0, 0]
        ratings[0, clip] = np.zeros((0, 0)) if blank else np.array([rated])
        videos[0, clip] = f"{clip + 1}"
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {"joined_data": data, "labels_selfassessment": ratings, "VideoIDs": videos}
    savemat(path, arrays, do_compression=True)
    return path


def make_amigos(root: Path) -> Path:
    for person in (1, 2):
        write_amigos(root / "data_preprocessed" / f"Data_Preprocessed_P{person:02d}.mat", person)
    return root


def write_game(path: Path, seed: int = 0, samples: int = 256) -> Path:
    """A table whose lines end in a comma, so that pandas finds a fifteenth column without a name."""
    table = pd.DataFrame(microvolts(samples, 14, seed=seed), columns=list(gameemo.CHANNELS)).assign(
        **{"": np.nan}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)
    return path


def make_gameemo(root: Path) -> Path:
    for person in (1, 2):
        base = root / f"(S{person:02d})"
        for game in gameemo.GAMES:
            name = f"S{person:02d}G{game}AllChannels.csv"
            write_game(base / "Preprocessed EEG Data" / ".csv format" / name, 10 * person + int(game))
            write_game(base / "Raw EEG Data" / ".csv format" / name.replace("All", "AllRaw"), 99)
        (base / "SAM Ratings").mkdir()
    return root


def write_faced(path: Path, seed: int = 0, samples: int = 40) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(microvolts(28, 32, samples, seed=seed), protocol=4))
    return path


def make_faced(root: Path) -> Path:
    for person in (0, 61):
        write_faced(root / "Processed_data" / f"sub{person:03d}.pkl", person)
    return root


EAV_ORDER = (
    "AACCSSHACHHSSAACCHHS"  # of the published sequence: anger, calmness, sadness, happiness; N leads it here
)
EAV_LETTERS = {"N": "Neutral", "S": "Sadness", "A": "Anger", "H": "Happiness", "C": "Calmness"}


def write_eav_eeg(
    folder: Path, number: int, order: str, *, name: str = "seg", seed: int = 0, samples: int = 60
) -> Path:
    """Two trials per letter of ``order``: listening, then speaking."""
    rows = [2 * eav.EMOTIONS.index(EAV_LETTERS[letter]) + task for letter in order for task in (0, 1)]
    label = np.zeros((10, len(rows)))
    label[rows, np.arange(len(rows))] = 1
    folder.mkdir(parents=True, exist_ok=True)
    data = microvolts(samples, 30, len(rows), seed=seed)
    savemat(folder / f"subject{number}_eeg.mat", {name: data}, do_compression=True)
    savemat(folder / f"subject{number}_eeg_label.mat", {"label": label})
    return folder / f"subject{number}_eeg.mat"


def make_eav(root: Path) -> Path:
    order = "N" + EAV_ORDER[:4]
    for number in (1, 2):
        person = root / f"subject{number}"
        write_eav_eeg(person / "EEG", number, order, name="seg" if number == 1 else "seg1", seed=number)
        for place, letter in enumerate(order):
            trial, ending = 2 * place + 2, "Aud" if number == 1 else "aud"
            name = f"{trial:03d}_Trial_{trial:02d}_Speaking_{EAV_LETTERS[letter]}_{ending}.wav"
            write_wav(person / "Audio" / name, seed=100 * number + place)
        (person / "Video").mkdir()
        (person / "Video" / "001_Trial_01_Listening_Neutral.mp4").write_bytes(b"video")
    return root
