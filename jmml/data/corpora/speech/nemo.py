"""nEMO: acted Polish emotional speech, nine speakers, six emotions.

Christop, I. (2024). nEMO: Dataset of Emotional Speech in Polish. LREC-COLING 2024.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from jmml.data.corpora._base import Listing, files_in
from jmml.data.corpora._register import register_corpus
from jmml.data.corpora._speech import SpeechCorpus, Utterance
from jmml.data.listing.naming import Naming
from jmml.errors import CorpusError, RecordingError

_TABLE = "data.tsv"
_SAMPLES = "samples"
_COLUMNS = ("file_id", "emotion", "speaker_id")
# SB0_anger_12.wav: speaker, emotion, sentence
_NAME = re.compile(r"(?P<person>[A-Z]{2,3}\d?)_(?P<label>[a-z]+)_(?P<text>\d+)\.wav")


@register_corpus("nemo")
class Nemo(SpeechCorpus):
    """``data.tsv`` names the files in ``samples/`` with emotion and speaker.

    The columns ``file_id``, ``emotion`` and ``speaker_id`` are used. A file that the table names and the
    folder lacks is unusable; a WAV that the table does not name is left out, with a note.
    """

    name = "nemo"
    layout = "data.tsv (file_id, emotion, speaker_id, tab-separated) beside samples/*.wav"
    naming: Naming = Naming("nemo", _NAME)
    companions = (_TABLE,)
    native_labels: Mapping[str, str] = {
        "anger": "anger",
        "fear": "fear",
        "happiness": "happiness",
        "neutral": "neutral",
        "sadness": "sadness",
        "surprised": "surprise",
    }

    def recognises(self, root: Path) -> bool:
        return (root / _TABLE).is_file() and (root / _SAMPLES).is_dir()

    def list_sources(self, root: Path) -> Listing[Utterance]:
        table = _read_table(root / _TABLE)
        utterances, problems = [], []
        for number, row in enumerate(table.itertuples(index=False), start=2):
            name, speaker = str(row.file_id).strip(), str(row.speaker_id).strip()
            at = f"{_TABLE} line {number}"
            if not name or not speaker:
                problems.append(RecordingError("no file_id or no speaker_id", where=at))
            elif "/" in name or "\\" in name or name.startswith("."):
                problems.append(RecordingError(f"file_id '{name}' is not a plain file name", where=at))
            elif (
                said := _contradiction(self.naming.fields(name), speaker, str(row.emotion).strip())
            ) is not None:
                problems.append(RecordingError(said, where=f"{at} ({name})"))
            else:
                emotion = str(row.emotion).strip() or None
                said = (self.naming.fields(name) or {}).get("text")
                utterances.append(Utterance(f"{_SAMPLES}/{name}", Path(name).stem, speaker, emotion, said))
        named = {utterance.path for utterance in utterances}
        unnamed = [
            f for f in files_in(root / _SAMPLES, suffixes=[".wav"]) if f"{_SAMPLES}/{f.name}" not in named
        ]
        notes = [f"{len(unnamed)} files in {_SAMPLES}/ are not named in {_TABLE}"] if unnamed else []
        return Listing(sorted(utterances, key=lambda u: u.path), problems, notes)


def _contradiction(named: Mapping[str, str] | None, speaker: str, emotion: str) -> str | None:
    """What the name of a file and its row say differently; names of other forms say nothing."""
    for field, value, what in (("person", speaker, "speaker"), ("label", emotion, "emotion")):
        if named is not None and value and named.get(field, value) != value:
            return f"the name says {what} {named[field]}, the row says {value}"
    return None


def _read_table(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise CorpusError("no such file", where=path, expected=Nemo.layout) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise CorpusError(f"is not a tab-separated table ({error})", where=path) from None
    missing = [column for column in _COLUMNS if column not in table.columns]
    if missing:
        raise CorpusError(
            f"columns missing: {', '.join(missing)}",
            where=path,
            expected=f"the columns {', '.join(_COLUMNS)}",
        )
    return table
