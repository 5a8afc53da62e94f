"""``jmml data new-adapter``: a first version of an adapter, from the names and tables that lie under a folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from jmml.data.corpora import ADAPTERS
from jmml.data.eeg_files.reading import COMPANIONS, EEG
from jmml.data.features.audio import AUDIO
from jmml.data.listing.guess import Guess, emotion_of, guess_columns, guess_naming
from jmml.data.listing.recordings import Places, find_recordings
from jmml.data.listing.tables import SUFFIXES, read_text
from jmml.errors import CorpusError, DataError
from jmml.files import atomic_path
from pipelines.corpora.check_adapter import FILL_IN, AdapterReport, check_adapter
from pipelines.corpora.describing import what_lies_in
from pipelines.reporting.wording import many
from pipelines.workspace.project import Project

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_MOST_LABELS = 40
_LOOKED_AT = 20_000  # names; the guess is no better for more
_KEPT = ("path", "person", "label", "text", "session", "recording", "device")
_NEEDED = {"person": "who speaks", "label": "which emotion it is"}

_HEAD = '''"""{title}

Written by `jmml data new-adapter` from what it saw. Read it, put right what is wrong, fill in what is marked, and try
it: jmml data check-adapter {name} FOLDER
"""

from __future__ import annotations

'''
_NAMES = (
    _HEAD
    + """from jmml.data.corpora import {imports}
{also}from jmml.data.listing.naming import naming_of


@register_corpus("{name}")
class {kind}(CodedCorpus):
    name = "{name}"
    modality = "{modality}"
    layout = {layout}
    example = {example}
    suffixes = {suffixes}
    companions = {companions}  # other files that are read, by their places or patterns of places
    depth = {depth}  # folders, the corpus itself included, in which the files may lie

    # {{speaker}}, {{label}}, {{text}}, {{session}}, {{recording}} and {{device}} are what a part of the name says;
    # {{}} is a part that says nothing; :d takes digits alone, :a letters alone, :3 three characters.{said}
    naming = naming_of({pattern})

    # The label in the name of a file -> anger, fear, happiness, sadness, surprise, disgust, neutral, calm or boredom.
    # A label without an emotion may be left out here; `unmapped: drop` in params.yaml drops its recordings.
    native_labels = {labels}
{methods}"""
)
_EEG_IMPORTS = "from jmml.data.corpora.files import KINDS\n"
_EEG_METHODS = '''
    def inspect(self, root, source):
        duration_s, sample_rate_hz, remark = KINDS["eeg"].inspect(root / source.path, source.path)
        if remark is not None:
            yield remark
        yield ManifestRow(
            id=source.id, path=source.path, item=0, modality="eeg", label=source.label, valence=source.valence,
            arousal=source.arousal, group=source.group, duration_s=duration_s, sample_rate_hz=sample_rate_hz,
            content_hash=KINDS["eeg"].content(root / source.path, None, None, source.path), text=source.text,
            session=source.session, recording=source.recording, device=source.device,
        )  # fmt: skip

    def read(self, root, row):
        """The whole file in volts; several trials in one file are read with `jmml data add NAME PATH --table`."""
        place = str(field_of(row, "path"))
        return Recording(*KINDS["eeg"].read(root / place, None, None, place))
'''
_TABLE = (
    _HEAD
    + """from jmml.data.corpora import Listing, SpeechCorpus, Utterance, register_corpus
from jmml.data.features.audio import AUDIO
from jmml.data.listing.recordings import describe
from jmml.errors import CorpusError, RecordingError

TABLE = {table}
# What a column of the table means; it has a row per recording.{said}
COLUMNS = {columns}


@register_corpus("{name}")
class {kind}(SpeechCorpus):
    name = "{name}"
    layout = {layout}
    companions = (TABLE,)

    # The label in the table -> anger, fear, happiness, sadness, surprise, disgust, neutral, calm or boredom. A label
    # without an emotion may be left out here; `unmapped: drop` in params.yaml drops its recordings.
    native_labels = {labels}

    def recognises(self, root):
        return (root / TABLE).is_file()

    def list_sources(self, root):
        if not self.recognises(root):
            raise CorpusError(f"no {{TABLE}}", where=root, expected=self.layout)
        known = describe(root, AUDIO, table=root / TABLE, columns=COLUMNS)
        rows = known.frame.to_dict("records")
        problems = [RecordingError(line) for line in known.problems]
        problems += [RecordingError("says no speaker", where=row["path"]) for row in rows if not row["person"]]
        return Listing([self._utterance(row) for row in rows if row["person"]], problems, known.notes)

    def _utterance(self, row):
        told = {{key: row.get(key) for key in ("text", "session", "recording", "device")}}
        identity = row["path"].rpartition(".")[0]
        return Utterance(row["path"], identity, group=row["person"], label=row["label"], **told)
"""
)


@dataclass(frozen=True)
class NewAdapter:
    """An adapter that was written: where, what was understood, and what the contract says of it."""

    name: str
    path: str
    understood: tuple[str, ...]
    report: AdapterReport

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name, "path": self.path, "understood": list(self.understood), "check": self.report.as_dict(),
        }  # fmt: skip

    def lines(self) -> list[str]:
        report = self.report
        left = [f"to fill in: {line}" for line in report.to_fill_in]
        broken = [f"FAILS: {c.text}" + (f"; found {c.found}" if c.found else "") for c in report.broken]
        if left:
            state = (
                f"next: fill in what is marked, then `jmml data check-adapter {self.name} {report.folder}`"
            )
        elif broken:
            state = f"next: put {self.path} right, then `jmml data check-adapter {self.name} {report.folder}`"
        else:
            state = (
                f"it does all that an adapter must; read {self.path}, then "
                f"`jmml data add NAME {report.folder} --adapter {self.name}`"
            )
        return [
            f"wrote {self.path}",
            *self.understood,
            *left,
            *broken,
            *(f"note: {n}" for n in report.notes),
            state,
        ]


def new_adapter(project: Project, name: str, path: Path, *, force: bool = False) -> NewAdapter:
    """Write ``corpora/NAME.py`` of the project for the recordings under ``path``, and try it on them.

    Parameters
    ----------
    name : of the adapter, in lower case; ``_`` and ``-`` are the same.
    path : a folder of recordings.
    force : replace the file if it is there.

    Raises
    ------
    CorpusError : the name cannot be used or is taken, or no recordings of speech lie there.
    """
    if not _NAME.fullmatch(name):
        raise CorpusError(
            f"'{name}' cannot name an adapter",
            expected="lower-case letters, digits and single hyphens, such as lab-calls",
        )
    name = name.replace("_", "-")
    file = project.root / "corpora" / f"{name.replace('-', '_')}.py"
    place = file.relative_to(project.root).as_posix()
    if name in ADAPTERS.own():
        raise CorpusError(f"jmml has an adapter '{name}' already", fix="choose another name")
    if file.exists() and not force:
        raise CorpusError("is there already", where=place, fix="edit it, choose another name, or add --force")
    source = Path(path).expanduser()
    if not source.is_dir():
        raise CorpusError("no such folder", where=source, expected="the folder that holds the recordings")
    text, understood = _written(name, source)
    file.parent.mkdir(exist_ok=True)
    with atomic_path(file) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return NewAdapter(name, place, tuple(understood), check_adapter(name, source))


def _written(name: str, source: Path) -> tuple[str, list[str]]:
    """The text of an adapter, and what it was made from."""
    try:
        speech, eeg = find_recordings(source, AUDIO), find_recordings(source, EEG)
    except DataError as error:
        raise CorpusError(error.what, where=error.where, fix=error.fix) from None
    if not speech and not eeg:
        found = what_lies_in(source)
        raise CorpusError(
            f"holds no recordings{f', but {found}' if found else ''}",
            where=source,
            expected=f"files of the kinds {', '.join((*AUDIO, *EEG))}",
        )
    told = _by_table(source, speech) if speech else None
    if told is not None:
        return _from_table(name, source, *told)
    return _from_names(name, speech or eeg, eeg=not speech)


def _by_table(source: Path, paths: list[str]) -> tuple[Path, pd.DataFrame, dict[str, str]] | None:
    """The table in the folder, or a folder in it, that names the recordings, and what its columns seem to mean."""
    places = Places(paths)
    found = []
    for path in sorted([*source.glob("*"), *source.glob("*/*")]):
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith("."):
            try:
                frame = read_text(path)
            except DataError:
                continue
            columns = guess_columns(frame, places.find)
            if columns:
                found.append((path, frame, columns))
    return max(found, key=lambda one: (len(one[2]), len(one[1])), default=None)


def _from_table(
    name: str, source: Path, table: Path, frame: pd.DataFrame, columns: dict[str, str]
) -> tuple[str, list[str]]:
    kept = {field: columns[field] for field in _KEPT if field in columns}
    said = "".join(
        f"\n# {FILL_IN}: the column that says {what}."
        for field, what in _NEEDED.items()
        if kept.setdefault(field, FILL_IN) == FILL_IN
    )
    if "start_s" in columns:
        said += (
            f"\n# {FILL_IN}: the table cuts segments out of recordings, which this does not; "
            "`jmml data add NAME PATH --table TABLE` does."
        )
    values = [] if kept["label"] == FILL_IN else {value for value in frame[kept["label"]] if value}
    place = table.relative_to(source).as_posix()
    understood = [
        f"understood: {many(len(frame), 'row')} of {place} name recordings",
        *(f"understood: {field}: column {column}" for field, column in kept.items() if column != FILL_IN),
    ]
    text = _TABLE.format(
        title=f"{name}: {many(len(frame), 'recording')}, told by a table.",
        name=name, kind=_class(name), table=repr(place), said=said,
        columns="{" + "".join(f"\n    {field!r}: {column!r}," for field, column in kept.items()) + "\n}",
        layout=repr(f"{place} with the columns {', '.join(kept.values())}, beside the recordings it names"),
        labels=_labels(values or [f"{FILL_IN}: a label"]),
    )  # fmt: skip
    return text, understood


def _from_names(name: str, paths: list[str], *, eeg: bool) -> tuple[str, list[str]]:
    guess = guess_naming(paths[:: max(1, len(paths) // _LOOKED_AT)])
    values = guess.values
    example = next((path for path in paths if path not in guess.other), paths[0])
    lacking = [field for field in ("person", "label") if field not in values]
    said = ""
    if lacking:
        words = " and ".join(
            {"person": "who speaks", "label": "which emotion it is"}[field] for field in lacking
        )
        marks = " and ".join("{speaker}" if field == "person" else "{label}" for field in lacking)
        said = (
            f"\n    # {FILL_IN}: which part says {words}? Write {marks} in place of the braces of that part."
        )
    pattern = guess.pattern or _bare(example)
    folders = "/" in pattern
    text = _NAMES.format(
        title=f"{name}: {many(len(paths), 'recording')} whose names say who it is and which emotion.",
        name=name, kind=_class(name), pattern=repr(pattern.replace("{person", "{speaker")), said=said,
        example=repr(example if folders else PurePosixPath(example).name),
        layout=repr(f"files named like {example if folders else PurePosixPath(example).name}"),
        suffixes=repr(tuple(sorted({PurePosixPath(path).suffix.lower() for path in paths}))),
        depth=max(3, *(path.count("/") + 1 for path in paths)),
        labels=_labels(values.get("label") or [f"{FILL_IN}: a label"]),
        modality="eeg" if eeg else "speech",
        companions=repr(tuple(f"*{suffix}" for suffix in COMPANIONS) if eeg else ()),
        imports=f"CodedCorpus, {'ManifestRow, Recording, field_of, ' if eeg else ''}register_corpus",
        also=_EEG_IMPORTS if eeg else "", methods=_EEG_METHODS if eeg else "",
    )  # fmt: skip
    return text, _understood(guess, len(paths))


def _understood(guess: Guess, total: int) -> list[str]:
    if guess.pattern is None:
        return [f"understood: {many(total, 'recording')}, whose names have no form in common"]
    lines = [f"understood: {guess.fitting} names of the form {guess.pattern.replace('{person', '{speaker')}"]
    for field, values in guess.values.items():
        shown = ", ".join(value for value, _ in values.most_common(6))
        lines.append(
            f"understood: {field}: {len(values)} values ({shown}{', ...' if len(values) > 6 else ''})"
        )
    if guess.other:
        lines.append(f"note: {many(len(guess.other), 'file')} named otherwise, such as {guess.other[0]}")
    return lines


def _labels(labels: Any) -> str:
    """The dictionary of labels as it is written; what no emotion is known for is marked."""
    shown = sorted(map(str, labels))[:_MOST_LABELS]
    lines = []
    for label in shown:
        emotion = emotion_of(label)
        mark = "" if emotion else f"  # {FILL_IN} the emotion, or delete the line"
        lines.append(f"        {label!r}: {emotion or FILL_IN!r},{mark}")
    return "{\n" + "\n".join(lines) + "\n    }"


def _bare(example: str) -> str:
    return "{label}_*" + PurePosixPath(example).suffix


def _class(name: str) -> str:
    return "".join(part.capitalize() for part in re.split(r"[-_]", name))
