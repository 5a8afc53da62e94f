"""Reading an audio file, and refusing one that is broken before it reaches a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jmml.data.features.sound import opened
from jmml.errors import RecordingError

# What libsndfile reads, by the suffixes in use.
AUDIO = (
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".w64", ".rf64", ".caf",
)  # fmt: skip
MIN_DURATION_S = 0.2
MIN_SAMPLE_RATE_HZ = 8000.0
SILENCE_PEAK = 1e-4  # -80 dB re full scale; the last bit of 16-bit PCM is at -90 dB
CANCELLED = 1e-3  # what is left of the loudest channel where the others are it, turned upside down
MAX_PEAK = 64.0  # 36 dB above full scale: numbers that nobody scaled


def load_audio(path: Path) -> tuple[np.ndarray, float]:
    """Mono signal and sample rate of a WAV, FLAC, MP3 or Ogg file.

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
            parts.append(block.mean(axis=1, dtype=np.float32) if sound.channels > 1 else block[:, 0])
            loud = max(loud, float(np.ptp(block, axis=0).max(initial=0)) if sound.channels > 1 else 0.0)
    if not parts:
        raise RecordingError("holds zero samples", where=path, fix="record or export it again")
    signal = parts[0] if len(parts) == 1 else np.concatenate(parts)
    rate = sound.sample_rate_hz
    if loud >= 2 * SILENCE_PEAK and float(np.ptp(signal)) < CANCELLED * loud:
        raise RecordingError(
            "the channels cancel: one is the other turned upside down, and their mean is silent",
            where=path,
            fix="turn one of them over, or export one channel",
        )
    check_audio(signal, rate, where=path)
    return np.ascontiguousarray(signal), rate


def check_audio(signal: np.ndarray, sample_rate_hz: float, *, where: object) -> None:
    """Raise :class:`RecordingError` unless ``signal`` (n,) is finite, long enough and not silent."""
    if sample_rate_hz < MIN_SAMPLE_RATE_HZ:
        raise RecordingError(
            f"sample rate {sample_rate_hz:g} Hz is too low for speech",
            where=where,
            expected=f"at least {MIN_SAMPLE_RATE_HZ:g} Hz",
        )
    if signal.size == 0:
        raise RecordingError("holds zero samples", where=where, fix="record or export it again")
    bad = ~np.isfinite(signal)
    if bad.any():
        raise RecordingError(
            f"{int(bad.sum())} samples are NaN or infinite, "
            f"first at {int(bad.argmax()) / sample_rate_hz:.3f} s",
            where=where,
            fix="export the recording again as PCM",
        )
    if (peak := float(np.abs(signal).max())) > MAX_PEAK:
        raise RecordingError(
            f"samples of up to {peak:g}",
            where=where,
            expected="full scale at 1",
            fix="divide them by the full scale of the recorder, such as 32768",
        )
    duration = signal.size / sample_rate_hz
    if duration < MIN_DURATION_S:
        raise RecordingError(
            f"lasts {duration:.3f} s", where=where, expected=f"at least {MIN_DURATION_S:g} s of speech"
        )
    # A constant offset is not sound: the peak is taken around the mean.
    if float(np.abs(signal - signal.mean(dtype=np.float64)).max()) < SILENCE_PEAK:
        raise RecordingError(
            "is silent (nothing above -80 dB re full scale)",
            where=where,
            fix="check the microphone or the export",
        )
