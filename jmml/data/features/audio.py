"""Reading an audio file, and refusing one that is broken before it reaches a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jmml.data.features.sound import opened
from jmml.errors import RecordingError

# What libsndfile reads, by the suffixes in use, and sound alone that it does not (jmml.data.compressed).
AUDIO = (
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".w64", ".rf64", ".caf",
    ".m4a", ".m4b", ".aac", ".wma", ".amr", ".mka",
)  # fmt: skip
MIN_DURATION_S = 0.2
MIN_SAMPLE_RATE_HZ = 8000.0
SILENCE_PEAK = 1e-4  # -80 dB re full scale; the last bit of 16-bit PCM is at -90 dB
CANCELLED = 1e-3  # what is left of the loudest channel where the others are it, turned upside down
MAX_PEAK = 64.0  # 36 dB above full scale: numbers that nobody scaled


def load_audio(path: Path) -> tuple[np.ndarray, float]:
    """Mono signal and sample rate of a WAV, FLAC, MP3, Ogg, M4A or AAC file.

    Several channels are averaged. The sample rate is the file's own.

    Returns
    -------
    signal : float32 array (n,), full scale -1..1.
    sample_rate_hz : float.

    Raises
    ------
    RecordingError
        the file is missing, holds no audio, no samples, less than it announces, NaN or infinite samples, less
        than 0.2 s, or nothing above -80 dB re full scale; its channels cancel.
    """
    path = Path(path)
    parts, loud = [], 0.0
    with opened(path) as sound:
        for block in sound.blocks():
            parts.append(mono(block))
            loud = max(loud, spread(block))
    if not parts:
        raise RecordingError("holds zero samples", where=path, fix="record or export it again")
    signal = parts[0] if len(parts) == 1 else np.concatenate(parts)
    rate = sound.sample_rate_hz
    check_channels(float(np.ptp(signal)), loud, where=path)
    check_audio(signal, rate, where=path)
    return np.ascontiguousarray(signal), rate


def mono(block: np.ndarray) -> np.ndarray:
    """The mean (n,) of the channels of samples (n, channels), float32."""
    if block.shape[1] == 1:
        return block[:, 0]
    return np.asarray(block.mean(axis=1, dtype=np.float32))


def spread(block: np.ndarray) -> float:
    """Largest range of a channel of samples (n, channels); 0 for a single one."""
    return float(np.ptp(block, axis=0).max(initial=0)) if block.shape[1] > 1 else 0.0


def check_channels(left: float, loud: float, *, where: object) -> None:
    """Raise :class:`RecordingError` where of channels with a range of ``loud`` the mean has next to none (``left``)."""
    if loud >= 2 * SILENCE_PEAK and left < CANCELLED * loud:
        raise RecordingError(
            "the channels cancel: one is the other turned upside down, and their mean is silent",
            where=where,
            fix="turn one of them over, or export one channel",
        )


@dataclass
class Summary:
    """What decides whether a signal can be used, gathered part by part.

    Attributes
    ----------
    count, bad : samples, and how many of them are not finite; ``first_bad`` is the number of the first of these.
    low, high, total : extremes and sum.
    """

    count: int = 0
    bad: int = 0
    first_bad: int = 0
    low: float = np.inf
    high: float = -np.inf
    total: float = 0.0

    def add(self, part: np.ndarray) -> None:
        """Take the next samples (n,) into account."""
        if part.size == 0:
            return
        low, high = float(part.min()), float(part.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            finite = np.isfinite(part)
            if self.bad == 0:
                self.first_bad = self.count + int(finite.argmin())
            self.bad += int(part.size - finite.sum())
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.total += float(part.sum(dtype=np.float64))
        self.count += part.size

    @property
    def peak(self) -> float:
        """Largest absolute value."""
        return max(self.high, -self.low)

    @property
    def deviation(self) -> float:
        """Largest deviation from the mean: a constant offset is not sound."""
        mean = self.total / max(self.count, 1)
        return max(self.high - mean, mean - self.low)


def check_audio(signal: np.ndarray, sample_rate_hz: float, *, where: object) -> None:
    """Raise :class:`RecordingError` unless ``signal`` (n,) is finite, long enough and not silent."""
    summary = Summary()
    summary.add(signal)
    check_summary(summary, sample_rate_hz, where=where)


def check_summary(summary: Summary, sample_rate_hz: float, *, where: object) -> None:
    """What :func:`check_audio` does, of a signal that was looked at in parts."""
    if sample_rate_hz < MIN_SAMPLE_RATE_HZ:
        raise RecordingError(
            f"sample rate {sample_rate_hz:g} Hz is too low for speech",
            where=where,
            expected=f"at least {MIN_SAMPLE_RATE_HZ:g} Hz",
        )
    if summary.count == 0:
        raise RecordingError("holds zero samples", where=where, fix="record or export it again")
    if summary.bad:
        raise RecordingError(
            f"{summary.bad} samples are NaN or infinite, first at {summary.first_bad / sample_rate_hz:.3f} s",
            where=where,
            fix="export the recording again as PCM",
        )
    if summary.peak > MAX_PEAK:
        raise RecordingError(
            f"samples of up to {summary.peak:g}",
            where=where,
            expected="full scale at 1",
            fix="divide them by the full scale of the recorder, such as 32768",
        )
    duration = summary.count / sample_rate_hz
    if duration < MIN_DURATION_S:
        raise RecordingError(
            f"lasts {duration:.3f} s", where=where, expected=f"at least {MIN_DURATION_S:g} s of speech"
        )
    if is_silent(summary):
        raise RecordingError(
            "is silent (nothing above -80 dB re full scale)",
            where=where,
            fix="check the microphone or the export",
        )


def is_silent(summary: Summary) -> bool:
    """Whether nothing is above -80 dB re full scale."""
    return summary.deviation < SILENCE_PEAK
