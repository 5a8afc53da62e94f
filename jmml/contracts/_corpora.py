"""The contract of corpus adapters."""

from __future__ import annotations

import pickle
import shutil
import tempfile
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jmml.contracts._clauses import ContractError, held, raised, require
from jmml.data.corpora import (
    ADAPTERS,
    MANIFEST_COLUMNS,
    Corpus,
    Manifest,
    Recording,
    detect_adapter,
    get_corpus,
)
from jmml.data.labels import EMOTIONS
from jmml.errors import CorpusError, JMMLError, RecordingError

LARGE = 2 * 1024**3  # bytes of a folder of which no copy is made to damage it

_MADE, _SCANNED = "it can be loaded and made", "the folder can be scanned"


def check_corpus(adapter: str, root: Path | str, *, damageable: str | None = None) -> None:
    """Every clause of an adapter, on a small corpus under ``root``, which is copied before anything is changed.

    Parameters
    ----------
    adapter : its registered name.
    root : a corpus of a few recordings, or one table.
    damageable : a recording's file below ``root`` that is cut short in the copy; the manifest's first if left out.

    Raises
    ------
    ContractError : the first clause that does not hold.
    """
    root = Path(root)
    check_names(adapter)
    check_scan(adapter, root)
    check_recognised(adapter, root)
    check_foreign(adapter)
    check_nothing_to_scan(adapter)
    check_progress(adapter, root)
    check_recordings(adapter, root)
    check_files(adapter, root)
    check_damage(adapter, root, damageable)


@dataclass(frozen=True)
class Clause:
    """One clause: ``holds`` is None where nothing was there to look at; ``found`` says what does not hold."""

    text: str
    holds: bool | None
    found: str = ""


def report_corpus(
    adapter: str, root: Path | str | None = None, *, damageable: str | None = None
) -> list[Clause]:
    """Every clause of an adapter that holds or does not, in the order of :func:`check_corpus`; nothing is raised.

    Of each part of the contract the first clause that does not hold is listed. Without ``root`` the parts that read
    recordings are not looked at; above :data:`LARGE` bytes nothing is copied and damaged.
    """
    parts: list[tuple[str, Callable[[], None] | None]] = [
        (_MADE, lambda: require(bool(get_corpus(adapter)), _MADE)),
        ("it says what it is", lambda: check_names(adapter)),
        ("foreign files are refused", lambda: check_foreign(adapter)),
        ("nothing to scan is told", lambda: check_nothing_to_scan(adapter)),
    ]
    if root is None:
        parts.append(("recordings are listed, recognised and read (no folder was named)", None))
    else:
        place = Path(root)
        large = _size(place) > LARGE
        parts += [
            ("it recognises the folder", lambda: check_recognised(adapter, place)),
            (_SCANNED, lambda: check_scan(adapter, place)),
            ("a scan tells its progress", lambda: check_progress(adapter, place)),
            ("recordings can be read", lambda: check_recordings(adapter, place)),
            ("the files that it lists are all that it reads" + " (the folder is too large to be copied)" * large,
             None if large else lambda: check_files(adapter, place)),
            ("damaged files are named" + " (the folder is too large to be copied)" * large,
             None if large else lambda: check_damage(adapter, place, damageable)),
        ]  # fmt: skip
    clauses: list[Clause] = []
    for text, part in parts:
        if part is None:
            clauses.append(Clause(text, None))
            continue
        with held() as holding:
            failure = _failure(adapter, text, part)
        known = {clause.text for clause in clauses}
        clauses += [Clause(held_, True) for held_ in holding if held_ not in known]
        if failure is not None:
            clauses.append(failure)
            if text == _MADE or (text == _SCANNED and failure.text == text):  # nothing else can be asked
                later = parts[[name for name, _ in parts].index(text) + 1 :]
                return clauses + [Clause(name, None) for name, _ in later]
    return clauses


def _failure(adapter: str, text: str, part: Callable[[], None]) -> Clause | None:
    try:
        part()
    except ContractError as error:
        clause, _, found = str(error).partition("; found ")
        return Clause(clause, False, found)
    except JMMLError as error:
        return Clause(text, False, str(error))
    except Exception as error:
        source = ADAPTERS.source(adapter)
        plain = f"{type(error).__name__}: {error}"
        return Clause(text, False, plain if source is None else str(source.failure("fails", error)))
    return None


def _size(root: Path) -> int:
    return sum(file.stat().st_size for file in root.rglob("*") if file.is_file()) if root.is_dir() else 0


def check_names(adapter: str) -> None:
    """It is named as it is registered, says its layout, and its labels are known emotions."""
    corpus = get_corpus(adapter)
    require(corpus.name == adapter, "an adapter has the name it is registered under", corpus.name)
    require(bool(corpus.layout), "an adapter says which files it expects where (layout)")
    strange = set(corpus.native_labels.values()) - set(EMOTIONS)
    require(not strange, f"native_labels lead to emotions of {', '.join(EMOTIONS)}", strange)
    again = pickle.loads(pickle.dumps(corpus))  # noqa: S301 - what was pickled in this line
    require(again.name == adapter, "an adapter can be sent to another process")


def check_scan(adapter: str, root: Path) -> None:
    """A scan gives a complete manifest, the same each time, whose paths point at files below the root."""
    corpus = get_corpus(adapter)
    manifest, again = corpus.scan(root), get_corpus(adapter).scan(root)
    frame = manifest.frame
    require(tuple(frame.columns) == MANIFEST_COLUMNS, "a manifest has its columns", list(frame.columns))
    require(len(frame) > 0, "a manifest lists the recordings")
    twice = frame.loc[frame["content_hash"].duplicated(keep=False), "path"]
    require(
        twice.empty,
        "the sample corpus has no recording twice, and recordings that differ have other hashes",
        [*twice],
    )
    require(bool(frame["modality"].isin([corpus.modality]).all()), "rows are of the adapter's modality")
    require(frame["group"].nunique() > 1, "the sample corpus has two people or more", frame["group"].unique())
    spelt = [name for name in frame["group"] if name != unicodedata.normalize("NFC", name).strip()]
    require(not spelt, "people's names are in Unicode NFC, without blanks around them", spelt[:1])
    require(manifest.digest == again.digest, "two scans of the same files give the same manifest")
    for path in frame["path"]:
        require((root / path).is_file() or root.is_file(), "paths are files below the root", path)
    with tempfile.TemporaryDirectory() as folder:
        manifest.save(Path(folder, "manifest.parquet"))
        loaded = Manifest.load(Path(folder, "manifest.parquet"))
        require(loaded.frame.equals(frame), "a manifest survives being written and read")


def check_recognised(adapter: str, root: Path) -> None:
    """Its own layout is recognised, by it before others."""
    require(get_corpus(adapter).recognises(root), "an adapter recognises its own layout")
    found = detect_adapter(root)
    require(found == adapter, "no other adapter recognises the layout first", found)


def check_foreign(adapter: str) -> None:
    """Foreign files are not recognised, and a scan of them says what it expects."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "readme.txt").write_text("hello")
        Path(folder, "greeting.bin").write_bytes(b"\0" * 1000)
        require(not get_corpus(adapter).recognises(Path(folder)), "foreign files are not recognised")
        text = raised(CorpusError, lambda: get_corpus(adapter).scan(Path(folder)), "a scan of foreign files")
        require("expected" in text, "a scan of foreign files says what is expected", text)


def check_nothing_to_scan(adapter: str) -> None:
    """A folder that is missing or empty, or a file in its place, is one line that names it."""
    with tempfile.TemporaryDirectory() as folder:
        file, empty = Path(folder, "file"), Path(folder, "empty")
        file.write_text("not a corpus")
        empty.mkdir()
        for place in (Path(folder, "absent"), empty, file):
            clause = "a scan of a file" if place is file else f"a scan of an {place.name} folder"
            text = raised(CorpusError, lambda place=place: get_corpus(adapter).scan(place), clause)  # type: ignore[misc]
            require(str(place) in text, f"{clause} names it", text)


def check_progress(adapter: str, root: Path) -> None:
    """A scan counts its files from 1 to their number."""
    calls: list[tuple[int, int]] = []
    get_corpus(adapter).scan(root, progress=lambda done, total: calls.append((done, total)))
    require(bool(calls), "a scan tells its progress")
    total = calls[-1][1]
    require(calls == [(done, total) for done in range(1, total + 1)], "progress counts to the total", calls)


def check_recordings(adapter: str, root: Path) -> None:
    """Recordings are as the manifest says: float32 (channels, samples), finite, of its duration and rate."""
    corpus = get_corpus(adapter)
    frame = corpus.scan(root).frame
    if not _has_recordings(corpus):
        raised(CorpusError, lambda: corpus.read(root, frame.iloc[0]), "reading a recording of a table")
        return
    recording: Recording | None = None
    for row in frame.itertuples(index=False):
        recording = corpus.read(root, row)
        require(recording.signal.dtype == np.float32, "a signal is float32", recording.signal.dtype)
        require(bool(np.isfinite(recording.signal).all()), "a signal is finite", row.id)
        samples = round(float(row.duration_s) * float(row.sample_rate_hz))  # type: ignore[arg-type]
        shape = (len(recording.channels), samples)
        require(
            recording.signal.shape == shape,
            "a signal has a row per channel, and as many samples as its duration and rate say",
            f"{recording.signal.shape}, not {shape}, in {row.id}",
        )
        require(
            recording.sample_rate_hz == row.sample_rate_hz, "its sample rate is that of the manifest", row.id
        )
    by_series = corpus.read(root, frame.iloc[-1])
    assert recording is not None
    same = np.array_equal(by_series.signal, recording.signal)
    require(same, "a row may be given as a Series as well")


def check_files(adapter: str, root: Path) -> None:
    """The files that an adapter says it uses are all that it needs: alone, they give the same manifest.

    An adapter that does not say (no method ``files``) is given every visible file.
    """
    corpus = get_corpus(adapter)
    listed = getattr(corpus, "files", None)
    if listed is None or not root.is_dir():
        return
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder, "corpus")
        for place in listed(root):
            (alone / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / place, alone / place)
        same = get_corpus(adapter).scan(alone).digest == get_corpus(adapter).scan(root).digest
        require(same, "the files that it lists (companions) are all that it reads")


def check_damage(adapter: str, root: Path, damageable: str | None = None) -> None:
    """A file that is cut short, or empty, stops the scan and is named; with ``skip_bad`` it is listed and left out."""
    if not _has_recordings(get_corpus(adapter)):
        return
    before = get_corpus(adapter).scan(root).frame
    path = damageable or str(before["path"].iloc[0])
    lost = int((before["path"] == path).sum())
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(root, Path(folder, "corpus")))
        whole = (copy / path).read_bytes()
        for kept, clause in (
            (len(whole) // 4, "a scan of a file cut to a quarter"),
            (0, "a scan of an empty file"),
        ):
            (copy / path).write_bytes(whole[:kept])
            text = raised(RecordingError, lambda: get_corpus(adapter).scan(copy), clause)
            require(path in text, f"{clause} names the file", text)
            if lost == len(before):  # all of the corpus is in this file
                skipping = lambda: get_corpus(adapter).scan(copy, skip_bad=True)  # noqa: E731
                raised(RecordingError, skipping, f"{clause}, skipping it, where it is all there is")
                continue
            manifest = get_corpus(adapter).scan(copy, skip_bad=True)
            require(
                len(manifest) == len(before) - lost, f"{clause}, skipping it, has the others", len(manifest)
            )
            listed = len(manifest.skipped) == 1 and path in manifest.skipped[0]
            require(listed, f"{clause}, skipping it, lists it", manifest.skipped)


def _has_recordings(corpus: Corpus) -> bool:
    return corpus.modality is not None
