"""SAVEE: Surrey audio-visual expressed emotion, four British male speakers, seven emotions.

Haq, S., Jackson, P. J. B. (2010). Multimodal emotion recognition. In: Machine Audition, IGI Global.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from jmml.data.corpora._coded import CodedCorpus
from jmml.data.corpora._register import register_corpus
from jmml.data.listing.naming import Naming


@register_corpus("savee")
class Savee(CodedCorpus):
    """Files named like ``DC/a01.wav`` (as published) or ``DC_a01.wav``: speaker, emotion, sentence of that emotion.

    The sentences are numbered within each emotion, so that the letters belong to the text.
    """

    name = "savee"
    layout = "files named like DC/a01.wav or DC_a01.wav"
    example = "DC/a01.wav"
    naming = Naming(
        "savee",
        re.compile(r"(?:^|[/_])(?P<person>DC|JE|JK|KL)[/_](?P<text>(?P<label>sa|su|[adfhn])\d\d)\.wav$"),
        folders=True,
    )
    companions = ()
    native_labels: Mapping[str, str] = {
        "a": "anger",
        "d": "disgust",
        "f": "fear",
        "h": "happiness",
        "n": "neutral",
        "sa": "sadness",
        "su": "surprise",
    }

    def identity(self, path: str, fields: Mapping[str, str]) -> str:
        return f"{fields['person']}_{fields['text']}"
