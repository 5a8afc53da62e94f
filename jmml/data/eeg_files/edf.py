"""The header of an EDF or BDF file, and what MNE reads over in silence: missing records, gaps, rates that differ.

Kemp, B., Olivan, J. (2003). European data format 'plus' (EDF+), an EDF alike standard format for the exchange of
physiological data. Clinical Neurophysiology 114, 1755-1761. BDF has the same header and samples of three bytes.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from jmml.errors import RecordingError

_FIXED = 256  # bytes of the header, and again of each signal's part of it
_MAX_SIGNALS = 4096
_WIDTHS = (
    16,
    80,
    8,
    8,
    8,
    8,
    8,
    80,
    8,
    32,
)  # of a signal's fields; the first is its label, the ninth its samples
_LABEL, _SAMPLES = 0, 8
_ANNOTATIONS = ("EDF Annotations", "BDF Annotations")
_ONSET = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15[^\x14]*)?\x14")


@dataclass(frozen=True)
class EDFHeader:
    """What the header announces.

    Attributes
    ----------
    labels, samples : of each signal, its name and its samples per record; annotations included.
    records, record_s : number of data records, and the seconds of one.
    discontinuous : whether the records may have gaps between them (EDF+D).
    bytes_per_sample : 2 (EDF) or 3 (BDF).
    """

    labels: tuple[str, ...]
    samples: tuple[int, ...]
    records: int
    record_s: float
    discontinuous: bool
    bytes_per_sample: int

    @property
    def record_bytes(self) -> int:
        return self.bytes_per_sample * sum(self.samples)

    @property
    def signals(self) -> dict[str, int]:
        """Samples per record of every signal that is not annotations; of one name twice, the last."""
        return {
            label: count
            for label, count in zip(self.labels, self.samples, strict=True)
            if label not in _ANNOTATIONS
        }

    @property
    def twice(self) -> list[str]:
        """Names that several signals have."""
        return [
            name for name, count in Counter(self.labels).items() if count > 1 and name not in _ANNOTATIONS
        ]


def check_edf(path: Path) -> EDFHeader:
    """The header of a file that is whole, continuous and holds signals.

    Raises
    ------
    RecordingError : no header, fewer bytes than announced, annotations alone, gaps between the records.
    """
    header = read_header(path)
    size, needed = path.stat().st_size, _FIXED * (len(header.labels) + 1)
    if not header.signals:
        raise RecordingError("holds annotations and no signal", expected="a file with EEG channels")
    announced = needed + header.records * header.record_bytes
    if header.records >= 0 and size < announced:
        raise RecordingError(
            f"is truncated ({announced} bytes announced, {size} present)",
            fix="copy the file again from its source",
        )
    if size < needed + header.record_bytes or header.records == 0:
        raise RecordingError("is truncated, or empty: not one data record")
    if header.record_s <= 0:
        raise RecordingError(f"data records of {header.record_s:g} s", expected="more than 0 s")
    if header.discontinuous:
        _refuse_gaps(path, header, (size - needed) // header.record_bytes)
    return header


def read_header(path: Path) -> EDFHeader:
    """What the header says, checked for its form alone."""
    with path.open("rb") as file:
        fixed = file.read(_FIXED)
        bdf = fixed[:1] == b"\xff"
        try:
            if len(fixed) < _FIXED or not (bdf or fixed[:8].strip() == b"0"):
                raise ValueError
            reserved = fixed[192:236].decode("latin1")
            records, record_s, count = int(fixed[236:244]), float(fixed[244:252]), int(fixed[252:256])
            if not 0 < count <= _MAX_SIGNALS or not record_s < float("inf"):
                raise ValueError
            columns = [[file.read(width) for _ in range(count)] for width in _WIDTHS]
            samples = tuple(int(text) for text in columns[_SAMPLES])
            if min(samples) < 0:
                raise ValueError
        except ValueError:
            raise RecordingError("is truncated, or has no EDF or BDF header") from None
    labels = tuple(text.decode("latin1").strip() for text in columns[_LABEL])
    return EDFHeader(labels, samples, records, record_s, reserved[3:5] == "+D", 3 if bdf else 2)


def _refuse_gaps(path: Path, header: EDFHeader, records: int) -> None:
    """Each record of a discontinuous file begins with its own time, first thing in its annotations."""
    place = next((n for n, label in enumerate(header.labels) if label in _ANNOTATIONS), None)
    if place is None:
        raise RecordingError(
            "calls itself discontinuous (EDF+D) and has no annotations that time its records"
        )
    width = header.bytes_per_sample
    start, length = width * sum(header.samples[:place]), width * header.samples[place]
    gaps, before = [], None
    with path.open("rb") as file:
        for record in range(records):
            file.seek(_FIXED * (len(header.labels) + 1) + record * header.record_bytes + start)
            found = _ONSET.match(file.read(length))
            if found is None:
                raise RecordingError(f"data record {record + 1} of a discontinuous file (EDF+D) has no time")
            onset = float(found[1])
            if before is not None and abs(onset - before - header.record_s) > 1e-3 * max(
                1.0, header.record_s
            ):
                gaps.append((before + header.record_s, onset))
            before = onset
    if gaps:
        raise RecordingError(
            f"is discontinuous (EDF+D): {len(gaps)} gap{'s' * (len(gaps) > 1)}, the first from {gaps[0][0]:g} to "
            f"{gaps[0][1]:g} s",
            expected="a continuous recording",
            fix="export each stretch as a file of its own (EDF+C)",
        )
