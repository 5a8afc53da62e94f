"""URDU: 400 clips of Urdu talk shows, four emotions.

Latif, S., Qayyum, A., Usman, M., Qadir, J. (2018). Cross lingual speech emotion recognition: Urdu vs. Western
languages. International Conference on Frontiers of Information Technology.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from jmml.data.corpora._base import Listing
from jmml.data.corpora._coded import CodedCorpus
from jmml.data.corpora._register import register_corpus
from jmml.data.corpora._speech import Utterance
from jmml.data.listing.naming import Naming
from jmml.errors import RecordingError


@register_corpus("urdu")
class Urdu(CodedCorpus):
    """Files named like ``Angry/SM1_F10_A010.wav``: speaker, file of that speaker, emotion and number.

    Nearly every speaker is heard in one emotion alone (26 of 29 in the published files): who speaks tells the label,
    and a score on other speakers says little.
    """

    name = "urdu"
    layout = "files named like SM1_F10_A010.wav, in Angry, Happy, Neutral and Sad"
    companions = ()
    example = "Angry/SM1_F10_A010.wav"
    naming = Naming("urdu", re.compile(r"(?P<person>S[MF]\d+)_F\d+_(?P<label>[AHNS])\d+\.(wav|WAV)"))
    native_labels: Mapping[str, str] = {"A": "anger", "H": "happiness", "N": "neutral", "S": "sadness"}

    def list_sources(self, root: Path) -> Listing[Utterance]:
        listing = super().list_sources(root)
        torn = [one for one in listing.sources if _folder(one) not in ("", one.label)]
        problems = [
            RecordingError(f"the name says {one.label}, the folder {_folder(one)}", where=one.path)
            for one in torn
        ]
        kept = [utterance for utterance in listing.sources if utterance not in torn]
        return Listing(kept, [*listing.problems, *problems], listing.notes)


def _folder(utterance: Utterance) -> str:
    """The letter of the folder's emotion; empty for a folder of another name."""
    name = PurePosixPath(utterance.path).parent.name
    return name[0] if name in ("Angry", "Happy", "Neutral", "Sad") else ""
