"""ASED: Amharic speech emotion dataset, 65 speakers, five emotions.

Retta, E. A., Almekhlafi, E., Sutcliffe, R., Mhamed, M., Ali, H., Feng, J. (2023). A new Amharic speech emotion dataset
and classification benchmark. ACM Transactions on Asian and Low-Resource Language Information Processing 22(1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from jmml.data.corpora._coded import CodedCorpus
from jmml.data.corpora._register import register_corpus
from jmml.data.listing.naming import Naming


@register_corpus("ased")
class Ased(CodedCorpus):
    """Files named like ``a5-01-02-01-33.wav``: emotion, sentence, repetition, gender, speaker.

    The sentences are numbered within each emotion, so that the letter belongs to the text.
    """

    name = "ased"
    layout = "files named like a5-01-02-01-33.wav, in the folder or in folders by emotion"
    example = "a5-01-02-01-33.wav"
    naming = Naming(
        "ased",
        re.compile(
            r"(?P<text>(?P<label>[nfhsa])\d-\d\d)-\d\d-\d\d-(?P<person>\d+)\.wav",
            re.IGNORECASE,
        ),
    )
    companions = ()
    native_labels: Mapping[str, str] = {
        "a": "anger",
        "f": "fear",
        "h": "happiness",
        "n": "neutral",
        "s": "sadness",
    }
