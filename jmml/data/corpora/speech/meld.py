"""MELD: scenes of the series Friends, dialogs of several people, seven emotions.

Poria, S., Hazarika, D., Majumder, N., Naik, G., Cambria, E., Mihalcea, R. (2019). MELD: A multimodal multi-party
dataset for emotion recognition in conversations. ACL 2019.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jmml.data.corpora._base import Listing
from jmml.data.corpora._register import register_corpus
from jmml.data.corpora._speech import SpeechCorpus, Utterance
from jmml.data.corpora.speech._lists import by_stem, left_out, list_of, spoken
from jmml.errors import RecordingError

# By part, the folders in which its clips lie as they are unpacked.
_PARTS: Mapping[str, tuple[str, ...]] = {
    "train": ("train/train_splits", "train_splits"),
    "dev": ("dev/dev_splits_complete", "dev_splits_complete"),
    "test": ("test/output_repeated_splits_test", "output_repeated_splits_test"),
}
_SUFFIXES = (".wav", ".flac", ".mp4")  # what somebody has converted before what was published
_COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")
_SEVERAL = re.compile(
    r"\ball\b|\bboth\b|\bevery(one|body)\b|\bothers\b|\band\b|\bwith\b|[,/&+]", re.IGNORECASE
)


@register_corpus("meld")
class Meld(SpeechCorpus):
    """``train_sent_emo.csv``, ``dev_sent_emo.csv`` and ``test_sent_emo.csv``, and clips like ``dia0_utt0.mp4`` or
    ``.wav``.

    Dialogs are numbered anew in each part, which therefore stands in the ids. Utterances of several people at once
    (All, Ross and Joey) are left out. The published parts share most of their people: people left out mean other
    folds. One name may stand for several (Man, Waiter). The recording is the dialog, the session the episode, the
    text what is said. The sound of MP4 files needs the extra ``compressed``; of the published ones, dia125_utt3 of
    the training part is damaged and dia110_utt7 of the development part missing (``--skip-bad``).
    """

    name = "meld"
    layout = "train_sent_emo.csv, dev_sent_emo.csv, test_sent_emo.csv and the clips dia0_utt0.mp4 or .wav"
    companions = ("*_sent_emo.csv",)
    native_labels: Mapping[str, str] = {
        "anger": "anger",
        "disgust": "disgust",
        "fear": "fear",
        "joy": "happiness",
        "neutral": "neutral",
        "sadness": "sadness",
        "surprise": "surprise",
    }

    def recognises(self, root: Path) -> bool:
        return any(_table(root, part) is not None for part in _PARTS)

    def list_sources(self, root: Path) -> Listing[Utterance]:
        utterances: list[Utterance] = []
        problems: list[RecordingError] = []
        left: Counter[str] = Counter()
        people: dict[str, set[str]] = defaultdict(set)
        for part, folders in _PARTS.items():
            table = _table(root, part)
            if table is None:
                continue
            beside = [root / name for folder in folders for name in (folder, f"{folder}_wav")]
            places = by_stem(root, [folder for folder in beside if folder.is_dir()], _SUFFIXES)
            for row in list_of(table, _COLUMNS, self.layout).to_dict("records"):
                clip = f"dia{row['Dialogue_ID'].strip()}_utt{row['Utterance_ID'].strip()}"
                person = " ".join(row["Speaker"].split())
                if _SEVERAL.search(person):
                    left["of several people at once"] += 1
                elif clip not in places:
                    problems.append(RecordingError(f"no clip {clip} of the {part} part", where=table.name))
                else:
                    people[person].add(part)
                    utterances.append(_utterance(part, clip, person, places[clip], row))
        shared = sorted(person for person, parts in people.items() if len(parts) > 1)
        notes = [f"the published parts share {len(shared)} of {len(people)} people: {', '.join(shared[:3])}"]
        return Listing(utterances, problems, [*left_out(left), *(notes if shared else [])])


def _utterance(part: str, clip: str, person: str, path: str, row: Mapping[Any, Any]) -> Utterance:
    season, episode = row.get("Season", "").strip(), row.get("Episode", "").strip()
    return Utterance(
        path=path,
        id=f"{part}_{clip}",
        group=person,
        label=row["Emotion"].strip().lower() or None,
        text=spoken(row["Utterance"]),
        session=f"season {season} episode {episode}" if season and episode else None,
        recording=f"{part}_{clip.partition('_')[0]}",
    )


def _table(root: Path, part: str) -> Path | None:
    name = f"{part}_sent_emo.csv"
    return next((path for path in (root / name, root / part / name) if path.is_file()), None)
