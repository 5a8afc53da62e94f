"""Another sample rate for EEG."""

from __future__ import annotations

import mne
import numpy as np


def resampled(signal: np.ndarray, sample_rate_hz: float, to_hz: float) -> np.ndarray:
    """``signal`` (channels, n) at ``to_hz``, (channels, round(n to_hz / sample_rate_hz)), by MNE's FFT method."""
    if sample_rate_hz == to_hz:
        return signal
    out: np.ndarray = mne.filter.resample(
        np.asarray(signal, dtype=np.float64), up=to_hz, down=sample_rate_hz, verbose="ERROR"
    )
    return out
