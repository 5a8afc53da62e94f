"""EmoDB: the Berlin database of acted German emotional speech, ten speakers, seven emotions.

Burkhardt, F., Paeschke, A., Rolfes, M., Sendlmeier, W., Weiss, B. (2005). A database of German emotional
speech. Interspeech 2005.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from jmml.data.corpora._base import Listing, files_in
from jmml.data.corpora._register import register_corpus
from jmml.data.corpora._speech import SpeechCorpus, Utterance
from jmml.errors import RecordingError

# 03a01Fa.wav: speaker 03, text a01, emotion F, version a
_NAME = re.compile(r"(?P<speaker>\d{2})(?P<text>[a-z]\d{2})(?P<emotion>[A-Z])(?P<version>[a-z]?)")


@register_corpus("emodb")
class EmoDB(SpeechCorpus):
    """Files named like ``03a01Fa.wav`` in the root or in ``wav/``; the letter is the German emotion word.

    W Wut, L Langeweile, E Ekel, A Angst, F Freude, T Trauer, N neutral. The native label is the letter.
    """

    name = "emodb"
    layout = "files named like 03a01Fa.wav, in the folder or in wav/"
    native_labels: Mapping[str, str] = {
        "W": "anger",
        "L": "boredom",
        "E": "disgust",
        "A": "fear",
        "F": "happiness",
        "T": "sadness",
        "N": "neutral",
    }

    def recognises(self, root: Path) -> bool:
        return any(_NAME.fullmatch(file.stem) for file in _candidates(root))

    def list_sources(self, root: Path) -> Listing[Utterance]:
        utterances, problems = [], []
        for file in _candidates(root):
            path, name = file.relative_to(root).as_posix(), _NAME.fullmatch(file.stem)
            if name is None:
                problems.append(
                    RecordingError("name not coded as in EmoDB", where=path, expected="03a01Fa.wav")
                )
            else:
                utterances.append(Utterance(path, file.stem, name["speaker"], name["emotion"]))
        return Listing(utterances, problems if utterances else ())


def _candidates(root: Path) -> list[Path]:
    return files_in(root, suffixes=[".wav"]) + files_in(root / "wav", suffixes=[".wav"])
