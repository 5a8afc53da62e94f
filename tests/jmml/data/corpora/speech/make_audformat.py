"""A small audformat database, written by the package itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from tests.jmml.data.corpora.make import write_wav

# file, speaker, emotion, sentence: as in EmoDB
ROWS = [
    ("wav/03a01Fa.wav", "3", "happiness", "a01"),
    ("wav/03a02Nc.wav", "3", "neutral", "a02"),
    ("wav/08b01Wa.wav", "8", "anger", "b01"),
    ("wav/08a01Ta.wav", "8", "sadness", "a01"),
]


def database(rows: list[tuple[str, str, str | None, str]] = ROWS) -> Any:
    """Tables ``emotion`` and ``files``, schemes with labels, properties of speakers."""
    import audformat

    db = audformat.Database("emodb", "https://example.org", "unrestricted", languages=["de"])
    people = {
        person: {"age": 31, "gender": "male" if person == "3" else "female"} for _, person, _, _ in rows
    }
    db.schemes["emotion"] = audformat.Scheme(
        labels=[*dict.fromkeys(label for _, _, label, _ in rows if label)]
    )
    db.schemes["confidence"] = audformat.Scheme("float", minimum=0, maximum=1)
    db.schemes["speaker"] = audformat.Scheme(labels=people)
    db.schemes["transcription"] = audformat.Scheme(labels={text: f"Satz {text}." for _, _, _, text in rows})
    index = audformat.filewise_index([file for file, _, _, _ in rows])
    db["emotion"] = audformat.Table(index)
    db["emotion"]["emotion"] = audformat.Column(scheme_id="emotion")
    db["emotion"]["emotion"].set([label for _, _, label, _ in rows])
    db["emotion"]["emotion.confidence"] = audformat.Column(scheme_id="confidence")
    db["emotion"]["emotion.confidence"].set([0.9] * len(rows))
    db["files"] = audformat.Table(index)
    for number, column in ((1, "speaker"), (3, "transcription")):
        db["files"][column] = audformat.Column(scheme_id=column)
        db["files"][column].set([row[number] for row in rows])
    return db


def save(root: Path, db: Any, storage: str = "csv") -> Path:
    db.save(str(root), storage_format=storage)
    return root


def make_audformat(root: Path) -> Path:
    for seed, (file, *_) in enumerate(ROWS):
        write_wav(root / file, seed=seed)
    return save(root, database())


def segmented(rows: list[tuple[str, float, float | None, str, str]]) -> Any:
    """A database of segments: file, start, end, speaker, emotion; the split is ``train``."""
    import audformat

    db = audformat.Database("talk", "https://example.org", "unrestricted")
    db.splits["train"] = audformat.Split("train")
    db.schemes["emotion"] = audformat.Scheme("str")
    db.schemes["speaker"] = audformat.Scheme("str")
    index = audformat.segmented_index(
        [row[0] for row in rows],
        [pd.Timedelta(row[1], unit="s") for row in rows],
        [pd.NaT if row[2] is None else pd.Timedelta(row[2], unit="s") for row in rows],
    )
    db["segments"] = audformat.Table(index, split_id="train")
    for number, column in ((3, "speaker"), (4, "emotion")):
        db["segments"][column] = audformat.Column(scheme_id=column)
        db["segments"][column].set([row[number] for row in rows])
    return db
