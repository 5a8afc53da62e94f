"""MSP-IMPROV: twelve American English actors in six pairs, improvised and read, labels of crowd workers.

Busso, C., Parthasarathy, S., Burmania, A., AbdelWahab, M., Sadoughi, N., Mower Provost, E. (2017). MSP-IMPROV: An
acted corpus of dyadic interactions to study emotion perception. IEEE Transactions on Affective Computing 8(1).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from jmml.data.corpora._base import Listing
from jmml.data.corpora._register import register_corpus
from jmml.data.corpora._speech import SpeechCorpus, Utterance
from jmml.data.corpora.speech._lists import by_stem, left_out
from jmml.errors import CorpusError, RecordingError

_LISTS = ("Evalution.txt", "Evaluation.txt")  # the release has the first spelling
# UTD-IMPROV-S01A-F01-P-FM01.avi; N; A:2.4; V:3.2; D:2.8 ; N:3.6;  the sound file is called MSP-IMPROV-...
_LINE = re.compile(
    r"(?:UTD|MSP)-IMPROV-(?P<name>(?P<sentence>S\d\d)(?P<acted>[AHNS])-(?P<person>[FM]\d\d)-(?P<kind>[PRST])-\w+)"
    r"\.(?:avi|wav)\s*;\s*(?P<label>[A-Z])\s*;\s*A:\s*(?P<arousal>[\d.]+|NaN)\s*;\s*V:\s*(?P<valence>[\d.]+|NaN)",
    re.IGNORECASE,
)
_UNDECIDED = {"X": "without agreement on a label (X)", "O": "of another emotion (O)"}


@register_corpus("msp-improv")
class MspImprov(SpeechCorpus):
    """``Evalution.txt`` and ``session1`` to ``session6`` (in ``Audio`` or not): ``MSP-IMPROV-S01A-F01-S-FM01.wav``.

    In the name: target sentence and the emotion it was acted with, speaker, part (R read, T the target sentence
    improvised, S other turns, P between the scenes). The label is what most listeners hear, not what was acted;
    without agreement (X) and of another emotion (O) utterances are left out. Arousal and valence are means from 1 to
    5. All speakers say the same twenty target sentences: the text of R and T is the sentence, that of the others is
    not known.
    """

    name = "msp-improv"
    layout = (
        "Evalution.txt beside Audio/session1 to session6 with files named like MSP-IMPROV-S01A-F01-S-FM01.wav"
    )
    companions = _LISTS
    native_labels: Mapping[str, str] = {"A": "anger", "H": "happiness", "N": "neutral", "S": "sadness"}

    def recognises(self, root: Path) -> bool:
        table = _list(root)
        return table is not None and _LINE.search(_head(table)) is not None

    def list_sources(self, root: Path) -> Listing[Utterance]:
        table = _list(root)
        if table is None:
            raise CorpusError(f"no {_LISTS[0]}", where=root, expected=self.layout)
        places = by_stem(root, [root], [".wav"])
        utterances, problems = [], []
        undecided: Counter[str] = Counter()
        for line in table.read_text(encoding="utf-8", errors="replace").splitlines():
            found = _LINE.match(line.strip())
            if found is None:
                continue
            name, label = f"MSP-IMPROV-{found['name']}", found["label"].upper()
            if label in _UNDECIDED:
                undecided[_UNDECIDED[label]] += 1
            elif name not in places:
                problems.append(RecordingError(f"no {name}.wav", where=table.name))
            else:
                session = f"session{int(found['person'][1:])}"
                utterances.append(
                    Utterance(
                        path=places[name],
                        id=name,
                        group=found["person"],
                        label=label,
                        text=found["sentence"] if found["kind"].upper() in "RT" else None,
                        session=session,
                        recording=f"{session}-{found['sentence']}{found['acted']}-{found['kind']}",
                        valence=float(found["valence"]),
                        arousal=float(found["arousal"]),
                    )
                )
        unnamed = len(places) - len(utterances) - sum(undecided.values())
        notes = [f"{unnamed} files that {table.name} does not name left out"] if unnamed > 0 else []
        return Listing(sorted(utterances, key=lambda u: u.path), problems, [*left_out(undecided), *notes])


def _list(root: Path) -> Path | None:
    return next((path for name in _LISTS if (path := root / name).is_file()), None)


def _head(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(1 << 16)
