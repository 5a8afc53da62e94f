"""ESD: ten Mandarin and ten English speakers, 350 parallel sentences, five emotions.

Zhou, K., Sisman, B., Liu, R., Li, H. (2022). Emotional voice conversion: Theory, databases and ESD. Speech
Communication 137.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from jmml.data.corpora._base import Listing
from jmml.data.corpora._coded import CodedCorpus
from jmml.data.corpora._register import register_corpus
from jmml.data.corpora._speech import Utterance
from jmml.data.listing.naming import Naming

_SENTENCES = 350  # of each language, in every emotion
_LAST_MANDARIN = 10


@register_corpus("esd")
class Esd(CodedCorpus):
    """``0011/Angry/0011_000351.wav``, with or without ``train``, ``evaluation`` and ``test`` below the emotion.

    Speakers 0001 to 0010 speak Mandarin, 0011 to 0020 English. Files are numbered through the emotions; the sentence
    is the number within the emotion, and the same in each: people disjoint share every text of their language. The
    published parts are of all speakers, so that they are no test on new people.
    """

    name = "esd"
    layout = "files named like 0011/Angry/0011_000351.wav, or in train, evaluation and test below the emotion"
    companions = ()
    example = "0011/Angry/0011_000351.wav"
    depth = 4
    naming = Naming(
        "esd",
        re.compile(
            r"(?:^|/)(?P<person>00[012]\d)/(?P<label>Angry|Happy|Neutral|Sad|Surprise)/"
            r"(?:(?:train|evaluation|test)/)?(?P=person)_(?P<text>\d{6})\.wav$"
        ),
        folders=True,
    )
    native_labels: Mapping[str, str] = {
        "Angry": "anger",
        "Happy": "happiness",
        "Neutral": "neutral",
        "Sad": "sadness",
        "Surprise": "surprise",
    }

    def list_sources(self, root: Path) -> Listing[Utterance]:
        listing = super().list_sources(root)
        people = {utterance.group for utterance in listing.sources}
        mandarin = sum(int(person) <= _LAST_MANDARIN for person in people)
        both = 0 < mandarin < len(people)
        notes = [f"{mandarin} speakers of Mandarin, {len(people) - mandarin} of English"] if both else []
        return replace(listing, notes=[*listing.notes, *notes])

    def utterance(self, path: str, fields: Mapping[str, str]) -> Utterance:
        language = "zh" if int(fields["person"]) <= _LAST_MANDARIN else "en"
        sentence = (int(fields["text"]) - 1) % _SENTENCES + 1
        return super().utterance(path, {**fields, "text": f"{language}{sentence:03d}"})

    def identity(self, path: str, fields: Mapping[str, str]) -> str:
        return PurePosixPath(path).stem
