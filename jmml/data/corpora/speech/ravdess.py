"""RAVDESS: acted North American English emotional speech, 24 actors, eight emotions.

Livingstone, S. R., Russo, F. A. (2018). The Ryerson Audio-Visual Database of Emotional Speech and Song.
PLoS ONE 13(5): e0196391.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from jmml.data.corpora._base import Listing, files_in
from jmml.data.corpora._register import register_corpus
from jmml.data.corpora._speech import SpeechCorpus, Utterance
from jmml.data.listing.naming import Naming
from jmml.errors import RecordingError

# 03-01-05-01-02-01-12.wav: modality, vocal channel, emotion, intensity, statement, repetition, actor
_NAME = re.compile(
    r"(?P<modality>\d\d)-(?P<channel>\d\d)-(?P<label>\d\d)-\d\d-(?P<text>\d\d)-\d\d-(?P<person>\d\d)(\.wav)?",
    re.IGNORECASE,
)
_FOLDER = re.compile(r"Actor_(\d\d)")


@register_corpus("ravdess")
class Ravdess(SpeechCorpus):
    """Files named like ``03-01-05-01-02-01-12.wav`` in the root or in ``Actor_XX`` folders.

    Audio-only speech alone is kept (names that begin with ``03-01``); songs and the sound of video files
    are left out, with a note. The native label is the third field, ``"01"`` to ``"08"``; the group is the
    seventh, the actor.
    """

    name = "ravdess"
    layout = "files named like 03-01-05-01-02-01-12.wav, in the folder or in Actor_XX folders"
    naming = Naming("ravdess", _NAME)
    companions = ()
    native_labels: Mapping[str, str] = {
        "01": "neutral",
        "02": "calm",
        "03": "happiness",
        "04": "sadness",
        "05": "anger",
        "06": "fear",
        "07": "disgust",
        "08": "surprise",
    }

    def recognises(self, root: Path) -> bool:
        return any(_NAME.fullmatch(file.stem) for file in _candidates(root))

    def list_sources(self, root: Path) -> Listing[Utterance]:
        utterances, problems, coded, songs, videos = [], [], 0, 0, 0
        for file in _candidates(root):
            path, name = file.relative_to(root).as_posix(), _NAME.fullmatch(file.stem)
            if name is None:
                problems.append(
                    RecordingError(
                        "name not coded as in RAVDESS", where=path, expected="03-01-05-01-02-01-12.wav"
                    )
                )
                continue
            coded += 1
            folder = _FOLDER.fullmatch(file.parent.name)
            if name["modality"] != "03":
                videos += 1
            elif name["channel"] != "01":
                songs += 1
            elif folder is not None and folder[1] != name["person"]:
                # A speaker under two names would sit on both sides of a speaker-independent split.
                problems.append(
                    RecordingError(
                        f"the name says actor {name['person']}, the folder says {folder[1]}", where=path
                    )
                )
            else:
                utterances.append(Utterance(path, file.stem, name["person"], name["label"], name["text"]))
        notes = [f"{songs} songs (vocal channel 02) left out"] if songs else []
        if videos:
            notes.append(f"{videos} sound tracks of video (modality 01 or 02) left out")
        return Listing(utterances, problems if coded else (), notes)


def _candidates(root: Path) -> list[Path]:
    found = files_in(root, suffixes=[".wav"])
    for folder in files_in(root, folders=True):
        if folder.is_dir() and _FOLDER.fullmatch(folder.name):
            found += files_in(folder, suffixes=[".wav"])
    return found
