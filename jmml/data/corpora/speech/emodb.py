"""EmoDB: the Berlin database of acted German emotional speech, ten speakers, seven emotions.

Burkhardt, F., Paeschke, A., Rolfes, M., Sendlmeier, W., Weiss, B. (2005). A database of German emotional
speech. Interspeech 2005.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from jmml.data.corpora._coded import CodedCorpus
from jmml.data.corpora._register import register_corpus
from jmml.data.listing.naming import Naming


@register_corpus("emodb")
class EmoDB(CodedCorpus):
    """Files named like ``03a01Fa.wav``: speaker 03, text a01, emotion F, version a.

    The native label is the first letter of the German word: W Wut, L Langeweile, E Ekel, A Angst, F Freude, T Trauer,
    N neutral.
    """

    name = "emodb"
    layout = "files named like 03a01Fa.wav, in the folder or in wav/"
    example = "03a01Fa.wav"
    naming = Naming(
        "emodb", re.compile(r"(?P<person>\d{2})(?P<text>[a-z]\d{2})(?P<label>[A-Z])[a-z]?\.(wav|WAV)")
    )
    companions = ()
    native_labels: Mapping[str, str] = {
        "W": "anger",
        "L": "boredom",
        "E": "disgust",
        "A": "fear",
        "F": "happiness",
        "T": "sadness",
        "N": "neutral",
    }
