"""IEMOCAP: ten American English actors in five pairs, scripted and improvised dialogs, labels of several listeners.

Busso, C., Bulut, M., Lee, C.-C., Kazemzadeh, A., Mower, E., Kim, S., Chang, J. N., Lee, S., Narayanan, S. S. (2008).
IEMOCAP: Interactive emotional dyadic motion capture database. Language Resources and Evaluation 42(4).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from jmml.data.corpora._base import Listing, files_in
from jmml.data.corpora._register import register_corpus
from jmml.data.corpora._speech import SpeechCorpus, Utterance
from jmml.data.corpora.speech._lists import left_out, spoken

# [6.2901 - 8.2357]	Ses01F_impro01_F000	neu	[2.5000, 2.5000, 2.5000]: valence, activation, dominance, from 1 to 5
_LINE = re.compile(
    r"\[[\d.]+ - [\d.]+\]\s+(?P<name>\S+)\s+(?P<label>[a-z]{3})\s+\[(?P<valence>[\d.]+),\s*(?P<arousal>[\d.]+),"
)
# The letter behind the session is who wears the markers; the one before the number is who speaks.
_TURN = re.compile(r"(?P<dialog>(?P<session>Ses0\d)[FM]_(?P<kind>impro|script)\w*)_(?P<who>[FM])\w*\d\w*")
_SAID = re.compile(r"(?P<name>Ses\S+)\s+\[[\d.]+-[\d.]+\]:\s*(?P<text>.*)")
_UNDECIDED = {"xxx": "without agreement on a label (xxx)", "oth": "of another emotion (oth)"}
_KINDS = {"impro": "improvised", "script": "scripted"}


@register_corpus("iemocap")
class Iemocap(SpeechCorpus):
    """``Session1`` to ``Session5``: labels in ``dialog/EmoEvaluation``, sentences in ``sentences/wav``.

    The label is that on which most listeners agree; without one (``xxx``) and of another emotion (``oth``)
    utterances are left out. Excited and happy are one emotion, as in most work on four classes; frustrated (``fru``)
    has no place among ours and is dropped with ``unmapped: drop`` or mapped under ``labels``. Valence and arousal
    are means from 1 to 5. The text is the transcript. Scripted dialogs say the same sentences in every session:
    disjoint people still share texts. Ids tell the two kinds apart (``impro``, ``script``).
    """

    name = "iemocap"
    layout = "Session1 to Session5, with dialog/EmoEvaluation/*.txt and sentences/wav/DIALOG/*.wav"
    companions = ("Session?/dialog/EmoEvaluation/*.txt", "Session?/dialog/transcriptions/*.txt")
    placeless: Mapping[str, str] = {"fru": "frustrated"}
    native_labels: Mapping[str, str] = {
        "ang": "anger",
        "dis": "disgust",
        "exc": "happiness",
        "fea": "fear",
        "hap": "happiness",
        "neu": "neutral",
        "sad": "sadness",
        "sur": "surprise",
    }

    def recognises(self, root: Path) -> bool:
        return any((folder / "dialog" / "EmoEvaluation").is_dir() for folder in _sessions(root))

    def list_sources(self, root: Path) -> Listing[Utterance]:
        utterances: list[Utterance] = []
        undecided: Counter[str] = Counter()
        kinds: Counter[str] = Counter()
        for session in _sessions(root):
            for file in files_in(session / "dialog" / "EmoEvaluation", suffixes=[".txt"]):
                said = _said(session / "dialog" / "transcriptions" / file.name)
                for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
                    found = _LINE.match(line)
                    turn = None if found is None else _TURN.fullmatch(found["name"])
                    if found is None or turn is None:
                        continue
                    if found["label"] in _UNDECIDED:
                        undecided[_UNDECIDED[found["label"]]] += 1
                        continue
                    kinds[_KINDS[turn["kind"]]] += 1
                    utterances.append(
                        Utterance(
                            path=f"{session.name}/sentences/wav/{turn['dialog']}/{found['name']}.wav",
                            id=found["name"],
                            group=turn["session"] + turn["who"],
                            label=found["label"],
                            text=said.get(found["name"]),
                            session=turn["session"],
                            recording=turn["dialog"],
                            valence=float(found["valence"]),
                            arousal=float(found["arousal"]),
                        )
                    )
        both = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        notes = [f"{both} utterances; ids say which"] if len(kinds) > 1 else []
        return Listing(utterances, (), [*left_out(undecided), *notes])


def _sessions(root: Path) -> list[Path]:
    return [folder for number in range(1, 6) if (folder := root / f"Session{number}").is_dir()]


def _said(path: Path) -> dict[str, str]:
    """Transcripts of a dialog by the names of its turns; empty where there is no such file."""
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    found = [match for line in lines if (match := _SAID.match(line))]
    return {match["name"]: text for match in found if (text := spoken(match["text"])) is not None}
