"""BIDS-EEG: any data set in the brain imaging data structure whose events say which emotion they are.

Pernet, C. R., et al. (2019). EEG-BIDS, an extension to the brain imaging data structure for electroencephalography.
Scientific Data 6, 103.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from jmml.config import Modality
from jmml.data.corpora._base import ManifestRow, Recording, Remark, field_of
from jmml.data.corpora._register import register_corpus
from jmml.data.corpora.files import FilesCorpus, Row, rows_of
from jmml.data.eeg_files.names import electrode
from jmml.data.eeg_files.reading import EEG
from jmml.data.listing.bids import DESCRIPTION, describe_bids, is_bids
from jmml.data.listing.recordings import FILE, Recordings, describe
from jmml.data.listing.trials import Cutting, cut
from jmml.errors import CorpusError, DataError, RecordingError

# Folder -> rows by id, and channels that are no EEG by path: what the last scan found, for the reading of its rows.
_SCANNED: dict[Path, tuple[dict[str, Row], Mapping[str, tuple[str, ...]]]] = {}


@register_corpus("bids")
class BidsCorpus(FilesCorpus):
    """``dataset_description.json`` and ``sub-*/[ses-*/]eeg/*_eeg.edf`` (.bdf, .vhdr, .set), read through mne-bids.

    A trial is an event of ``events.tsv`` that lasts (``duration``) and says its emotion: by a column ``emotion`` or
    ``label``, by columns ``valence`` and ``arousal``, or by a ``trial_type`` that is a word for one. One without
    events is one trial where its ``task`` is such a word. Where events mean something else,
    ``jmml data add NAME FOLDER --event NAME=LABEL --trial-s SECONDS`` says so; the trials are then those of
    ``recordings.csv``, which it writes. ``channels.tsv`` says which channels are EEG; bad ones are told of and kept.
    """

    name = "bids"
    modality: Modality = "eeg"
    layout = (
        f"{DESCRIPTION} and sub-*/[ses-*/]eeg/*_eeg.edf|.bdf|.vhdr|.set, with events.tsv (package mne-bids)"
    )

    def __init__(self, described: Recordings | None = None) -> None:
        super().__init__(described, modality="eeg")

    @property
    def modalities(self) -> tuple[Modality, ...]:
        return ("eeg",)

    def holding(self, modality: Modality) -> BidsCorpus:
        if modality != "eeg":
            raise CorpusError("'bids' holds eeg", expected=modality, fix="correct the modality")
        return self

    def held_in(self, root: Path) -> Modality | None:
        return "eeg"

    def recognises(self, root: Path) -> bool:
        return is_bids(root)

    def files(self, root: Path) -> list[str]:
        """Places of the recordings of trials, of what belongs to them, and of all sidecars."""
        described = self._of(root)
        paths = list(dict.fromkeys(described.frame["path"]))
        beside = [
            PurePosixPath(path).with_name(name).as_posix()
            for path in paths
            for name in described.companions.get(path, ())
        ]
        return [*paths, *beside, *described.sidecars]

    def inspect(self, root: Path, source: Row) -> Iterator[ManifestRow | RecordingError | Remark]:
        others = _SCANNED[root][1].get(source.path, ())
        for found in super().inspect(root, source):
            if isinstance(found, ManifestRow) and others:
                content = hashlib.sha256(" ".join((found.content_hash, *others)).encode()).hexdigest()
                yield found._replace(content_hash=content)
            else:
                yield found

    def read(self, root: Path, row: Any) -> Recording:
        """The trial in volts: the channels that ``channels.tsv`` calls EEG."""
        found = super().read(root, row)
        others = {electrode(name) for name in _of(root)[1].get(str(field_of(row, "path")), ())}
        kept = [n for n, name in enumerate(found.channels) if name not in others]
        if not kept:
            raise RecordingError("channels.tsv calls no channel EEG", where=field_of(row, "path"))
        return Recording(found.signal[kept], found.sample_rate_hz, tuple(found.channels[n] for n in kept))

    def _row(self, root: Path, identity: str) -> Row:
        rows = _of(root)[0]
        if identity not in rows:
            raise RecordingError("not in the events any more", where=identity, fix="run `dvc repro`")
        return rows[identity]

    def _of(self, root: Path) -> Recordings:
        if not is_bids(root):
            raise CorpusError("no BIDS folder", where=root, expected=self.layout)
        return _scan(root, self._described)


def _described(root: Path, known: Recordings | None) -> tuple[Recordings, Mapping[str, tuple[str, ...]]]:
    words = {word.casefold() for word in FilesCorpus.native_labels}
    folder = describe_bids(root, words)
    if known is None and (root / FILE).is_file():
        known = describe(root, EEG, table=root / FILE)
    if known is None:
        known = cut(root, folder.recordings, Cutting(), words=words, events=folder.events)
    return known, folder.others


def _scan(root: Path, known: Recordings | None) -> Recordings:
    try:
        described, others = _described(root, known)
    except DataError as error:
        raise CorpusError(error.what, where=error.where, expected=BidsCorpus.layout, fix=error.fix) from None
    _SCANNED[root] = {row.id: row for row in rows_of(described.frame)}, others
    return described


def _of(root: Path) -> tuple[dict[str, Row], Mapping[str, tuple[str, ...]]]:
    if root not in _SCANNED:
        _scan(root, None)
    return _SCANNED[root]
