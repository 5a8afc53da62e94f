"""Databases of audformat, the format of audEERING in which many speech corpora are shared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from jmml.config import Modality
from jmml.data.corpora._base import FileCorpus, Listing, ManifestRow, Recording, Remark
from jmml.data.corpora._register import register_corpus
from jmml.data.corpora.files import FilesCorpus, Row
from jmml.data.listing.audformat_database import HEADER, describe_database, is_database
from jmml.errors import CorpusError, RecordingError


@register_corpus("audformat")
class AudformatCorpus(FileCorpus[Row]):
    """``db.yaml``, its tables as ``db.TABLE.csv`` or ``.parquet``, and the files that they name.

    The label is the column ``emotion`` of any table (of tables called gold standard, where there are some), or
    ratings of valence and arousal; speaker, text, session and others are taken from every table that knows them.
    Segments are rows of their own. Tables that are pickles are refused, and so are headers that hold more than data.
    """

    name = "audformat"
    modality: Modality = "speech"
    layout = f"{HEADER} and its tables, db.TABLE.csv or db.TABLE.parquet, beside the files that they name"
    companions = (HEADER, "db.*.csv", "db.*.parquet")
    native_labels: Mapping[str, str] = FilesCorpus.native_labels

    def recognises(self, root: Path) -> bool:
        return is_database(root)

    def list_sources(self, root: Path) -> Listing[Row]:
        if not is_database(root):
            raise CorpusError(f"no {HEADER}", where=root, expected=self.layout)
        return FilesCorpus(describe_database(root)).list_sources(root)

    def inspect(self, root: Path, source: Row) -> Iterator[ManifestRow | RecordingError | Remark]:
        return FilesCorpus().inspect(root, source)

    def read(self, root: Path, row: Any) -> Recording:
        """The recording, or its segment, as one channel ``"mono"``, at the sample rate of its file."""
        return _described(root, _changed(root)).read(root, row)


@lru_cache(maxsize=8)
def _described(root: Path, changed: tuple[int, ...]) -> FilesCorpus:
    return FilesCorpus(describe_database(root))


def _changed(root: Path) -> tuple[int, ...]:
    return tuple(sorted(path.stat().st_mtime_ns for path in root.glob("db.*") if path.is_file()))
