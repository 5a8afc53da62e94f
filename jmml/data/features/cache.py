"""A folder of extracted features, addressed by what went in: recording, settings, code of reader and extractor.

An entry is found by content alone, so a renamed or moved corpus is not extracted again, and a changed setting
or an edited extractor never meets an old entry. Entries are never changed, so there is nothing to
invalidate; the folder may be deleted at any time. An entry is a single file with its checksum, as there are tens of
thousands of them and each is small.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jmml.config import Modality
from jmml.errors import DataError
from jmml.files import atomic_path

_CHECKSUM_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True)
class Entry:
    """Features of one recording: float32 (rows, D), and the channels whose names the columns carry."""

    channels: tuple[str, ...]
    X: np.ndarray


class FeatureCache:
    """Entries under ``root``/ab/cd/abcd....npy for one modality and one digest of settings and code.

    A file is a NumPy array (version 1 of the format, readable by ``np.load``, never pickled) of one record
    ``channels, X``, followed by the SHA-256 of those bytes: a damaged file counts as absent.
    """

    def __init__(self, root: Path, modality: Modality, extractor: str) -> None:
        self.root, self.modality, self.extractor = Path(root), modality, extractor

    def path(self, content_hash: str) -> Path:
        """Where the entry of a recording lies, whether it exists or not."""
        key = hashlib.sha256(f"{content_hash}\n{self.modality}\n{self.extractor}".encode()).hexdigest()
        return self.root / key[:2] / key[2:4] / f"{key}.npy"

    def get(self, content_hash: str) -> Entry | None:
        """The entry, or None where it is absent or damaged."""
        try:
            stored = self.path(content_hash).read_bytes()
        except OSError:
            return None
        body, checksum = stored[:-_CHECKSUM_BYTES], stored[-_CHECKSUM_BYTES:]
        if hashlib.sha256(body).digest() != checksum:
            return None
        record = np.load(io.BytesIO(body), allow_pickle=False)
        return Entry(tuple(record["channels"].item().decode().split("\n")), np.array(record["X"]))

    def put(self, content_hash: str, entry: Entry) -> None:
        """Store an entry, atomically; :class:`DataError` where the folder cannot be written."""
        names = "\n".join(entry.channels).encode()
        kind = np.dtype([("channels", f"S{len(names)}"), ("X", "<f4", entry.X.shape)])
        buffer = io.BytesIO()
        np.save(buffer, np.array((names, entry.X), dtype=kind), allow_pickle=False)
        body = buffer.getvalue()
        path = self.path(content_hash)
        try:
            with atomic_path(path) as temporary:
                temporary.write_bytes(body + hashlib.sha256(body).digest())
        except OSError as error:
            raise DataError(
                f"the feature cache cannot be written: {error.strerror or error}",
                where=self.root,
                fix="free some space or correct the permissions of this folder",
            ) from None
