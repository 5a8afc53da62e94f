"""Copies of real recordings under many changes: how many are found, how long it takes, and how many are none.

    python benchmarks/copies.py FOLDER [--files 60]

FOLDER holds speech in WAV. Each line is one kind of change; the last ones say what it costs and what was wrongly found.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from jmml.data.copies import copies, fingerprint
from jmml.data.features.audio import load_audio

Sound = tuple[np.ndarray, float]


def through(x: np.ndarray, rate: float, kind: str, subtype: str) -> Sound:
    """Written in a format and read again."""
    file = io.BytesIO()
    soundfile.write(file, x, int(rate), format=kind, subtype=subtype)
    file.seek(0)
    signal, rate = soundfile.read(file, dtype="float32")
    return signal, float(rate)


def with_noise(x: np.ndarray, decibels: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, x.std() * 10 ** (-decibels / 20), len(x))
    return x + noise.astype(np.float32)


CHANGES: dict[str, Callable[[np.ndarray, float], Sound]] = {
    "gain 0.05": lambda x, r: (0.05 * x, r),
    "turned upside down": lambda x, r: (-x, r),
    "half of it": lambda x, r: (x[: len(x) // 2], r),
    "0.37 s of silence before": lambda x, r: (np.concatenate([np.zeros(int(0.37 * r), x.dtype), x]), r),
    "a third of the rate": lambda x, r: (resample_poly(x, 1, 3), r // 3),
    "MP3": lambda x, r: through(x, r, "MP3", "MPEG_LAYER_III"),
    "Ogg Vorbis": lambda x, r: through(x, r, "OGG", "VORBIS"),
    "telephone (8 kHz, mu-law)": lambda x, r: through(resample_poly(x, 8000, int(r)), 8000, "WAV", "ULAW"),
    "noise at 20 dB": lambda x, r: (with_noise(x, 20), r),
    "noise at 10 dB": lambda x, r: (with_noise(x, 10), r),
    "clipped at 0.3 of its peak": lambda x, r: (np.clip(x, -0.3 * abs(x).max(), 0.3 * abs(x).max()), r),
    "5 % faster": lambda x, r: (resample_poly(x, 20, 21), r),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=60, help="changed copies of so many")
    options = parser.parse_args()
    sounds = [load_audio(file) for file in sorted(options.folder.rglob("*.wav"))]
    began = time.process_time()
    prints = [fingerprint(*sound) for sound in sounds]
    printed = time.process_time()
    wrong = copies(prints)
    compared = time.process_time()
    places = range(0, len(sounds), max(1, len(sounds) // options.files))
    for name, change in CHANGES.items():
        found = sum(bool(copies([prints[n], fingerprint(*change(*sounds[n]))])) for n in places)
        print(f"{name:28} {found:4} of {len(places)}")
    seconds = sum(len(x) / rate for x, rate in sounds)
    pairs = len(sounds) * (len(sounds) - 1) // 2
    print(f"{len(wrong)} of {pairs:,} pairs of different recordings taken for copies")
    print(f"fingerprints: {(printed - began) / seconds:.5f} s of processor time per second of sound")
    print(f"all pairs: {compared - printed:.2f} s")


if __name__ == "__main__":
    main()
