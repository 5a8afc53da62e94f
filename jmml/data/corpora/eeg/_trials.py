"""The part that EEG corpora share which keep many trials in one file, as arrays."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jmml.config import Modality
from jmml.data.corpora._base import FileCorpus, Listing, ManifestRow, Recording, Remark, field_of
from jmml.data.listing.on_disk import check_file
from jmml.errors import RecordingError

MICROVOLT = 1e-6


@dataclass(frozen=True)
class Trial:
    """One trial of a file.

    Attributes
    ----------
    name : what follows the name of the file in its id, as ``t01``.
    signal : float32 (channels, samples), volts.
    group : who was recorded.
    """

    name: str
    signal: np.ndarray
    group: str
    label: str | None = None
    valence: float = np.nan
    arousal: float = np.nan
    text: str | None = None
    session: str | None = None
    recording: str | None = None
    order: float = np.nan


Found = Trial | RecordingError | Remark
# Who loaded which file in which state, and what it found: one file is kept, as rows come in order.
_KEPT: dict[str, tuple[tuple[object, ...], list[Found]]] = {}


class TrialCorpus(FileCorpus[str]):
    """Base of adapters that read the trials of one file at a time; a subclass lists the files and loads one.

    ``companions`` are the files that are read beside those of trials. Other class attributes say the ``sample_rate_hz``
    and the ``channels`` of its recordings, and the range of its ratings, where it has any.
    """

    modality: Modality = "eeg"
    sample_rate_hz: float
    channels: tuple[str, ...]
    rating_range: tuple[float, float] | None = None
    companions: Sequence[str] | None = ()

    @abstractmethod
    def trial_files(self, root: Path) -> list[Path]:
        """Files of trials in order; none where the layout is another."""

    @abstractmethod
    def load(self, root: Path, source: str) -> Sequence[Found]:
        """Every trial of a file, in place of one that cannot be used the reason."""

    def beside(self, root: Path, source: str) -> list[Path]:
        """Other files that say something of the trials of this one."""
        return []

    def identity(self, source: str, trial: Trial) -> str:
        return f"{Path(source).stem}_{trial.name}"

    def recognises(self, root: Path) -> bool:
        return bool(self.trial_files(root))

    def list_sources(self, root: Path) -> Listing[str]:
        return Listing([file.relative_to(root).as_posix() for file in self.trial_files(root)])

    def inspect(self, root: Path, source: str) -> Iterator[ManifestRow | RecordingError | Remark]:
        for item, trial in enumerate(self._trials(root, source)):
            if not isinstance(trial, Trial):
                yield trial
            elif (problem := self._problem(trial, f"{source}, trial {item + 1}")) is not None:
                yield problem
            else:
                yield ManifestRow(
                    id=self.identity(source, trial),
                    path=source,
                    item=item,
                    modality="eeg",
                    label=trial.label,
                    valence=trial.valence,
                    arousal=trial.arousal,
                    group=trial.group,
                    duration_s=trial.signal.shape[1] / self.sample_rate_hz,
                    sample_rate_hz=self.sample_rate_hz,
                    content_hash=hashlib.sha256(
                        np.ascontiguousarray(trial.signal, "<f4").tobytes()
                    ).hexdigest(),
                    text=trial.text,
                    session=trial.session,
                    recording=trial.recording,
                    order=trial.order,
                )

    def read(self, root: Path, row: Any) -> Recording:
        """One trial in volts. Successive trials of a file load it once."""
        source, item = str(field_of(row, "path")), int(field_of(row, "item"))
        trials = self._trials(root, source)
        trial = trials[item] if 0 <= item < len(trials) else None
        if not isinstance(trial, Trial):
            raise RecordingError(
                f"trial {item + 1} of {len(trials)}", where=root / source, fix="scan the corpus again"
            )
        return Recording(trial.signal, self.sample_rate_hz, self.channels)

    def _problem(self, trial: Trial, where: str) -> RecordingError | None:
        if trial.signal.shape[0] != len(self.channels) or trial.signal.shape[1] == 0:
            return RecordingError(
                f"EEG of shape {trial.signal.shape}", where=where, expected=f"({len(self.channels)}, samples)"
            )
        if not np.isfinite(trial.signal).all():
            return RecordingError("EEG values that are not finite", where=where)
        if self.rating_range is not None:
            ratings, (low, high) = (trial.valence, trial.arousal), self.rating_range
            if not all(low <= rating <= high for rating in ratings):
                shown = ", ".join(f"{rating:g}" for rating in ratings)
                return RecordingError(
                    f"valence and arousal rated {shown}", where=where, expected=f"{low:g} to {high:g}"
                )
        return None

    def _trials(self, root: Path, source: str) -> list[Found]:
        path = root / source
        check_file(path, where=source)
        states = [
            (str(file), file.stat().st_mtime_ns, file.stat().st_size)
            for file in (path, *self.beside(root, source))
        ]
        key = (type(self).__name__, *states)
        kept = _KEPT.get("last")
        if kept is None or kept[0] != key:
            _KEPT.clear()
            kept = key, list(self.load(root, source))
            _KEPT["last"] = kept
        return kept[1]


def volts(microvolts: np.ndarray) -> np.ndarray:
    """float32 volts, read-only; what does not fit is infinite and told of per trial."""
    with np.errstate(over="ignore", invalid="ignore"):
        signal = (np.asarray(microvolts) * MICROVOLT).astype(np.float32)
    signal.flags.writeable = False
    return signal


def missing(content: dict[str, Any], names: Sequence[str], where: str) -> None:
    """:class:`RecordingError` unless a file has these variables."""
    absent = [name for name in names if name not in content]
    if absent:
        held = ", ".join(sorted(content)[:8]) or "nothing"
        raise RecordingError(f"no array {' and no array '.join(absent)} (holds {held})", where=where)
