"""Hjorth's parameters of a window: how strong, how fast and how regular a signal is.

With x the signal, x' and x'' its first and second difference per second, and var over the window:

    activity     var(x)                                        uV^2, given as dB re 1 uV^2
    mobility     sqrt(var(x') / var(x)) / (2 pi)               Hz: a mean frequency
    complexity   sqrt(var(x'') / var(x')) / sqrt(var(x') / var(x))   dimensionless; 1 for a sine

A sine of f Hz sampled at r has a mobility of r sin(pi f / r) / pi, f where r is much higher. Mobility and complexity
depend on the sample rate through noise up to half of it: compare corpora at one rate.

References
----------
B. Hjorth (1970), EEG analysis based on time domain properties, Electroencephalography and Clinical Neurophysiology 29,
306-310.
"""

from __future__ import annotations

import numpy as np


def hjorth(windows: np.ndarray, sample_rate_hz: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Activity, mobility and complexity, each (...), of ``windows`` (..., samples); a constant signal has 0 of each.

    Example
    -------
    >>> t = np.arange(1000) / 1000
    >>> [round(float(one), 1) for one in hjorth(2 * np.sin(2 * np.pi * 10 * t), 1000.0)]
    [2.0, 10.0, 1.0]
    """
    first = np.diff(windows, axis=-1) * sample_rate_hz
    second = np.diff(first, axis=-1) * sample_rate_hz
    activity, speed, turn = (x.var(axis=-1) for x in (windows, first, second))
    mobility = np.sqrt(_ratio(speed, activity))
    return activity, mobility / (2 * np.pi), _ratio(np.sqrt(_ratio(turn, speed)), mobility)


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    out: np.ndarray = np.divide(a, b, out=np.zeros_like(a), where=b > 0)
    return out
