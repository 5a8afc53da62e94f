"""Reading an audio file, and refusing one that is broken before it reaches a model.

libsndfile reads as many samples as it finds: a WAV cut off in the middle, or an Ogg stream that lost its end,
opens without complaint and yields a shorter utterance. :func:`load_audio` therefore compares what the
container announces with what is there.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import soundfile as sf

from jmml.errors import RecordingError

# What libsndfile reads, by the suffixes in use.
AUDIO = (
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".w64", ".rf64", ".caf",
)  # fmt: skip
MIN_DURATION_S = 0.2
MIN_SAMPLE_RATE_HZ = 8000.0
SILENCE_PEAK = 1e-4  # -80 dB re full scale; the last bit of 16-bit PCM is at -90 dB

_UNKNOWN_SIZE = 0x7FFF0000  # writers to a pipe leave 0x7FFFF000 or 0xFFFFFFFF as "size not known"
_MP3_TOLERANCE = 0.02  # without a Xing header the announced length of an MP3 is an estimate


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
        than 0.2 s, or nothing above -80 dB re full scale.
    """
    path = Path(path)
    if not path.exists():
        raise RecordingError("no such file", where=path)
    if path.is_dir():
        raise RecordingError("is a folder", where=path, expected="an audio file (WAV, FLAC, MP3, Ogg)")
    if path.stat().st_size == 0:
        raise RecordingError("is empty (0 bytes)", where=path, fix="copy the file again from its source")
    try:
        check_container(path)
        with sf.SoundFile(os.fsencode(path)) as file:  # the name may not be text
            announced, kind, rate = file.frames, file.format, float(file.samplerate)
            samples = file.read(dtype="float32", always_2d=True)
    except OSError as error:
        raise RecordingError(f"cannot be read: {error.strerror or error}", where=path) from None
    except sf.LibsndfileError as error:
        raise RecordingError(
            f"holds no readable audio ({error.error_string.rstrip('.')})",
            where=path,
            expected="WAV, FLAC, MP3 or Ogg",
            fix="convert it, or copy it again from its source if it is cut off",
        ) from None
    if len(samples) == 0 and announced == 0:
        raise RecordingError("holds zero samples", where=path, fix="record or export it again")
    tolerance = _MP3_TOLERANCE * announced if kind in ("MP3", "MPEG") else 0
    if len(samples) < announced - tolerance:
        raise _truncated(path, f"{announced} samples announced, {len(samples)} present")
    signal = samples.mean(axis=1, dtype=np.float32) if samples.shape[1] > 1 else samples[:, 0]
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


def check_container(path: Path) -> None:
    """Raise when a RIFF, RF64 or Ogg container ends before it says it does."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic in (b"RIFF", b"RF64"):
        _check_riff(path)
    elif magic == b"OggS":
        _check_ogg(path)


def _check_riff(path: Path) -> None:
    size = path.stat().st_size
    announced_64 = None  # RF64 keeps the 64-bit size of the data chunk in its ds64 chunk
    with path.open("rb") as file:
        file.seek(12)
        while len(header := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", header)
            start = file.tell()
            if name == b"ds64" and length >= 16:
                announced_64 = struct.unpack("<QQ", file.read(16))[1]
            if name == b"data":
                if length == 0xFFFFFFFF and announced_64 is not None:
                    length = announced_64
                elif length >= _UNKNOWN_SIZE:
                    return
                if start + length > size:
                    raise _truncated(path, f"{length} bytes of audio announced, {size - start} present")
                return
            file.seek(start + length + length % 2)  # chunks are padded to an even length


def _check_ogg(path: Path) -> None:
    # The last page of a complete stream carries the end-of-stream flag; a page is at most 65307 bytes long.
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 65307))
        tail = file.read()
    page = tail.rfind(b"OggS\x00")
    if page < 0 or page + 5 >= len(tail) or not tail[page + 5] & 0x04:
        raise _truncated(path, "the end of the Ogg stream is missing")


def _truncated(path: Path, how: str) -> RecordingError:
    return RecordingError(f"is truncated ({how})", where=path, fix="copy the file again from its source")
