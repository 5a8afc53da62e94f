"""What is wrong with single recordings and no reason to refuse them, by what is heard or measured in each.

=================== ============================================================================================
clipping            5 runs or more of 3 samples or more at the peak (within 0.1 %), together 0.01 % of all samples
silence             3 of 4 frames (25 ms) 50 dB below the loudest
DC                  a mean of 1 % of full scale or more, and a tenth of the standard deviation
band limit          nothing (25 dB less, of a mean spectrum) from an edge below 80 % of half the sample rate on
dead channel        nothing above -80 dB re full scale beside a channel that has
same channels       two channels that are equal in every sample
opposite channels   correlation below -0.9: their mean cancels most of the voice
duration            5 scaled median deviations (of the logarithm) and a factor of 3 from the median, of 10 or more
line noise          10 times the power density of 2 to 6 Hz beside at 50 or 60 Hz, in half of the channels or more
flat channel        a standard deviation of a thousandth of the median channel's, or none
bridged channels    two channels whose difference has 2 % of their standard deviation or less
=================== ============================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.signal import welch

BLOCK = 1 << 20  # samples at a time
RUN, RUNS, CLIPPED, AT_PEAK = 3, 5, 1e-4, 0.999
FRAME_S, QUIET_DB, SILENT = 0.025, 50.0, 0.75
DC, DC_OF_SPREAD = 0.01, 0.1
EDGE, CLIFF_DB, WINDOW = 0.8, 25.0, 512
DEAD, OPPOSITE = 1e-4, -0.9
FAR, TIMES, ENOUGH = 5.0, 3.0, 10
LINES_HZ, LINE, LINE_SHARE = (50.0, 60.0), 10.0, 0.5
FLAT, BRIDGED, LOOKED_AT = 1e-3, 0.02, 20_000

Signal = npt.NDArray[np.floating]
Found = Mapping[str, str]


def of_sound(signal: Signal, sample_rate_hz: float) -> dict[str, str]:
    """Kind -> detail of what is wrong with a mono signal (n,), full scale at 1."""
    found = {}
    share = _clipped(signal)
    if share:
        found["clipping"] = f"{100 * share:.2g} % of its samples"
    quiet = _silent(signal, sample_rate_hz)
    if quiet >= SILENT:
        found["silence"] = f"{100 * quiet:.0f} % of it"
    mean, spread = float(signal.mean(dtype=np.float64)), float(signal.std(dtype=np.float64))
    if abs(mean) >= max(DC, DC_OF_SPREAD * spread):
        found["DC"] = f"a mean of {100 * mean:+.1f} % of full scale"
    edge = band_edge(signal, sample_rate_hz)
    if edge is not None:
        found["band limit"] = f"nothing above {edge / 1000:.1f} kHz at {sample_rate_hz / 1000:g} kHz"
    return found


def _blocks(signal: Signal, size: int) -> Iterator[Signal]:
    """A recording of any length by parts, so that no copy of it is made."""
    return (signal[at : at + size] for at in range(0, len(signal), size))


def _clipped(sound: Signal) -> float:
    """Share of samples in flat tops; 0 where there are too few to be sure."""
    count, runs = 0, 0
    for sign, peak in ((1.0, float(sound.max())), (-1.0, -float(sound.min()))):
        if peak <= DEAD:
            continue
        for block in _blocks(sound, BLOCK):
            at = np.concatenate([[0], (sign * block >= AT_PEAK * peak).astype(np.int8), [0]])
            steps = np.diff(at)
            lengths = np.flatnonzero(steps < 0) - np.flatnonzero(steps > 0)
            runs += int((lengths >= RUN).sum())
            count += int(lengths[lengths >= RUN].sum())
    return count / len(sound) if runs >= RUNS and count >= CLIPPED * len(sound) else 0.0


def _silent(sound: Signal, sample_rate_hz: float) -> float:
    length = max(1, round(FRAME_S * sample_rate_hz))
    whole = sound[: len(sound) // length * length]
    if not len(whole):
        return 0.0
    size = BLOCK // length * length
    level = np.concatenate(
        [block.reshape(-1, length).std(axis=1, dtype=np.float64) for block in _blocks(whole, size)]
    )
    return float((level < level.max() * 10 ** (-QUIET_DB / 20)).mean())


def band_edge(signal: Signal, sample_rate_hz: float) -> float | None:
    """Frequency (Hz) from which on a recording is empty although its sample rate has room; None where there is none.

    Example
    -------
    >>> from scipy.signal import resample_poly
    >>> noise = np.random.default_rng(0).normal(size=16000)
    >>> band_edge(noise, 16000), 3500 < band_edge(resample_poly(noise[:8000], 2, 1), 16000) < 4500
    (None, True)
    """
    if len(signal) < 4 * WINDOW or not np.ptp(signal):
        return None
    middle = max(0, len(signal) - BLOCK) // 2
    part = np.asarray(signal[middle : middle + BLOCK], np.float64)
    hertz, power = welch(part, sample_rate_hz, nperseg=WINDOW)
    level = 10 * np.log10(power[1:] + 1e-30)
    smooth = np.convolve(level, np.ones(5) / 5, mode="same")[2:-2]
    hertz = hertz[3:-2]
    width = len(smooth) // 16
    for at in range(3 * width, int(EDGE * len(smooth))):
        # Filters take some room: what is before their slope against all that is above it.
        before = smooth[at - 2 * width : at - width].mean()
        if smooth[at] < before - CLIFF_DB / 4 and smooth[at + width // 2 :].max() < before - CLIFF_DB:
            return float(hertz[at])
    return None


def of_channels(samples: Signal) -> dict[str, str]:
    """Kind -> detail of what is wrong with the channels (n, channels) of an audio file, or of its first part."""
    found: dict[str, str] = {}
    sound = np.asarray(samples, dtype=np.float64)
    sound = sound - sound.mean(axis=0)
    loud = np.abs(sound).max(axis=0) >= DEAD
    if loud.any() and not loud.all():
        found["dead channel"] = f"channel {', '.join(str(n + 1) for n in np.flatnonzero(~loud))}"
    alive = np.flatnonzero(loud)
    for place, a in enumerate(alive):
        for b in alive[place + 1 :]:
            if np.array_equal(samples[:, a], samples[:, b]):
                found.setdefault("same channels", f"channels {a + 1} and {b + 1}")
            elif float(np.corrcoef(sound[:, a], sound[:, b])[0, 1]) < OPPOSITE:
                found.setdefault("opposite channels", f"the channels cancel: {a + 1} and {b + 1}")
    return found


def of_eeg(signal: Signal, sample_rate_hz: float, channels: Sequence[str]) -> dict[str, str]:
    """Kind -> detail of what is wrong with a trial (channels, n)."""
    found: dict[str, str] = {}
    brain = np.asarray(signal, dtype=np.float64)
    brain = brain - brain.mean(axis=1, keepdims=True)
    spread = brain.std(axis=1)
    flat = spread <= FLAT * np.median(spread)
    if flat.any():
        found["flat channel"] = ", ".join(channels[int(n)] for n in np.flatnonzero(flat))
    alive = np.flatnonzero(~flat)
    if len(alive) > 1:
        some = brain[alive][:, :: max(1, brain.shape[1] // LOOKED_AT)]
        some = some / np.maximum(some.std(axis=1, keepdims=True), 1e-300)
        likeness = some @ some.T / some.shape[1]
        ratio = spread[alive][:, None] / spread[alive][None, :]
        # The spread of a - b, both of size 1, is sqrt(2 - 2 r).
        near = (2 - 2 * likeness <= BRIDGED**2) & (np.abs(np.log(ratio)) <= BRIDGED)
        pairs = np.argwhere(np.triu(near, 1))
        if len(pairs):
            shown = ", ".join(f"{channels[alive[a]]} and {channels[alive[b]]}" for a, b in pairs[:3])
            found["bridged channels"] = shown + (f", and {len(pairs) - 3} more" if len(pairs) > 3 else "")
    if len(alive):
        line = _line(brain[alive], sample_rate_hz)
        if line is not None:
            found["line noise"] = f"{line:g} Hz"
    return found


def _line(brain: npt.NDArray[np.float64], sample_rate_hz: float) -> float | None:
    length = min(brain.shape[1], round(2 * sample_rate_hz))
    if length < sample_rate_hz:
        return None
    hertz, power = welch(brain, sample_rate_hz, nperseg=length, axis=1)
    for line in LINES_HZ:
        if sample_rate_hz < 2 * (line + 6):
            continue
        away = np.abs(hertz - line)
        beside = power[:, (away >= 2) & (away <= 6)].mean(axis=1)
        at = power[:, away <= 1].max(axis=1)
        if float((at > LINE * beside).mean()) >= LINE_SHARE:
            return line
    return None


def unusual_durations(seconds: Sequence[float]) -> dict[int, str]:
    """Place -> detail of durations far from the others."""
    known = np.asarray(seconds, dtype=np.float64)
    if len(known) < ENOUGH or not np.isfinite(known).all():
        return {}
    logs = np.log(known)
    middle = float(np.median(logs))
    away = np.abs(logs - middle)
    far = away > np.maximum(FAR * 1.4826 * np.median(away), np.log(TIMES))
    return {int(at): f"{known[at]:.2f} s, the median is {np.exp(middle):.2f} s" for at in np.flatnonzero(far)}


def notes(checks: Mapping[str, Mapping[str, str]], total: int, most: int = 3) -> list[str]:
    """``clipping in 2 of 120 recordings: a (1.2 % of its samples), b (...)``, one line per kind.

    Parameters
    ----------
    checks : kind -> recording -> detail.
    """
    lines = []
    for kind, found in checks.items():
        named = [f"{name} ({detail})" for name, detail in list(found.items())[:most]]
        more = f", and {len(found) - most} more" if len(found) > most else ""
        lines.append(f"{kind} in {len(found)} of {total} recordings: {', '.join(named)}{more}")
    return lines


def gathered(found: Iterable[tuple[str, Found]]) -> dict[str, dict[str, str]]:
    """Kind -> recording -> detail, of (recording, its findings)."""
    checks: dict[str, dict[str, str]] = {}
    for name, of_recording in found:
        for kind, detail in of_recording.items():
            checks.setdefault(kind, {})[name] = detail
    return checks
