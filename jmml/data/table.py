"""The feature table: one row per sample, the form in which every corpus reaches the models."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from jmml.config import Modality
from jmml.errors import DataError
from jmml.files import atomic_path

INDEX_COLUMNS = ("id", "recording", "group", "label", "valence", "arousal")
# What else is known of a sample: text or stimulus, session, the longer recording it is a part of, device, place in the
# session, and the hash of its recording's bytes.
CONTEXT_COLUMNS = ("text", "session", "source", "device", "order", "content")


def row_hashes(X: np.ndarray) -> np.ndarray:
    """(n,) SHA-256 of the float32 features of each row."""
    rows = np.ascontiguousarray(X, dtype="<f4")
    return np.array([hashlib.sha256(row.tobytes()).hexdigest() for row in rows], dtype=object)


@dataclass(frozen=True)
class FeatureTable:
    """Features of one corpus, aligned row by row with the index of its samples.

    Attributes
    ----------
    corpus : name of the corpus in ``params.yaml``.
    modality : ``"speech"`` or ``"eeg"``.
    index : n rows, columns ``id`` (unique), ``recording`` (manifest id; several EEG windows share one),
        ``group`` (speaker or subject), ``label`` (native label or missing), ``valence`` and ``arousal``
        (native ratings or missing); those of :data:`CONTEXT_COLUMNS` of which something is known.
    X : float32 array (n, D), finite.
    names, units : D feature names (unique) and their units (``"1"`` for dimensionless).
    extractor : digest of the extractor's settings and version, ``"external"`` for ready-made features.
    adapter : name of the corpus adapter whose labels these are; "" where the settings of a project say it.
    """

    corpus: str
    modality: Modality
    index: pd.DataFrame
    X: np.ndarray
    names: tuple[str, ...]
    units: tuple[str, ...]
    extractor: str = "external"
    settings: dict[str, object] = field(default_factory=dict)
    adapter: str = ""

    def __post_init__(self) -> None:
        n = len(self.index)
        missing = [column for column in INDEX_COLUMNS if column not in self.index.columns]
        if missing:
            raise DataError(f"index columns missing: {', '.join(missing)}", where=self.corpus)
        known = [c for c in CONTEXT_COLUMNS if c in self.index and not self.index[c].isna().all()]
        object.__setattr__(self, "index", self.index.loc[:, [*INDEX_COLUMNS, *known]])
        if self.X.shape != (n, len(self.names)) or len(self.units) != len(self.names):
            raise DataError(
                f"features of shape {self.X.shape} with {len(self.names)} names and {len(self.units)} units",
                where=self.corpus,
                expected=f"({n}, D) with D names and D units",
            )
        if len({*self.names, *self.index}) != len(self.names) + len(self.index.columns):
            raise DataError("feature names are not unique, or are those of index columns", where=self.corpus)
        if not self.index["id"].is_unique:
            twice = self.index.loc[self.index["id"].duplicated(), "id"].iloc[0]
            raise DataError(f"id '{twice}' occurs more than once", where=self.corpus)
        if self.index["group"].isna().any():
            raise DataError(
                f"{int(self.index['group'].isna().sum())} rows have no speaker or subject", where=self.corpus
            )
        bad = ~np.isfinite(self.X)
        if bad.any():
            row, column = (int(i[0]) for i in np.nonzero(bad))
            raise DataError(
                f"{int(bad.sum())} values are not finite, first at id '{self.index['id'].iloc[row]}', "
                f"feature '{self.names[column]}'",
                where=self.corpus,
                fix="repair or remove these rows",
            )

    def __len__(self) -> int:
        return len(self.index)

    @property
    def groups(self) -> np.ndarray:
        return self.index["group"].to_numpy(dtype=object)

    @property
    def ids(self) -> np.ndarray:
        return self.index["id"].to_numpy(dtype=object)

    def to_frame(self) -> pd.DataFrame:
        """Index columns, then one float32 column per feature; n rows."""
        columns = {c: self.index[c].reset_index(drop=True) for c in self.index}
        features = pd.DataFrame(np.asarray(self.X, np.float32), columns=list(self.names))
        return pd.concat([pd.DataFrame(columns), features], axis=1)

    @property
    def digest(self) -> str:
        """SHA-256 (16 hex digits) over ids, groups, labels, context, names and the feature bytes."""
        h = hashlib.sha256()
        h.update(self.index.drop(columns="content", errors="ignore").to_csv(index=False).encode())
        h.update(json.dumps([self.names, self.units, self.extractor]).encode())
        h.update(np.ascontiguousarray(self.X, dtype="<f4").tobytes())
        return h.hexdigest()[:16]

    def save(self, path: Path | str) -> None:
        """Write as Parquet (index columns, then one float column per feature), atomically."""
        path = Path(path)
        if path.is_dir():
            raise DataError(
                "is a folder", where=path, expected="the name of a file, such as features.parquet"
            )
        arrow = pa.Table.from_pandas(self.to_frame(), preserve_index=False)
        meta = {
            "corpus": self.corpus,
            "modality": self.modality,
            "units": list(self.units),
            "extractor": self.extractor,
            "settings": self.settings,
            "context": [column for column in self.index if column in CONTEXT_COLUMNS],
        }
        if self.adapter:
            meta["adapter"] = self.adapter
        arrow = arrow.replace_schema_metadata({b"jmml": json.dumps(meta).encode()})
        with atomic_path(path) as temporary:
            pq.write_table(arrow, temporary)

    @classmethod
    def load(cls, path: Path | str) -> FeatureTable:
        """Read what :meth:`save` wrote; :class:`DataError` for anything else."""
        try:
            arrow = pq.read_table(path)
            meta = json.loads((arrow.schema.metadata or {})[b"jmml"])
        except FileNotFoundError:
            raise DataError("features are missing", where=path, fix="run `dvc repro`") from None
        except (KeyError, ValueError, pa.ArrowInvalid):
            raise DataError(
                "is not a feature table", where=path, fix="run `dvc repro` to rebuild it"
            ) from None
        frame = arrow.to_pandas()
        columns = [*INDEX_COLUMNS, *meta.get("context", [])]
        names = tuple(c for c in frame.columns if c not in columns)
        return cls(
            corpus=meta["corpus"],
            modality=meta["modality"],
            index=frame.loc[:, columns],
            X=frame.loc[:, list(names)].to_numpy(np.float32),
            names=names,
            units=tuple(meta["units"]),
            extractor=meta["extractor"],
            settings=meta["settings"],
            adapter=meta.get("adapter", ""),
        )
