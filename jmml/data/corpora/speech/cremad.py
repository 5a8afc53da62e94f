"""CREMA-D: acted American English emotional speech, 91 actors, twelve sentences, six emotions.

Cao, H., Cooper, D. G., Keutmann, M. K., Gur, R. C., Nenkova, A., Verma, R. (2014). CREMA-D: Crowd-sourced emotional
multimodal actors dataset. IEEE Transactions on Affective Computing 5(4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from jmml.data.corpora._coded import CodedCorpus
from jmml.data.corpora._register import register_corpus
from jmml.data.listing.naming import Naming


@register_corpus("cremad")
class CremaD(CodedCorpus):
    """Files named like ``1001_DFA_ANG_XX.wav``: actor, sentence, emotion, intensity; the label is the one acted."""

    name = "cremad"
    layout = "files named like 1001_DFA_ANG_XX.wav, in the folder or in AudioWAV/"
    example = "1001_DFA_ANG_XX.wav"
    naming = Naming(
        "cremad",
        re.compile(
            r"(?P<person>1\d{3})_(?P<text>[A-Z]{3})_(?P<label>ANG|DIS|FEA|HAP|NEU|SAD)_[A-Z]{1,2}\.(wav|WAV)"
        ),
    )
    companions = ()
    native_labels: Mapping[str, str] = {
        "ANG": "anger",
        "DIS": "disgust",
        "FEA": "fear",
        "HAP": "happiness",
        "NEU": "neutral",
        "SAD": "sadness",
    }
