"""Feature extractors of a project, in place of the package's own (:mod:`.speech`, :mod:`.eeg`).

    # features/energy.py of a project; features.speech.extractor: energy in its params.yaml
    @register_extractor("energy")
    class Energy:
        modality, version = "speech", 1

        def described(self, channels, cfg):
            return [("level", "dB")]

        def extract(self, signal, sample_rate_hz, channels, cfg):
            return [[10 * np.log10(np.mean(signal**2))]]

``jmml.contracts.check_extractor`` says whether it does what every extractor must.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from jmml.config import EEGFeatureConfig, Modality, SpeechFeatureConfig, digest
from jmml.errors import ConfigError, DataError
from jmml.plugins import EXTRACTORS

Settings = SpeechFeatureConfig | EEGFeatureConfig


class Extractor(Protocol):
    """Features of one recording; stateless, so that no other recording can have a part in them.

    Attributes
    ----------
    modality : ``"speech"`` or ``"eeg"``.
    version : raised whenever the features change; a new version meets no cached features of the old one.
    """

    modality: Modality
    version: int

    def described(self, channels: Sequence[str], cfg: Any) -> Sequence[tuple[str, str]]:
        """Name and unit of each of the D features; names are unique, ``"1"`` is dimensionless."""
        ...

    def extract(
        self, signal: npt.NDArray[np.float32], sample_rate_hz: float, channels: Sequence[str], cfg: Any
    ) -> npt.ArrayLike:
        """(rows, D): one row of an utterance or trial, or one per window.

        ``signal`` is float32 (channels, n): speech one channel at ``cfg.sample_rate_hz``, in -1..1, neither silent nor
        cut off; EEG in volts. ``cfg`` is the section ``features.speech`` or ``features.eeg``, with ``cfg.options``.
        A :class:`~jmml.errors.RecordingError` leaves the recording out where ``skip_bad`` allows it.
        """
        ...


ExtractorT = TypeVar("ExtractorT", bound=Callable[[], Any])


def register_extractor(name: str) -> Callable[[ExtractorT], ExtractorT]:
    """A decorator that enters a class of extractors, made without arguments, under ``name``.

    Raises
    ------
    ConfigError : the name is taken, or is not that of the module (``features/my_prosody.py``: ``my-prosody``).
    """

    def enter(kind: ExtractorT) -> ExtractorT:
        EXTRACTORS.register(name, kind)
        return kind

    return enter


def chosen(modality: Modality, cfg: Settings) -> Extractor | None:
    """The extractor that the settings name; None for the package's own.

    Raises
    ------
    ConfigError : it is one of the other modality.
    """
    if cfg.extractor is None:
        return None
    found: Extractor = EXTRACTORS[cfg.extractor]()
    if found.modality != modality:
        raise ConfigError(
            [f"features.{modality}.extractor: '{cfg.extractor}' extracts features of {found.modality}"]
        )
    return found


def digest_of(extractor: Extractor, cfg: Settings) -> str:
    """Fingerprint of what it computes: settings and version."""
    settings = cfg.model_dump(mode="json")
    return digest({"modality": extractor.modality, "settings": settings, "version": extractor.version})


def features(
    extractor: Extractor,
    signal: npt.NDArray[np.float32],
    sample_rate_hz: float,
    channels: Sequence[str],
    cfg: Settings,
    *,
    where: object,
) -> npt.NDArray[np.float32]:
    """Features of one recording by ``extractor``, as finite float32 (rows, D).

    Raises
    ------
    DataError : another shape, or values that are not finite.
    """
    X = np.asarray(extractor.extract(signal, sample_rate_hz, channels, cfg), dtype=np.float32)
    width = len(extractor.described(channels, cfg))
    if X.ndim != 2 or X.shape[1] != width or len(X) == 0:
        raise DataError(
            f"extractor '{cfg.extractor}' gave features of shape {X.shape}",
            where=where,
            expected=f"(rows, {width})",
        )
    if not np.isfinite(X).all():
        raise DataError(
            f"extractor '{cfg.extractor}' gave {int((~np.isfinite(X)).sum())} values that are not finite",
            where=where,
        )
    return X
