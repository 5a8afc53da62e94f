"""One EEG file: what it holds, its events, and its signals from one time to another."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from jmml.data.eeg_files.edf import check_edf
from jmml.data.eeg_files.names import electrode, is_eeg, repeated
from jmml.data.matlab import check_mat
from jmml.errors import RecordingError

# Suffix of the file that is opened -> what it is called.
FORMATS: Mapping[str, str] = {
    ".edf": "EDF", ".bdf": "BDF", ".gdf": "GDF", ".vhdr": "BrainVision", ".set": "EEGLAB", ".fif": "FIF",
    ".cnt": "Neuroscan CNT",
}  # fmt: skip
EEG = tuple(FORMATS)
# Suffixes of files that another one names.
COMPANIONS = (".eeg", ".vmrk", ".fdt")
MIN_SAMPLE_RATE_HZ = 16.0
LARGEST_V = 0.1  # of a channel's standard deviation; EEG has 1e-5 V, an amplifier's drift 1e-2 V
_BLOCK_S = 60.0
_MAX_HEADER = 16 * 2**20  # bytes of a text header
_NAMED = re.compile(rb"^\s*(DataFile|MarkerFile)\s*=\s*(.*?)\s*$", re.MULTILINE)
_WIDTH = re.compile(rb"^\s*BinaryFormat\s*=\s*(\S+)\s*$", re.MULTILINE)
_CHANNEL = re.compile(rb"^\s*Ch\d+\s*=\s*([^,\r\n]+),", re.MULTILINE)
_BYTES = {b"INT_16": 2, b"UINT_16": 2, b"INT_32": 4, b"IEEE_FLOAT_32": 4}
_STATUS_MASK = 0xFFFF  # BioSemi's trigger bits; those above say how the amplifier is
_BREAKS = ("boundary", "edge", "new segment", "bad boundary", "bad_acq_skip", "edge boundary")
_OPENED = 2  # files whose headers are kept, as trials come in the order of their files


@dataclass(frozen=True)
class Event:
    """Something that happened at a time of a recording, by its name there; ``told`` is what else is said of it."""

    name: str
    onset_s: float
    duration_s: float
    told: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EEGFile:
    """What an EEG file holds.

    Attributes
    ----------
    sample_rate_hz, samples, channels : of its EEG channels.
    others : names of channels that are not EEG, which are left out.
    events : in order of time; breaks of the recording are not among them.
    breaks : seconds at which the recording was interrupted.
    companions : names of the files beside it that belong to it.
    """

    sample_rate_hz: float
    samples: int
    channels: tuple[str, ...]
    others: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    breaks: tuple[float, ...] = ()
    companions: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        return self.samples / self.sample_rate_hz


def inspect_eeg(path: Path, *, where: object = None) -> EEGFile:
    """What ``path`` holds, its last sample read.

    Raises
    ------
    RecordingError : the file, or one that it names, is missing, empty, truncated or of another format; it holds no EEG
        channel, channels of one name, EEG channels of different sample rates, or gaps (EDF+D).
    """
    return _opened(path, where)[0]


def read_eeg(
    path: Path, start_s: float | None = None, end_s: float | None = None, *, where: object = None
) -> tuple[np.ndarray, float, tuple[str, ...]]:
    """EEG channels from one time to another: float32 (channels, samples) in volts, sample rate in Hz, channel names.

    Parameters
    ----------
    start_s, end_s : seconds from the beginning of the recording; None is its beginning, and its end.

    Raises
    ------
    RecordingError : as :func:`inspect_eeg`; or the signals are not finite, or far from what EEG can be.
    """
    where = path if where is None else where
    found, raw, picks = _opened(path, where)
    rate = found.sample_rate_hz
    first = max(0, round((start_s or 0.0) * rate))
    last = found.samples
    if end_s is not None:  # trials of one length have as many samples, wherever they begin
        count = round((end_s - (start_s or 0.0)) * rate)
        first = min(first, max(0, found.samples - count)) if first + count <= found.samples + 1 else first
        last = min(found.samples, first + count)
    if last <= first:
        raise RecordingError(
            f"lasts {found.duration_s:.3f} s, the trial begins at {start_s or 0.0:g} s", where=where
        )
    signal = np.empty((len(picks), last - first), dtype=np.float32)
    step = max(1, round(_BLOCK_S * rate))
    for at in range(first, last, step):
        stop = min(at + step, last)
        block = _guarded(partial(raw.get_data, picks, at, stop), path, where)
        signal[:, at - first : stop - first] = block
    # Channel by channel: what numpy makes of a whole recording on the way is several times as large.
    bad = np.array([not np.isfinite(row).all() for row in signal])
    if bad.any():
        raise RecordingError(
            f"channel '{found.channels[int(bad.argmax())]}' holds values that are not finite", where=where
        )
    spread = float(np.median([row.std() for row in signal]))
    if spread > LARGEST_V:
        raise RecordingError(
            f"its channels vary by {spread:.3g} V, EEG by some 1e-5 V",
            where=where,
            fix="correct the unit in the header (physical dimension)",
        )
    return signal, rate, found.channels


def _states(path: Path, companions: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """What changes when a file, or one that belongs to it, is written anew: times of change (ns) and sizes."""
    stats = [file.stat() for file in (path, *(path.parent / name for name in companions))]
    return tuple((stat.st_mtime_ns, stat.st_size) for stat in stats)


def _opened(path: Path, where: object) -> tuple[EEGFile, Any, list[int]]:
    where = path if where is None else where
    try:
        stat = path.stat()
        if not path.is_file():
            raise RecordingError("is not a file")
        if stat.st_size == 0:
            raise RecordingError("the file is empty (0 bytes)")
        found, raw, picks, state = _open(path, stat.st_mtime_ns, stat.st_size)
        if state != _states(path, found.companions):
            _open.cache_clear()
            found, raw, picks, state = _open(path, stat.st_mtime_ns, stat.st_size)
        return found, raw, picks
    except FileNotFoundError:
        raise RecordingError("no such file", where=where) from None
    except OSError as error:
        raise RecordingError(f"cannot be read ({error.strerror or error})", where=where) from None
    except RecordingError as error:
        raise RecordingError(error.what, where=where, expected=error.expected, fix=error.fix) from None


@lru_cache(maxsize=_OPENED)
def _open(
    path: Path, _mtime_ns: int, _size: int
) -> tuple[EEGFile, Any, list[int], tuple[tuple[int, int], ...]]:
    suffix = path.suffix.lower()
    options: dict[str, Any] = {}
    twice: list[str] = []
    companions: tuple[str, ...] = ()
    if suffix in (".edf", ".bdf"):
        header = check_edf(path)
        twice = [name for name in header.twice if is_eeg(name)]
        eeg = {name: count for name, count in header.signals.items() if is_eeg(name)}
        if not eeg:
            raise _no_eeg([*header.signals])
        rates = {count / header.record_s for count in eeg.values()}
        if len(rates) > 1:
            names = ", ".join(
                f"{name} {count / header.record_s:g} Hz" for name, count in list(eeg.items())[:4]
            )
            raise RecordingError(
                f"its EEG channels have {len(rates)} sample rates ({names}{', ...' * (len(eeg) > 4)})",
                expected="one rate for all EEG channels",
                fix="resample them to one rate, or export those of one rate",
            )
        # MNE brings all channels to the highest rate of any, that of the sweat sensor included.
        options["exclude"] = [
            name for name, count in header.signals.items() if name not in eeg and count not in eeg.values()
        ]
    elif suffix == ".vhdr":
        companions = _named_by(path)
        twice = repeated([name.decode("utf-8", "replace") for name in _CHANNEL.findall(_text(path))])
    elif suffix == ".set":
        check_mat(path)
    if twice:
        raise _repeated(twice)
    raw = _guarded(lambda: _reader(suffix)(path, verbose="ERROR", **options), path)
    found, picks = _described(raw, path)
    companions = companions or _beside(raw, path)
    _check_size(path, companions, raw)
    last = _guarded(lambda: raw.get_data(picks, found.samples - 1, found.samples), path)
    if last.shape != (len(picks), 1):
        raise RecordingError("is truncated (its last sample is missing)")
    return replace(found, companions=companions), raw, picks, _states(path, companions)


def _no_eeg(others: Sequence[str]) -> RecordingError:
    held = ", ".join(others[:6]) + (", ..." if len(others) > 6 else "")
    return RecordingError(f"holds no EEG channel (holds {held or 'none'})")


def _repeated(names: list[str]) -> RecordingError:
    return RecordingError(
        f"channel names occur more than once: {', '.join(names)}", expected="a name for each electrode"
    )


def _reader(suffix: str) -> Callable[..., Any]:
    import mne

    readers: dict[str, Callable[..., Any]] = {
        ".edf": mne.io.read_raw_edf, ".bdf": mne.io.read_raw_bdf, ".gdf": mne.io.read_raw_gdf,
        ".vhdr": mne.io.read_raw_brainvision, ".set": mne.io.read_raw_eeglab, ".fif": mne.io.read_raw_fif,
        ".cnt": mne.io.read_raw_cnt,
    }  # fmt: skip
    try:
        return readers[suffix]
    except KeyError:
        raise RecordingError(f"a '{suffix}' file", expected=", ".join(FORMATS)) from None


def _guarded(call: Callable[[], Any], path: Path, where: object = None) -> Any:
    """What MNE gives; whatever it raises on a damaged file is one :class:`RecordingError`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call()
    except RecordingError:
        raise
    except Exception as error:  # a damaged header leads MNE's readers anywhere
        said = " ".join(str(error).split())
        if isinstance(error, ModuleNotFoundError | ImportError):
            raise RecordingError(f"needs a package that is not here ({said})", where=where) from None
        kind = FORMATS.get(path.suffix.lower(), "EEG")
        raise RecordingError(
            f"cannot be read as {kind}: truncated, damaged or of another format ({type(error).__name__}"
            f"{': ' + said if said else ''})"[:300],
            where=where,
        ) from None


def _described(raw: Any, path: Path) -> tuple[EEGFile, list[int]]:
    kinds = raw.get_channel_types()
    picks = [n for n, name in enumerate(raw.ch_names) if kinds[n] == "eeg" and is_eeg(name)]
    others = tuple(name for n, name in enumerate(raw.ch_names) if n not in set(picks))
    if not picks:
        raise _no_eeg(others)
    rate, samples = float(raw.info["sfreq"]), int(raw.n_times)
    if rate < MIN_SAMPLE_RATE_HZ:
        raise RecordingError(f"sample rate {rate:g} Hz", expected=f"at least {MIN_SAMPLE_RATE_HZ:g} Hz")
    if samples < 1:
        raise RecordingError("holds no samples")
    channels = tuple(electrode(raw.ch_names[n]) for n in picks)
    if twice := repeated([raw.ch_names[n] for n in picks]) or repeated(channels):
        raise _repeated(twice)
    events, breaks = _events(raw, path)
    return EEGFile(rate, samples, channels, others, events, breaks), picks


def _events(raw: Any, path: Path) -> tuple[tuple[Event, ...], tuple[float, ...]]:
    """Annotations, and codes on trigger channels."""
    import mne

    rate = float(raw.info["sfreq"])
    events, breaks = [], []
    notes = raw.annotations
    starts = raw.time_as_index(notes.onset, use_rounding=True, origin=notes.orig_time) / rate
    for start, duration, text in zip(starts, notes.duration, notes.description, strict=True):
        name = " ".join(str(text).split())
        if name.casefold().rstrip("/ ") in _BREAKS:
            breaks.append(float(start))
        elif name:
            events.append(Event(name, float(start), float(duration)))
    for number in mne.pick_types(raw.info, meg=False, eeg=False, stim=True):
        codes = _guarded(
            partial(
                mne.find_events,
                raw,
                stim_channel=raw.ch_names[number],
                shortest_event=1,
                initial_event=True,
                mask=_STATUS_MASK if path.suffix.lower() == ".bdf" else None,
                mask_type="and",
                verbose="ERROR",
            ),
            path,
        )
        events += [Event(str(int(code)), (int(at) - raw.first_samp) / rate, 0.0) for at, _, code in codes]
    return tuple(sorted(events, key=lambda event: event.onset_s)), tuple(breaks)


def _named_by(path: Path) -> tuple[str, ...]:
    """Files that a BrainVision header names; they lie beside it."""
    text = _text(path)
    found: dict[bytes, str] = {}
    for key, value in _NAMED.findall(text):
        name = os.fsdecode(value).replace("$b", path.stem)
        if name in ("", ".") or "/" in name or "\\" in name or name.startswith(".."):
            raise RecordingError(f"its {key.decode()} '{name}' is not a file beside it")
        found[key] = name
    if b"DataFile" not in found:
        raise RecordingError("is truncated, or no BrainVision header (it names no DataFile)")
    for key, name in found.items():
        if not (path.parent / name).is_file():
            raise RecordingError(
                f"its {key.decode()} {name} is missing",
                fix="put it beside the .vhdr, or correct the name in it (files that were renamed)",
            )
    return tuple(dict.fromkeys(found.values()))


def _beside(raw: Any, path: Path) -> tuple[str, ...]:
    """Files that hold the data of the one that was opened."""
    files = [Path(name) for name in raw.filenames if name is not None]
    top = path.parent.resolve()
    for file in files:
        if file.resolve().parent != top:
            raise RecordingError(f"its data lie elsewhere ({file})", expected="files beside it")
    return tuple(dict.fromkeys(file.name for file in files if file.resolve() != path.resolve()))


def _check_size(path: Path, companions: tuple[str, ...], raw: Any) -> None:
    """Data files of plain numbers: MNE takes as many samples as fit."""
    for name in companions:
        size = (path.parent / name).stat().st_size
        if name.lower().endswith(".fdt"):
            width, needed = 4, 4 * len(raw.ch_names) * raw.n_times
        elif path.suffix.lower() == ".vhdr" and not name.lower().endswith(".vmrk"):
            found = _WIDTH.search(_text(path))
            width = _BYTES.get(found[1], 0) if found else 0
            needed = width * len(raw.ch_names) * raw.n_times
        else:
            continue
        if width and (size < needed or size % (width * len(raw.ch_names))):
            raise RecordingError(
                f"{name} is truncated ({size} bytes are no whole number of samples of {len(raw.ch_names)} channels)"
                if size >= needed
                else f"{name} is truncated ({needed} bytes announced, {size} present)"
            )


def _text(path: Path) -> bytes:
    if path.stat().st_size > _MAX_HEADER:
        raise RecordingError(f"a text header of more than {_MAX_HEADER // 2**20} MiB")
    return path.read_bytes()
