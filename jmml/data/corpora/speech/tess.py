"""TESS: Toronto emotional speech set, two Canadian women of 26 and 64 years, seven emotions.

Pichora-Fuller, M. K., Dupuis, K. (2020). Toronto emotional speech set (TESS). Borealis, doi:10.5683/SP2/E8H2MF.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from jmml.data.corpora._coded import CodedCorpus
from jmml.data.corpora._register import register_corpus
from jmml.data.listing.naming import Naming


@register_corpus("tess")
class Tess(CodedCorpus):
    """Files named like ``OAF_back_angry.wav``, in the folder or in folders like ``OAF_angry``.

    There are two speakers in all: one trains, one is tested, and no interval can be given. One file of the published
    corpus, ``OA_bite_neutral.wav``, lacks a letter of its speaker's name; it is OAF's.
    """

    name = "tess"
    layout = "files named like OAF_back_angry.wav, in the folder or in folders like OAF_angry"
    example = "OAF_back_angry.wav"
    aliases: Mapping[str, str] = {"OA": "OAF"}
    naming = Naming(
        "tess",
        re.compile(
            r"(?P<person>OAF|OA|YAF)_(?P<text>[a-z]+)_(?P<label>angry|disgust|fear|happy|neutral|ps|sad)\.wav",
            re.IGNORECASE,
        ),
    )
    companions = ()
    native_labels: Mapping[str, str] = {
        "angry": "anger",
        "disgust": "disgust",
        "fear": "fear",
        "happy": "happiness",
        "neutral": "neutral",
        "ps": "surprise",  # "pleasant surprise"
        "sad": "sadness",
    }
