"""MSP-Podcast: spontaneous English of podcasts, labels and ratings of crowd workers.

Lotfian, R., Busso, C. (2019). Building naturalistic emotionally balanced speech corpus by retrieving emotional
speech from existing podcast recordings. IEEE Transactions on Affective Computing 10(4).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from jmml.data.corpora._base import Listing
from jmml.data.corpora._register import register_corpus
from jmml.data.corpora._speech import SpeechCorpus, Utterance
from jmml.data.corpora.speech._lists import left_out, list_of
from jmml.errors import CorpusError, RecordingError

_LISTS = tuple(
    f"{folder}{name}{suffix}"
    for suffix in (".csv", ".json")
    for folder in ("Labels/", "")
    for name in ("labels_consensus", "labels_concensus")  # older releases have the second spelling
)
_FOLDERS = ("Audios", "Audio")
_EXAMPLE = "MSP-PODCAST_0001_0008.wav"
_COLUMNS = ("FileName", "EmoClass", "EmoAct", "EmoVal", "SpkrID")
_NAME = re.compile(r"(?P<podcast>MSP-PODCAST_\w+?)_\w+\.wav")
_UNDECIDED = {"X": "without agreement on a label (X)", "O": "of another emotion (O)", "": "without a label"}


@register_corpus("msp-podcast")
class MspPodcast(SpeechCorpus):
    """``Labels/labels_consensus.csv`` (or ``.json``) and ``Audios/MSP-PODCAST_0001_0008.wav``.

    Utterances of speakers who are not known are left out: each may be of anybody in another part. So are those
    without agreement (X) and of another emotion (O). Contempt (C) has no place among our emotions and is dropped with
    ``unmapped: drop`` or mapped under ``labels``. Arousal and valence are means from 1 to 7. The recording is the
    podcast. The published partitions stand in the column ``Split_Set``: the table itself can be named as
    ``protocol.folds``.
    """

    name = "msp-podcast"
    layout = "Labels/labels_consensus.csv beside Audios/ with files named like MSP-PODCAST_0001_0008.wav"
    companions = _LISTS
    placeless: Mapping[str, str] = {"C": "contempt"}
    native_labels: Mapping[str, str] = {
        "A": "anger",
        "D": "disgust",
        "F": "fear",
        "H": "happiness",
        "N": "neutral",
        "S": "sadness",
        "U": "surprise",
    }

    def recognises(self, root: Path) -> bool:
        return _list(root) is not None and any((root / folder).is_dir() for folder in _FOLDERS)

    def list_sources(self, root: Path) -> Listing[Utterance]:
        path = _list(root)
        folder = next((name for name in _FOLDERS if (root / name).is_dir()), None)
        if path is None or folder is None:
            raise CorpusError(
                "no labels_consensus.csv" if path is None else "no folder Audios",
                where=root,
                expected=self.layout,
            )
        table = _read(path, self.layout)
        utterances, problems = [], []
        left: Counter[str] = Counter()
        for number, row in enumerate(table.to_dict("records"), start=2):
            label, name, person = row["EmoClass"].strip(), row["FileName"].strip(), row["SpkrID"].strip()
            found, at = _NAME.fullmatch(name), f"{path.name} line {number}"
            if found is None:
                problems.append(RecordingError(f"'{name}' is not named like {_EXAMPLE}", where=at))
            elif label in _UNDECIDED:
                left[_UNDECIDED[label]] += 1
            elif person.casefold() in ("unknown", ""):
                left["of speakers who are not known"] += 1
            else:
                try:
                    arousal, valence = (float(row[column] or "nan") for column in ("EmoAct", "EmoVal"))
                except ValueError:
                    problems.append(RecordingError("a rating is not a number", where=at))
                    continue
                utterances.append(
                    Utterance(
                        path=f"{folder}/{name}",
                        id=name.removesuffix(".wav"),
                        group=person,
                        label=label,
                        recording=found["podcast"],
                        valence=valence,
                        arousal=arousal,
                    )
                )
        parts = Counter(table["Split_Set"]) if "Split_Set" in table else Counter()
        counts = ", ".join(f"{part} {count}" for part, count in sorted(parts.items()))
        notes = [f"published parts in {path.name}: {counts}"] if parts else []
        return Listing(utterances, problems, [*left_out(left), *notes])


def _list(root: Path) -> Path | None:
    return next((path for name in _LISTS if (path := root / name).is_file()), None)


def _read(path: Path, expected: str) -> pd.DataFrame:
    if path.suffix == ".csv":
        return list_of(path, _COLUMNS, expected)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        rows = [
            {"FileName": name, **{key: str(value) for key, value in told.items()}}
            for name, told in found.items()
        ]
    except (ValueError, AttributeError, RecursionError) as error:
        raise CorpusError(f"is not a table ({error})", where=path, expected=expected) from None
    table = pd.DataFrame(rows, dtype=object).fillna("")
    missing = [column for column in _COLUMNS if column not in table]
    if missing:
        raise CorpusError(f"columns missing: {', '.join(missing)}", where=path, expected=expected)
    return table
