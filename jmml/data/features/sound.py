"""An audio file as blocks of samples: what libsndfile decodes, whatever its header says of its length; AAC and others
through :mod:`jmml.data.compressed`.

libsndfile reads as many samples as it finds: a WAV cut off in the middle, or an Ogg stream that lost its end,
opens without complaint and yields a shorter utterance. What the container announces is therefore compared with what is
there. Some say no length (FLAC and WAV written to a pipe), or 0; they are read to their end.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile as sf

from jmml.data.compressed import BLOCK, COMPRESSED, CompressedSound, opened_compressed
from jmml.data.listing.on_disk import check_file, kind_of
from jmml.errors import RecordingError

# Above these, a file is no recording of speech, and may have been made to fill the memory.
MAX_FRAMES = 1 << 30  # 6.2 hours at 48 kHz, 4 GiB as float32
MAX_UNPACKED = 1 << 27  # frames, 46 minutes at 48 kHz, up to which any ratio is accepted
MAX_RATIO = 128  # frames per byte; Opus at 6 kbit/s has 64, FLAC of silence 300
UNKNOWN_SIZE = 0x7FFF0000  # writers to a pipe leave 0x7FFFF000 or 0xFFFFFFFF as "size not known"
UNSAID = "announces no length; read to its end"

_SAYS_NOTHING = 1 << 62  # frames, above which libsndfile means that it does not know
_MP3_TOLERANCE = 0.02  # without a Xing header the announced length of an MP3 is an estimate


class _Forward(sf.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """Read from start to end: some codecs cannot seek, and soundfile seeks after each read in those that can."""

    def seekable(self) -> bool:
        return False


@dataclass(frozen=True)
class Sound:
    """An open audio file.

    Attributes
    ----------
    sample_rate_hz, channels : of the file.
    frames : how many samples each channel has; None where the container does not say.
    remark : what a person should know of the file, None for nothing.
    """

    path: Path
    where: object
    sample_rate_hz: float
    channels: int
    frames: int | None
    remark: str | None
    _file: sf.SoundFile
    _size: int

    def blocks(self, size: int = BLOCK) -> Iterator[np.ndarray]:
        """The samples as float32 (frames, channels), ``size`` frames at a time.

        Raises
        ------
        RecordingError : there are fewer than announced, the file is damaged, or it unpacks to too much.
        """
        done = 0
        while True:
            with _readable(self.path, self.where):
                block = self._file.read(size, dtype="float32", always_2d=True)
            if len(block) == 0:
                break
            done += len(block)
            _check_bounds(done, self._size, self.where)
            yield block
            if len(block) < size:
                break
        if self.frames is not None:
            tolerance = _MP3_TOLERANCE * self.frames if self._file.format in ("MP3", "MPEG") else 0
            if done < self.frames - tolerance:
                raise truncated(self.where, f"{self.frames} samples announced, {done} present")


@contextmanager
def opened(path: Path, *, where: object = None) -> Iterator[Sound | CompressedSound]:
    """An audio file, to be read once; ``where`` is what messages call it.

    Raises
    ------
    RecordingError : there is no readable audio, less than announced, or too much (:data:`MAX_FRAMES`).
    """
    where = path if where is None else where
    size = check_file(path, where=where)
    if path.suffix.lower() in COMPRESSED:
        with opened_compressed(path, size, where, _check_bounds) as sound:
            yield sound
        return
    with ExitStack() as stack:
        with _readable(path, where):
            unsized = _check_container(path, size, where)
            source: bytes | _Overlay = os.fsencode(path)  # the name may not be text
            if unsized is not None:
                source = _Overlay(stack.enter_context(path.open("rb")), unsized, b"\xff\xff\xff\xff")
            file = stack.enter_context(_Forward(source))
        known = 0 <= file.frames < _SAYS_NOTHING
        if known:
            _check_bounds(file.frames, size, where)
        remark = None if known and unsized is None else UNSAID
        frames = file.frames if known else None
        yield Sound(path, where, float(file.samplerate), file.channels, frames, remark, file, size)


def truncated(where: object, how: str) -> RecordingError:
    """A file that ends before it says it does."""
    return RecordingError(f"is truncated ({how})", where=where, fix="copy the file again from its source")


class _Overlay:
    """A file with other bytes in one place, as soundfile reads it."""

    def __init__(self, file: BinaryIO, offset: int, other: bytes) -> None:
        self._file, self._offset, self._other = file, offset, other

    def readinto(self, buffer: memoryview) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, count: int = -1) -> bytes:
        start = self._file.tell()
        data = bytearray(self._file.read(count))
        for position, byte in enumerate(self._other, start=self._offset - start):
            if 0 <= position < len(data):
                data[position] = byte
        return bytes(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


@contextmanager
def _readable(path: Path, where: object) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RecordingError(f"cannot be read: {error.strerror or error}", where=where) from None
    except (sf.LibsndfileError, struct.error, MemoryError) as error:
        kind = kind_of(path)
        reason = error.error_string.rstrip(".") if isinstance(error, sf.LibsndfileError) else "damaged header"
        raise RecordingError(
            f"holds no readable audio ({f'it is {kind}' if kind else reason})",
            where=where,
            expected="WAV, FLAC, MP3 or Ogg",
            fix="convert it, or copy it again from its source if it is cut off",
        ) from None


def _check_bounds(frames: int, size: int, where: object) -> None:
    if frames > MAX_FRAMES:
        raise RecordingError(
            f"holds more than {MAX_FRAMES:,} samples per channel",
            where=where,
            fix="cut it into shorter recordings",
        )
    if frames > MAX_UNPACKED and frames > MAX_RATIO * size:
        raise RecordingError(
            f"unpacks to more than {MAX_RATIO} samples per byte, which no recording does",
            where=where,
            fix="check where it comes from; digital silence may be cut out",
        )


def _check_container(path: Path, size: int, where: object) -> int | None:
    """Raise where a RIFF, RF64, AIFF, AU or Ogg container ends before it says it does.

    Returns
    -------
    offset : of the size of the samples in a WAV file that says 0 and has some; None for all others.
    """
    with path.open("rb") as file:
        magic = file.read(4)
        if magic in (b"RIFF", b"RF64"):
            return _check_riff(file, size, where)
        if magic == b"OggS":
            _check_ogg(file, size, where)
        elif magic == b"FORM":
            _check_whole(8 + struct.unpack(">I", file.read(4))[0], size, where)
        elif magic == b".snd":
            start, length = struct.unpack(">II", file.read(8))
            _check_whole(0 if length >= UNKNOWN_SIZE else start + length, size, where)
    return None


def _check_riff(file: BinaryIO, size: int, where: object) -> int | None:
    announced_64 = None  # RF64 keeps the 64-bit size of the data chunk in its ds64 chunk
    file.seek(12)
    while len(header := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", header)
        start = file.tell()
        if name == b"ds64" and length >= 16:
            announced_64 = struct.unpack("<QQ", file.read(16))[1]
        if name == b"data":
            if length == 0xFFFFFFFF and announced_64 is not None:
                length = announced_64
            elif length >= UNKNOWN_SIZE:
                return start - 4
            if length == 0 and size > start and not _chunks_follow(file, start, size):
                return start - 4
            if start + length > size:
                raise truncated(where, f"{length} bytes of audio announced, {size - start} present")
            return None
        file.seek(start + length + length % 2)  # chunks are padded to an even length
    return None


def _chunks_follow(file: BinaryIO, start: int, size: int) -> bool:
    """Whether the rest of a RIFF file is a chain of chunks that ends with it."""
    while start + 8 <= size:
        file.seek(start)
        name, length = struct.unpack("<4sI", file.read(8))
        if not name.isalnum():
            return False
        start += 8 + length + length % 2
    return start in (size, size + 1)


def _check_whole(announced: int, size: int, where: object) -> None:
    if announced > size:
        raise truncated(where, f"{announced} bytes announced, {size} present")


def _check_ogg(file: BinaryIO, size: int, where: object) -> None:
    # The last page of a complete stream carries the end-of-stream flag; a page is at most 65307 bytes long.
    file.seek(max(0, size - 65307))
    tail = file.read()
    page = tail.rfind(b"OggS\x00")
    if page < 0 or page + 5 >= len(tail) or not tail[page + 5] & 0x04:
        raise truncated(where, "the end of the Ogg stream is missing")
