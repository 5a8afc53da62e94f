"""Which adapter reads a folder; where none does, what lies there instead and how to go on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath
from shlex import quote
from typing import get_args

from jmml.config import Modality
from jmml.data.corpora import ADAPTERS, EitherCorpus, detect_adapter, get_corpus
from jmml.data.corpora.files import KINDS
from jmml.data.listing.belonging import files_below
from jmml.data.listing.columns import guess
from jmml.data.listing.on_disk import POINTER_SIZE, pointer_in
from jmml.data.listing.tables import read_text
from jmml.errors import CorpusError, DataError, JMMLError, nearest
from pipelines.corpora.describing import what_lies_in
from pipelines.reporting.wording import many

DEPTH = 3  # folders below the one that was named in which a corpus is looked for
MOST = 300  # folders that are looked into
SHOWN = 3
_NAMES = 2000  # files whose names are compared with those of known corpora
_PATTERNS = {"speech": "{speaker}_{text}_{label}", "eeg": "{subject}_{session}"}


def choose_adapter(name: str, source: Path, adapter: str | None) -> str:
    """The adapter asked for, else that of the corpus' name, else the one that recognises the files.

    Raises
    ------
    CorpusError : none does, or one recognises a folder in ``source`` instead.
    """
    if adapter is not None:
        get_corpus(adapter)
    wanted = adapter or (name if name in ADAPTERS else None)
    if wanted is None:
        chosen = detect_adapter(source)
        if chosen is None:
            raise unrecognised(name, source)
        if source.is_file():
            _refuse_list(name, source)
        return chosen
    if source.is_dir() and not _recognises(wanted, source):
        refuse_parent(name, source, wanted, asked=adapter is not None)
    return wanted


def _refuse_list(name: str, source: Path) -> None:
    """A table that names recordings and has no features is about a folder, which is what is to be named."""
    try:
        frame = read_text(source)
        known = guess(frame.columns)
    except DataError:
        return  # the adapter of tables says what is wrong with it
    if {"id", "group"} <= set(frame.columns) or "path" not in known or not len(frame):
        return
    first = str(frame[known["path"]].iloc[0]).replace("\\", "/")
    if PurePosixPath(first).suffix.lower() in {suffix for kind in KINDS.values() for suffix in kind.suffixes}:
        raise CorpusError(
            f"lists recordings, such as {first}, and holds no features",
            where=source,
            expected="the folder with the recordings, and this table beside it",
            fix=f"`jmml data add {name} FOLDER --table {quote(str(source))}`",
        )


def choose_modality(adapter: str, modality: str | None, source: Path) -> Modality:
    """The modality that the adapter reads, or the one asked for where the adapter leaves it open."""
    corpus = get_corpus(adapter)
    known: Modality | None = corpus.modality
    if isinstance(corpus, EitherCorpus) and len(corpus.modalities) > 1:
        known = corpus.held_in(source)
    wanted = modality or known
    if wanted is None:
        raise CorpusError(
            f"adapter '{adapter}' does not say what it holds"
            if corpus.modality is None
            else f"'{adapter}' holds speech and EEG",
            fix="add --modality speech or eeg"
            + ("" if corpus.modality is None else "; each is a corpus of its own, under a name of its own"),
        )
    if wanted not in get_args(Modality):
        raise CorpusError(f"unknown modality '{wanted}'; {nearest(wanted, get_args(Modality))}")
    return next(valid for valid in get_args(Modality) if valid == wanted)


def unrecognised(name: str, source: Path, error: DataError | None = None) -> CorpusError:
    """One line on a folder that no adapter reads: what lies there, what it is nearest to, the commands that lead on.

    ``error`` says why the files could not be described by a table or their names.
    """
    try:
        refuse_pointers(source, files_below(source) if source.is_dir() else [])
        if source.is_dir():
            refuse_parent(name, source)
    except CorpusError as better:
        return better
    found = what_lies_in(source)
    if not found:
        return CorpusError("the folder is empty", where=source)
    near = _nearest(source)
    if error is not None and error.where != source and error.expected is not None:
        return CorpusError(f"no adapter recognises {found}, and {error}", where=source)
    why = f", and {'it ' if error.what.startswith('holds') else ''}{error.what}" if error is not None else ""
    return CorpusError(
        f"no adapter recognises {found}{near}{why}",
        where=source,
        fix=_lead_on(name, source),
    )


def refuse_pointers(source: Path, files: list[str]) -> None:
    """Refuse files that only say where the data are, with the command that fetches them.

    Raises
    ------
    CorpusError : pointers of Git LFS or git-annex, or of DVC whose data are not there.
    """
    found = []
    for place in files:
        path = source / place
        try:
            if path.is_symlink() or path.stat().st_size <= POINTER_SIZE:
                pointer = pointer_in(path)
                if pointer is None and path.suffix == ".dvc" and not path.with_suffix("").exists():
                    pointer = ("a DVC pointer", "`dvc pull`")
                if pointer is not None:
                    found.append((place, pointer))
        except OSError:
            continue
    if found:
        place, (what, command) = found[0]
        others = f", and so are {len(found) - 1} more of {len(files)} files" if len(found) > 1 else ""
        raise CorpusError(
            f"{place} is {what}, not the data{others}",
            where=source,
            fix=f"fetch them with {command} in that folder, then add it again",
        )


def _recognises(adapter: str, folder: Path) -> bool:
    try:
        return get_corpus(adapter).recognises(folder)
    except (JMMLError, OSError):
        return False


def refuse_parent(name: str, source: Path, adapter: str | None = None, *, asked: bool = False) -> None:
    """Refuse a folder around a corpus; the message names the corpus, and the command that adds it.

    ``adapter`` is the only one that counts, if any; ``asked``: it was named with --adapter.

    Raises
    ------
    CorpusError : there is a corpus in the folder.
    """
    found = _corpora_in(source, adapter)
    if not found:
        return
    folder, kind = found[0]
    option = f" --adapter {kind}" if asked else ""
    others = ", ".join(path.relative_to(source).as_posix() for path, _ in found[1 : 1 + SHOWN])
    raise CorpusError(
        f"holds a corpus in the layout of '{kind}', in {folder.relative_to(source)}"
        + (f" (and {many(len(found) - 1, 'more')}: {others})" if others else ""),
        where=source,
        fix=f"add that: `jmml data add {name} {quote(str(folder))}{option}`",
    )


def _corpora_in(source: Path, adapter: str | None) -> list[tuple[Path, str]]:
    """Folders below ``source`` that an adapter recognises, tables last; the outermost of each."""
    found: list[tuple[Path, str]] = []
    level, looked = [source], 0
    for _ in range(DEPTH):
        below = []
        for folder in level:
            for entry in _folders(folder):
                looked += 1
                if looked > MOST:
                    return found
                kind = _kind(entry, adapter)
                if kind is not None:
                    found.append((entry, kind))
                else:
                    below.append(entry)
        level = below
    return sorted(found, key=lambda one: get_corpus(one[1]).modality is None)


def _kind(folder: Path, adapter: str | None) -> str | None:
    if adapter is not None:
        return adapter if _recognises(adapter, folder) else None
    try:
        return detect_adapter(folder)
    except (JMMLError, OSError):
        return None


def _folders(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return []
    return [
        entry
        for entry in entries
        if not entry.name.startswith(".") and entry.is_dir() and not entry.is_symlink()
    ]


def _nearest(source: Path) -> str:
    """`` (nearest: 'cremad', by 12 of 40 names)``, where names are as in a known corpus."""
    audio = [place for place in files_below(source) if _suffix(place) in KINDS["speech"].suffixes][:_NAMES]
    counts: Counter[str] = Counter()
    for adapter in ADAPTERS:
        naming = getattr(get_corpus(adapter), "naming", None)
        if naming is not None:
            plain = (PurePosixPath(place).with_suffix(".wav").as_posix() for place in audio)
            counts[adapter] = sum(naming.fields(place) is not None for place in plain)
    if not counts or not (best := counts.most_common(1)[0])[1]:
        return ""
    return f" (nearest: '{best[0]}', by {best[1]} of {len(audio)} names)"


def _lead_on(name: str, source: Path) -> str:
    """The two commands: describe the names, or write an adapter."""
    kinds = Counter(_suffix(place) for place in (files_below(source) if source.is_dir() else []))
    shapes = {suffix: _PATTERNS[kind] for kind in KINDS for suffix in KINDS[kind].suffixes}
    suffix = next((suffix for suffix, _ in kinds.most_common() if suffix in shapes), ".wav")
    at = quote(str(source))
    return (
        f"say how the files are named: `jmml data add {name} {at} --pattern '{shapes[suffix]}{suffix}'` (or --table), "
        f"or write an adapter: `jmml data new-adapter {name} {at}`"
    )


def _suffix(place: str) -> str:
    return PurePosixPath(place).suffix.lower()
