"""Power per level of a discrete wavelet transform with Daubechies' wavelet of four vanishing moments (db4).

The signal is brought to 128 Hz, so that the levels are the same frequencies for every recording:

    d1  32 to 64 Hz      d2  16 to 32 Hz      d3  8 to 16 Hz      d4  4 to 8 Hz      a4  below 4 Hz

    wavelet_LEVEL.CHANNEL      10 log10( mean_k c(k)^2 / 2^j )      dB re 1 uV^2, c the coefficients of level j

The transform is orthonormal, so that white noise of variance s^2 has s^2 / 2^j in level j, and the levels of a long
signal add up to its mean square. A window without its mean is extended at both ends by its mirror image.

References
----------
I. Daubechies (1988), Orthonormal bases of compactly supported wavelets, Communications on Pure and Applied Mathematics
41, 909-996 (the filter: table 1, N = 4).
S. G. Mallat (1989), A theory for multiresolution signal decomposition, IEEE Transactions on Pattern Analysis and
Machine Intelligence 11, 674-693 (the filter bank).
"""

from __future__ import annotations

import numpy as np

from jmml.data.features.eeg_options.resampling import resampled

RATE_HZ = 128.0
LEVELS = ("d1", "d2", "d3", "d4", "a4")
# The low pass of the synthesis; sum sqrt(2), orthonormal to its shifts by two.
DB4 = np.array(
    [
        0.23037781330885523,
        0.7148465705525415,
        0.6308807679295904,
        -0.02798376941698385,
        -0.18703481171888114,
        0.030841381835986965,
        0.032883011666982945,
        -0.010597401784997278,
    ]
)
_HIGH = DB4[::-1] * np.where(np.arange(len(DB4)) % 2, -1.0, 1.0)


def wavelet_powers(signal: np.ndarray, sample_rate_hz: float, length: int) -> np.ndarray:
    """Power (levels, channels, windows) of ``signal`` (channels, n) in windows of ``length`` samples.

    In the square of the signal's unit; in the order of :data:`LEVELS`. The sample rate is at least 128 Hz.
    """
    count = signal.shape[1] // length
    x = resampled(signal, sample_rate_hz, RATE_HZ)
    ratio = length * RATE_HZ / sample_rate_hz
    cut = np.stack([x[:, int(k * ratio) : int(k * ratio) + int(ratio)] for k in range(count)], axis=1)
    approximation = cut - cut.mean(axis=-1, keepdims=True)
    depth = len(LEVELS) - 1
    powers = []
    for level in range(1, depth + 1):
        approximation, detail = step(approximation)
        powers.append((detail**2).mean(axis=-1) / 2**level)
    powers.append((approximation**2).mean(axis=-1) / 2**depth)
    return np.stack(powers)


def step(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One level: approximation and detail, (..., (n + 7) // 2) each, of ``x`` (..., n)."""
    taps, edges = len(DB4), [(0, 0)] * (x.ndim - 1)
    mirrored = np.pad(x, [*edges, (taps - 1, taps - 1)], mode="symmetric")
    pieces = np.lib.stride_tricks.sliding_window_view(mirrored, taps, axis=-1)
    pieces = pieces[..., 1 : x.shape[-1] + taps - 1 : 2, :]
    return pieces @ DB4, pieces @ _HIGH
