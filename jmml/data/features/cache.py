"""A folder of extracted features, addressed by what went in: recording, settings, code of reader and extractor.

An entry is found by content alone, so a renamed or moved corpus is not extracted again, and a changed setting
or an edited extractor never meets an old entry. Entries are never changed, so there is nothing to
invalidate; the folder may be deleted at any time. An entry is a single file with its checksum, as there are tens of
thousands of them and each is small.

The folder may be shared by several users and machines, and be an address that fsspec knows (``s3://bucket/features``).
:meth:`FeatureCache.prune` bounds it: entries that were not used for longest go.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def _shown(address: str) -> str:
    """An address without who logs in there."""
    return re.sub(r"//[^/@]*@", "//***@", address)


class FeatureCache:
    """Entries under ``root``/ab/cd/abcd....npy for one modality and one digest of settings and code.

    A file is a NumPy array (version 1 of the format, readable by ``np.load``, never pickled) of one record
    ``channels, X``, followed by the SHA-256 of those bytes: a damaged file counts as absent.
    """

    def __init__(self, root: Path | str, modality: Modality, extractor: str) -> None:
        self.address = root if isinstance(root, str) and "://" in root else None
        self.root, self.modality, self.extractor = Path(root), modality, extractor

    def path(self, content_hash: str) -> Path:
        """Where the entry of a recording lies, whether it exists or not; in a folder, not at an address."""
        return self.root / self._name(content_hash)

    def _name(self, content_hash: str) -> str:
        key = hashlib.sha256(f"{content_hash}\n{self.modality}\n{self.extractor}".encode()).hexdigest()
        return f"{key[:2]}/{key[2:4]}/{key}.npy"

    def _remote(self, content_hash: str) -> tuple[Any, str]:
        """File system and place of an entry at an address."""
        import fsspec

        try:
            found = fsspec.core.url_to_fs(f"{str(self.address).rstrip('/')}/{self._name(content_hash)}")
        except (ValueError, ImportError) as error:  # an unknown kind of address, or its package is not there
            raise DataError(
                f"the feature cache cannot be reached: {_shown(str(error))}",
                where=_shown(str(self.address)),
                expected="a folder, or an address that fsspec knows, such as s3://bucket/features",
                fix="correct JMML_FEATURE_CACHE, or install the package that fsspec names",
            ) from None
        return found  # type: ignore[no-any-return]

    def get(self, content_hash: str) -> Entry | None:
        """The entry, or None where it is absent or damaged."""
        try:
            if self.address is not None:
                system, place = self._remote(content_hash)
                stored = system.cat_file(place)
            else:
                path = self.path(content_hash)
                stored = path.read_bytes()
                with suppress(OSError):  # someone else's, or a folder that is read alone
                    os.utime(path)
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
        stored = body + hashlib.sha256(body).digest()
        try:
            if self.address is not None:
                system, place = self._remote(content_hash)
                system.makedirs(place.rpartition("/")[0], exist_ok=True)
                system.pipe_file(place, stored)  # what is cut off counts as absent
            else:
                with atomic_path(self.path(content_hash)) as temporary:
                    temporary.write_bytes(stored)
        except OSError as error:
            raise DataError(
                f"the feature cache cannot be written: {error.strerror or error}",
                where=_shown(self.address) if self.address else self.root,
                fix="free some space or correct the permissions of this folder",
            ) from None

    def holds(self, content_hash: str) -> bool:
        """Whether there is an entry, whole or damaged."""
        try:
            if self.address is None:
                return self.path(content_hash).is_file()
            system, place = self._remote(content_hash)
            return bool(system.exists(place))
        except OSError:
            return False

    def forget(self, content_hash: str) -> None:
        """Remove an entry, if it is there.

        Raises
        ------
        DataError : it cannot be removed.
        """
        try:
            if self.address is None:
                self.path(content_hash).unlink(missing_ok=True)
            else:
                system, place = self._remote(content_hash)
                if system.exists(place):
                    system.rm_file(place)
        except OSError as error:
            raise DataError(
                f"an entry of the feature cache cannot be removed: {error.strerror or error}",
                where=self.address or self.root,
                fix="correct the permissions, and give the command again",
            ) from None

    def prune(self, limit: int) -> int:
        """Leave at most ``limit`` bytes of entries, of all modalities and extractors; how many went.

        Those that were not used for longest go first. At an address nothing goes: stores have rules for that.
        """
        if self.address is not None:
            return 0
        found = []
        for path in self.root.glob("??/??/*.npy"):
            with suppress(OSError):  # gone since
                about = path.stat()
                found.append((about.st_mtime, about.st_size, path))
        total, gone = sum(size for _, size, _ in found), 0
        for _, size, path in sorted(found):
            if total <= limit:
                break
            with suppress(OSError):
                path.unlink()
                gone += 1
            total -= size
        return gone
