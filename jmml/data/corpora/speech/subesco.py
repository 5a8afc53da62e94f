"""SUBESCO: twenty Bangladeshi actors, ten sentences five times in each of seven emotions.

Sultana, S., Rahman, M. S., Selim, M. R., Iqbal, M. Z. (2021). SUST Bangla emotional speech corpus (SUBESCO): An
audio-only emotional speech corpus for Bangla. PLoS ONE 16(4): e0250173.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from jmml.data.corpora._coded import CodedCorpus
from jmml.data.corpora._register import register_corpus
from jmml.data.listing.naming import Naming


@register_corpus("subesco")
class Subesco(CodedCorpus):
    """Files named like ``F_01_OISHI_S_1_ANGRY_1.wav``: sex and number of the speaker, name, sentence, emotion, take.

    Women and men are numbered alike: ``F_01`` and ``M_01`` are two people. Everyone says the same ten sentences in
    every emotion. One file of the published corpus has a bracket too many in its name,
    ``F_02_MONIKA_S_2_SURPRISE_3].wav``.
    """

    name = "subesco"
    layout = "files named like F_01_OISHI_S_1_ANGRY_1.wav"
    companions = ()
    example = "F_01_OISHI_S_1_ANGRY_1.wav"
    naming = Naming(
        "subesco",
        re.compile(
            r"(?P<person>[FM]_\d\d)_[A-Z]+_S_(?P<text>\d+)_"
            r"(?P<label>ANGRY|DISGUST|FEAR|HAPPY|NEUTRAL|SAD|SURPRISE)_\d+\]?\.(wav|WAV)"
        ),
    )
    native_labels: Mapping[str, str] = {
        "ANGRY": "anger",
        "DISGUST": "disgust",
        "FEAR": "fear",
        "HAPPY": "happiness",
        "NEUTRAL": "neutral",
        "SAD": "sadness",
        "SURPRISE": "surprise",
    }

    def identity(self, path: str, fields: Mapping[str, str]) -> str:
        return PurePosixPath(path).stem.rstrip("]")
