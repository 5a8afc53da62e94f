"""Sound that libsndfile does not decode: AAC and others in MP4, M4A, Matroska, ASF and AMR files, through PyAV.

PyAV (``pip install 'jmml[compressed]'``) carries FFmpeg. A file is opened as what it begins with, through a file
object: nothing in it can have another file, or an address, opened. It is decoded a packet at a time, within the
bounds of :mod:`jmml.data.features.sound`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from jmml.errors import RecordingError

COMPRESSED = (".m4a", ".m4b", ".aac", ".wma", ".amr", ".mka", ".mp4", ".mov", ".3gp", ".mkv", ".webm")
# Where and how a file begins -> the one demultiplexer of FFmpeg that opens it.
_FORMATS = (
    (4, b"ftyp", "mov"),
    (0, b"\x1aE\xdf\xa3", "matroska"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (0, b"#!AMR", "amr"),
    (0, b"\xff\xf1", "aac"),
    (0, b"\xff\xf9", "aac"),
)
BLOCK = 1 << 20  # frames
_RAW = ("aac", "amr")
_TOLERANCE_S = (
    0.25  # that fewer samples may be there than the container announces; encoders pad to whole blocks
)
_FORMAT_MISSING = "begins like none of MP4, M4A, Matroska, WebM, ASF, AMR and AAC"


@dataclass(frozen=True)
class CompressedSound:
    """An open file, as :class:`jmml.data.features.sound.Sound` is; ``frames`` is known once it was read."""

    where: object
    sample_rate_hz: float
    channels: int
    _decoded: Iterator[np.ndarray]
    _announced_s: float | None
    _check: Callable[[int], None]
    frames: int | None = None
    remark: str | None = None

    def blocks(self, size: int = BLOCK) -> Iterator[np.ndarray]:
        """The samples as float32 (frames, channels), ``size`` frames at a time; see :meth:`Sound.blocks`."""
        held: list[np.ndarray] = []
        waiting = done = 0
        for part in self._decoded:
            held.append(part)
            waiting += len(part)
            done += len(part)
            self._check(done)
            if waiting >= size:
                joined = np.concatenate(held)
                whole = waiting // size * size
                yield from np.split(joined[:whole], whole // size)
                held, waiting = [joined[whole:]], waiting - whole
        if waiting:
            yield np.concatenate(held)
        seconds = done / self.sample_rate_hz
        if self._announced_s is not None and seconds < self._announced_s - _TOLERANCE_S:
            raise RecordingError(
                f"is truncated ({self._announced_s:.2f} s announced, {seconds:.2f} s present)",
                where=self.where,
                fix="copy the file again from its source",
            )


@contextmanager
def opened_compressed(
    path: Path, size: int, where: object, check: Callable[[int, int, object], None]
) -> Iterator[CompressedSound]:
    """The first stream of sound in a file of ``size`` bytes, to be read once.

    ``check(frames, size, where)`` raises where a file unpacks to too much.

    Raises
    ------
    RecordingError : PyAV is not installed, the file is of no kind that is read, damaged, or holds no sound.
    """
    av = _library(path, where)
    with ExitStack() as stack:
        with _readable(av, where):
            file = stack.enter_context(path.open("rb"))
            form = _form(file.read(16), where)
            file.seek(0)
            container = stack.enter_context(av.open(file, format=form, metadata_errors="ignore"))
            if not container.streams.audio:
                raise RecordingError("holds no sound", where=where, expected="a stream of audio")
            stream = container.streams.audio[0]
        announced = None  # raw streams of packets say nothing of their length
        if stream.duration is not None and form not in _RAW:
            announced = float(stream.duration * stream.time_base)
        elif container.duration is not None and form not in _RAW:
            announced = container.duration / av.time_base
        parts = _decoded(av, container, stream, where)
        first = next(parts, None)
        if first is None:
            raise RecordingError("holds no samples", where=where)
        rate, block = first
        rest = (_same(part, rate, block.shape[1], where) for part in parts)
        yield CompressedSound(
            where,
            float(rate),
            block.shape[1],
            chain([block], rest),
            announced,
            lambda done: check(done, size, where),
        )


def _decoded(av: ModuleType, container: Any, stream: Any, where: object) -> Iterator[tuple[int, np.ndarray]]:
    """Sample rate and float32 (frames, channels) of one decoded frame after the other."""
    plain = None
    with _readable(av, where):
        for frame in container.decode(stream):
            if plain is None:
                plain = av.AudioResampler(format="fltp", layout=frame.layout, rate=frame.sample_rate)
            for same in plain.resample(frame):
                yield same.sample_rate, np.ascontiguousarray(same.to_ndarray().T, dtype=np.float32)


def _same(part: tuple[int, np.ndarray], rate: int, channels: int, where: object) -> np.ndarray:
    if part[0] != rate or part[1].shape[1] != channels:
        raise RecordingError(
            "changes its sample rate or channels on the way", where=where, fix="convert it to WAV"
        )
    return part[1]


def _form(head: bytes, where: object) -> str:
    for offset, magic, form in _FORMATS:
        if head[offset : offset + len(magic)] == magic:
            return form
    raise RecordingError(
        _FORMAT_MISSING, where=where, fix="name it as what it is, or convert it to WAV or FLAC"
    )


def _library(path: Path, where: object) -> ModuleType:
    try:
        import av
    except ImportError:
        raise RecordingError(
            f"{path.suffix} needs PyAV, which is not installed",
            where=where,
            fix="`pip install 'jmml[compressed]'`, or convert it to WAV or FLAC",
        ) from None
    av.logging.set_level(None)
    return av


@contextmanager
def _readable(av: ModuleType, where: object) -> Iterator[None]:
    try:
        yield
    except RecordingError:
        raise
    except (av.FFmpegError, OSError, ValueError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise RecordingError(
            f"holds no readable audio ({reason})",
            where=where,
            fix="copy it again from its source if it is cut off",
        ) from None
