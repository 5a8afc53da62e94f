"""Names that people give to the columns of their lists, and the fields they mean."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from numbers import Integral, Real

from jmml.errors import DataError, nearest

# Field -> names of columns that mean it, in lower case, without blanks, hyphens and underscores.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "path": ("path", "file", "filename", "filepath", "wav", "wavfile", "audio", "audiopath", "audiofile", "key", "id",
             "fileid", "name", "utterance", "utteranceid", "clip"),
    "person": ("person", "speaker", "speakerid", "spk", "spkid", "subject", "subjectid", "participant",
               "participantid", "actor", "actorid", "group", "singer", "spkrid"),
    "text": ("text", "textid", "sentence", "sentenceid", "statement", "transcript", "transcription", "utterancetext",
             "stimulus", "stimulusid", "video", "videoid", "prompt"),
    "session": ("session", "sessionid", "day", "visit"),
    "recording": ("recording", "recordingid", "dialog", "dialogue", "dialogueid", "dialogid", "conversation",
                  "conversationid"),
    "device": ("device", "microphone", "mic", "channelid", "headset"),
    "order": ("order", "position", "trialorder", "presentationorder"),
    "label": ("label", "emotion", "emo", "class", "target", "category", "emoclass"),
    "valence": ("valence", "val", "pleasure", "emoval"),
    "arousal": ("arousal", "act", "activation", "emoact"),
    "dominance": ("dominance", "dom", "emodom"),
    "start_s": ("starts", "start", "onset", "begin", "starttime"),
    "end_s": ("ends", "end", "offset", "stop", "endtime"),
    "gender": ("gender", "sex"),
    "language": ("language", "lang"),
    "fold": ("fold", "foldid", "cv", "cvfold"),
    "part": ("part", "split", "set", "subset", "partition", "usage", "splitset"),
}  # fmt: skip
PARTS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training", "tr", "trn", "fit"),
    "valid": ("valid", "validation", "val", "dev", "devel", "development"),
    "test": ("test", "testing", "eval", "evaluation", "heldout", "tst", "test1", "test2", "test3"),
}


def field_of(column: str) -> str | None:
    """The field that a column or the field of a pattern means; None for one that means nothing here."""
    plain = _plain(column)
    return next((field for field, names in FIELDS.items() if plain in names), None)


def part_of(value: str) -> str | None:
    """``train``, ``valid`` or ``test``, whatever someone calls it; None for another word."""
    plain = _plain(value)
    return next((part for part, names in PARTS.items() if plain in names), None)


def guess(
    columns: Iterable[str], wanted: Mapping[str, str] | None = None, *, where: object = None
) -> dict[str, str]:
    """Field -> column: those that a person named, else the first of the names that mean the field.

    Parameters
    ----------
    wanted : field (by any of its names) -> column, from the command line.

    Raises
    ------
    DataError : an unknown field, or a column that is not there.
    """
    present = list(columns)
    chosen: dict[str, str] = {}
    for name, column in (wanted or {}).items():
        field = field_of(name)
        if field is None:
            raise DataError(
                f"unknown field '{name}'; {nearest(name, FIELDS)}", where=f"--map {name}={column}"
            )
        if column not in present:
            raise DataError(
                f"no column '{column}'; {nearest(column, present)}",
                where=where,
                fix=f"correct --map {name}={column}",
            )
        chosen[field] = column
    for field, names in FIELDS.items():
        candidates = [
            column for column in present if _plain(column) in names and column not in chosen.values()
        ]
        if field not in chosen and candidates:
            chosen[field] = min(candidates, key=lambda column: names.index(_plain(column)))
    return chosen


def clean(value: object) -> str | None:
    """A value as text in NFC, without blanks around it; None where there is none. ``1.0`` is ``1``: a column with gaps
    turns whole numbers into such in one file, and not in the next."""
    if value is None or value != value:
        return None
    if isinstance(value, Real) and not isinstance(value, Integral) and float(value).is_integer():
        value = int(float(value))
    return unicodedata.normalize("NFC", str(value)).strip() or None


def _plain(name: str) -> str:
    return "".join(char for char in name.casefold() if char not in " -_.")
