"""EEG files of every format, written byte by byte or by their own libraries, whole and odd."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.io import savemat

CHANNELS = ("F3", "F4", "Cz")
Events = Sequence[tuple[float, float, str]]  # onset, duration (s), name


def brain(seconds: float = 8.0, rate: float = 128.0, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Noise of 20 microvolts, in volts (channels, samples)."""
    return 20e-6 * np.random.default_rng(seed).normal(size=(channels, round(seconds * rate)))


def write_edf(
    path: Path,
    volts: np.ndarray | None = None,
    rate: int = 128,
    names: Sequence[str] = CHANNELS,
    events: Events = (),
    *,
    kind: str = "+C",
    starts: Sequence[float] | None = None,
    rates: Sequence[int] | None = None,
    unit: str = "uV",
    status: np.ndarray | None = None,
) -> Path:
    """EDF, or BDF by the suffix: records of one second, annotations in a signal of their own.

    ``kind`` is "+C", "+D" or "" (no annotations); ``starts`` when each record begins; ``rates`` one per signal, which
    must divide ``rate``; ``status`` the codes of a BDF's status channel.
    """
    bdf = path.suffix.lower() == ".bdf"
    width, full = (3, 2**23) if bdf else (2, 2**15)
    volts = brain(rate=rate, channels=len(names)) if volts is None else volts
    records = volts.shape[1] // rate if len(names) else 4
    rates = [rate] * len(names) if rates is None else rates
    scale = 1e3 if unit else 1.0  # physical maximum, in the unit
    labels, samples = [*names], [*rates]
    if status is not None:
        labels.append("Status")
        samples.append(rate)
    if kind:
        labels.append("BDF Annotations" if bdf else "EDF Annotations")
        samples.append(40)
    count = len(labels)

    def padded(text: object, size: int) -> bytes:
        return str(text).encode("latin1").ljust(size)[:size]

    head = (
        (b"\xffBIOSEMI" if bdf else padded("0", 8)) + padded("X X X X", 80) + padded("Startdate X X X X", 80)
    )
    head += padded("01.01.20", 8) + padded("00.00.00", 8) + padded(256 * (count + 1), 8)
    head += padded(("BDF" if bdf else "EDF") + kind if kind else "", 44) + padded(records, 8) + padded(1, 8)
    head += padded(count, 4)
    head += b"".join(padded(label, 16) for label in labels) + b" " * 80 * count
    units = [unit if label in names else "" for label in labels]
    head += b"".join(padded(each, 8) for each in units)
    for low, high in ((-scale, scale), (-full, full - 1)):
        own = [(low, high) if label in names else (-full, full - 1) for label in labels]
        head += b"".join(padded(f"{a:.0f}", 8) for a, _ in own) + b"".join(
            padded(f"{b:.0f}", 8) for _, b in own
        )
    head += b" " * 80 * count + b"".join(padded(each, 8) for each in samples) + b" " * 32 * count
    digital = np.round(np.clip(volts * 1e6 / scale, -1, 1) * (full - 1)).astype(np.int64)
    body = bytearray()
    for record in range(records):
        for row, each in enumerate(rates):
            body += _packed(digital[row, record * rate : (record + 1) * rate : rate // each], width)
        if status is not None:
            body += _packed(status[record * rate : (record + 1) * rate], width)
        if kind:
            begin = record if starts is None else starts[record]
            told = f"+{begin:g}\x14\x14\0"
            for onset, duration, name in events:
                if record <= onset < record + 1:
                    length = f"\x15{duration:g}" if duration else ""
                    told += f"+{onset:g}{length}\x14{name}\x14\0"
            body += told.encode().ljust(40 * width, b"\0")[: 40 * width]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + bytes(body))
    return path


def _packed(values: np.ndarray, width: int) -> bytes:
    if width == 2:
        return np.asarray(values, "<i2").tobytes()
    return np.asarray(values, "<i4").reshape(-1, 1).view(np.uint8)[:, :3].tobytes()


def write_brainvision(
    path: Path, volts: np.ndarray, rate: float = 128.0, names: Sequence[str] = CHANNELS, events: Events = ()
) -> Path:
    """``x.vhdr`` with ``x.eeg`` (16 bits, multiplexed, 0.1 microvolts) and ``x.vmrk``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stem = path.stem
    channels = "\n".join(f"Ch{n}={name},,0.1,µV" for n, name in enumerate(names, 1))
    path.write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        f"DataFile={stem}.eeg\nMarkerFile={stem}.vmrk\nDataFormat=BINARY\nDataOrientation=MULTIPLEXED\n"
        f"NumberOfChannels={len(names)}\nSamplingInterval={1e6 / rate:g}\n\n[Binary Infos]\nBinaryFormat=INT_16\n\n"
        f"[Channel Infos]\n{channels}\n",
        encoding="utf-8",
    )
    path.with_suffix(".eeg").write_bytes(np.round(volts.T * 1e7).astype("<i2").tobytes())
    marks = ["Mk1=New Segment,,1,1,0,20200101000000000000"]
    for number, (onset, duration, name) in enumerate(events, 2):
        marks.append(
            f"Mk{number}=Stimulus,{name},{round(onset * rate) + 1},{max(1, round(duration * rate))},0"
        )
    path.with_suffix(".vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        f"DataFile={stem}.eeg\n\n[Marker Infos]\n" + "\n".join(marks) + "\n",
        encoding="utf-8",
    )
    return path


def write_set(
    path: Path,
    volts: np.ndarray,
    rate: float = 128.0,
    names: Sequence[str] = CHANNELS,
    events: Events = (),
    *,
    fdt: bool = True,
) -> Path:
    """EEGLAB: ``x.set``, with the signals in ``x.fdt`` (float32, microvolts) or inside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    microvolts = (1e6 * volts).astype(np.float32)
    if fdt:
        path.with_suffix(".fdt").write_bytes(microvolts.T.astype("<f4").tobytes())
    places = np.array([(name,) for name in names], dtype=[("labels", object)])
    told = np.array(
        [(name, 1 + onset * rate, duration * rate) for onset, duration, name in events],
        dtype=[("type", object), ("latency", float), ("duration", float)],
    )
    eeg = {
        "setname": "x", "nbchan": float(len(names)), "trials": 1.0, "pnts": float(volts.shape[1]), "srate": rate,
        "xmin": 0.0, "xmax": volts.shape[1] / rate, "data": f"{path.stem}.fdt" if fdt else microvolts,
        "chanlocs": places, "event": told, "icawinv": [], "icaweights": [], "icasphere": [], "icachansind": [],
    }  # fmt: skip
    savemat(path, {"EEG": eeg}, appendmat=False)
    return path


def write_fif(
    path: Path, volts: np.ndarray, rate: float = 128.0, names: Sequence[str] = CHANNELS, events: Events = ()
) -> Path:
    """FIF with annotations and a trigger channel that holds 7 from the second second on."""
    import mne

    path.parent.mkdir(parents=True, exist_ok=True)
    codes = np.zeros((1, volts.shape[1]))
    codes[0, round(rate) : round(rate) + 5] = 7
    info = mne.create_info([*names, "STI 014"], rate, ["eeg"] * len(names) + ["stim"])
    raw = mne.io.RawArray(np.vstack([volts, codes]), info, verbose="ERROR")
    raw.set_annotations(mne.Annotations(*zip(*events, strict=True)) if events else None)
    raw.save(path, overwrite=True, verbose="ERROR")
    return path


def write_gdf(
    path: Path, volts: np.ndarray, rate: int = 128, names: Sequence[str] = CHANNELS, codes: Events = ()
) -> Path:
    """GDF 1.25, 16 bits, records of one second, and a table of events by number."""
    count, records = len(names), volts.shape[1] // rate
    head = (
        b"GDF 1.25"
        + b"X".ljust(80)
        + b"X".ljust(80)
        + b"2020010100000000"
        + struct.pack("<q", 256 * (count + 1))
    )
    head += bytes(8 + 8 + 8) + bytes(20) + struct.pack("<qIII", records, 1, 1, count)
    head += b"".join(name.encode().ljust(16) for name in names) + b" " * 80 * count + b"uV".ljust(8) * count
    head += struct.pack(f"<{count}d", *[-1000.0] * count) + struct.pack(f"<{count}d", *[1000.0] * count)
    head += struct.pack(f"<{count}q", *[-32768] * count) + struct.pack(f"<{count}q", *[32767] * count)
    head += (
        b" " * 80 * count
        + struct.pack(f"<{count}I", *[rate] * count)
        + struct.pack(f"<{count}I", *[3] * count)
    )
    head += bytes(32) * count
    digital = np.round(volts * 1e6 / 1000 * 32767).astype("<i2")
    body = b"".join(digital[:, n * rate : (n + 1) * rate].tobytes() for n in range(records))
    table = struct.pack("<B3s", 1, struct.pack("<I", rate)[:3]) + struct.pack("<I", len(codes))
    table += struct.pack(f"<{len(codes)}I", *[round(onset * rate) + 1 for onset, _, _ in codes])
    table += struct.pack(f"<{len(codes)}H", *[int(name) for _, _, name in codes])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + body + table)
    return path


def write_cnt(
    path: Path, volts: np.ndarray, rate: int = 128, names: Sequence[str] = CHANNELS, codes: Events = ()
) -> Path:
    """Neuroscan CNT, 16 bits, with a table of events of type 1 by number."""
    count, samples = volts.shape
    head = bytearray(900)
    head[:12] = b"Version 3.0\0"
    head[225:235] = b"01/01/20\0\0"
    head[235:247] = b"00:00:00\0\0\0\0"
    struct.pack_into("<H", head, 370, count)
    struct.pack_into("<H", head, 376, rate)
    struct.pack_into("<I", head, 864, samples)
    table_at = 900 + 75 * count + 2 * count * samples
    struct.pack_into("<I", head, 886, table_at)
    electrodes = b""
    for name in names:
        one = bytearray(75)
        one[:10] = name.encode().ljust(10, b"\0")
        struct.pack_into("<h", one, 47, 0)  # baseline
        struct.pack_into("<f", one, 59, 1000 / 32768 * 204.8)  # sensitivity
        struct.pack_into("<f", one, 71, 1.0)  # calibration
        electrodes += bytes(one)
    digital = np.round(volts * 1e6 / 1000 * 32768).astype("<i2")
    table = b"".join(
        struct.pack(
            "<HBBi", int(name), 0, 0, table_at - 2 * count * samples + 2 * count * (1 + round(onset * rate))
        )
        for onset, _, name in codes
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        bytes(head) + electrodes + digital.T.tobytes() + struct.pack("<BII", 1, len(table), 0) + table
    )
    return path
