"""Small corpora on disk in the layout of each adapter, for the tests of this folder and the contract."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from tests.jmml.data.eeg_files.make import brain, write_edf


def write_wav(path: Path, *, seconds: float = 0.5, rate: int = 16000, seed: int = 0) -> Path:
    """Faint noise as 16-bit mono WAV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(0.0, 0.1, round(seconds * rate))
    soundfile.write(path, np.clip(noise, -1, 1), rate, subtype="PCM_16")
    return path


def truncate(path: Path, keep: int) -> Path:
    """Cut a file after ``keep`` bytes, header unchanged."""
    path.write_bytes(path.read_bytes()[:keep])
    return path


NEMO_ROWS = [("AA0", "anger"), ("AA0", "surprised"), ("BB0", "neutral"), ("BB0", "sadness")]


def make_nemo(root: Path) -> Path:
    lines = ["file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage"]
    for number, (speaker, emotion) in enumerate(NEMO_ROWS):
        name = f"{speaker}_{emotion}_{number}.wav"
        write_wav(root / "samples" / name, rate=24000, seed=number)
        lines.append(f"{name}\t{emotion}\tZdanie.\tzdanie\t{speaker}\tfemale\t27")
    (root / "data.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def make_emodb(root: Path) -> Path:
    for number, name in enumerate(("03a01Wa", "03a02Na", "08b10Ta", "08b10Fb")):
        write_wav(root / "wav" / f"{name}.wav", seed=number)
    return root


def make_ravdess(root: Path) -> Path:
    for number, (emotion, actor) in enumerate((("05", "01"), ("01", "01"), ("08", "12"), ("02", "12"))):
        write_wav(root / f"Actor_{actor}" / f"03-01-{emotion}-01-02-01-{actor}.wav", rate=48000, seed=number)
    return root


def _make_coded(root: Path, *paths: str, rate: int = 16000) -> Path:
    for number, path in enumerate(paths):
        write_wav(root / f"{path}.wav", rate=rate, seed=number)
    return root


def make_savee(root: Path) -> Path:
    return _make_coded(root, "DC/a01", "DC/n01", "JE/h02", "JE/sa01", rate=44100)


def make_tess(root: Path) -> Path:
    names = (
        "OAF_angry/OAF_back_angry",
        "OAF_neutral/OA_bite_neutral",
        "YAF_happy/YAF_back_happy",
        "YAF_sad/YAF_back_sad",
    )
    return _make_coded(root, *names, rate=24414)


def make_ased(root: Path) -> Path:
    return _make_coded(root, "a5-01-01-01-01", "n1-02-01-02-33", "h3-01-02-01-01", "S4-01-01-02-33")


def make_cremad(root: Path) -> Path:
    names = ("1001_DFA_ANG_XX", "1001_IEO_NEU_XX", "1091_DFA_HAP_XX", "1091_IEO_SAD_LO")
    return _make_coded(root / "AudioWAV", *names).parent


def make_files(root: Path) -> Path:
    rows = ["path,speaker,label"]
    for number, (speaker, label) in enumerate(
        (("ann", "angry"), ("ann", "calm"), ("bob", "happy"), ("bob", "sad"))
    ):
        write_wav(root / speaker / f"{number}.wav", seed=number)
        rows.append(f"{speaker}/{number}.wav,{speaker},{label}")
    (root / "recordings.csv").write_text("\n".join(rows) + "\n")
    return root


def deap_arrays(trials: int = 3, samples: int = 640, seed: int = 0) -> dict[str, np.ndarray]:
    """One subject: microvolts, and ratings of 1..9 away from the midpoint."""
    rng = np.random.default_rng(seed)
    ratings = rng.uniform(1.0, 4.5, (trials, 4))
    ratings[::2, :2] += 4.5
    return {"data": rng.normal(0.0, 10.0, (trials, 40, samples)), "labels": ratings}


def write_deap(path: Path, arrays: dict[str, np.ndarray] | None = None, *, protocol: int = 2) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(deap_arrays() if arrays is None else arrays, protocol=protocol))
    return path


def make_deap(root: Path) -> Path:
    for subject in (1, 2):
        write_deap(root / f"s{subject:02d}.dat", deap_arrays(trials=2, seed=subject))
    return root


def table_frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": ["u1", "u2", "u3", "u4"],
            "group": ["01", "01", "02", "02"],
            "label": ["anger", "neutral", "surprise", "sadness"],
            "f0_mean [Hz]": [210.5, 120.0, 250.0, 140.25],
            "jitter": [0.01, 0.02, 0.03, 0.04],
        }
    )


def make_table(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    table_frame().to_csv(root / "features.csv", index=False)
    return root


BIDS_EVENTS = ("happy", "neutral", "angry", "sad")


def make_bids(root: Path, seed: int = 0) -> Path:
    """Two people, one session each, one EDF with two trials of two seconds."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset_description.json").write_text(
        '{"Name": "tiny", "BIDSVersion": "1.8.0", "DatasetType": "raw"}'
    )
    (root / "participants.tsv").write_text("participant_id\tage\tsex\nsub-01\t30\tF\nsub-02\t31\tM\n")
    for number in (1, 2):
        folder = root / f"sub-{number:02d}" / "ses-1" / "eeg"
        stem = f"sub-{number:02d}_ses-1_task-films"
        names = ("F3", "F4", "Cz", "Heart")
        write_edf(folder / f"{stem}_eeg.edf", brain(channels=4, seed=seed + number), names=names)
        first, second = BIDS_EVENTS[2 * number - 2 : 2 * number]
        (folder / f"{stem}_events.tsv").write_text(
            "onset\tduration\ttrial_type\tstim_file\n"
            f"0.5\t2.0\t{first}\tfilm1.mp4\n3.0\t0\tbutton\tn/a\n4.0\t2.0\t{second}\tfilm2.mp4\n"
        )
        (folder / f"{stem}_channels.tsv").write_text(
            "name\ttype\tunits\tstatus\nF3\tEEG\tuV\tgood\nF4\tEEG\tuV\tbad\nCz\tEEG\tuV\tgood\nHeart\tECG\tuV\tgood\n"
        )
    return root
