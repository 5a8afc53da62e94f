"""Pictures of single recordings and of counts: SVG for lines and cells, small PNG images for what is dense."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.image import imsave
from scipy.signal import spectrogram, welch

from jmml.evaluation.palette import INK, RAMP
from pipelines.reporting.figures import element, embedded, line, path, svg, text

WIDTH, LEFT, COLUMNS = 340.0, 34.0, 420
WAVE, SPECTRUM = 46.0, 96.0
FLOOR_DB = 70.0
SHOWN_S = 12.0  # of a long recording
MOST_PEOPLE = 60
CELL = 22.0
# White is nothing, so that dark pages may turn it over as they do with every figure.
UNSIGNED: Any = {"Software": None}  # equal pictures are equal bytes
SHADES = LinearSegmentedColormap.from_list("shades", ["#FFFFFF", *RAMP[2:], INK])

Signal = npt.NDArray[np.floating]
Counts = Mapping[str, Mapping[str, int]]


def sound(signal: Signal, sample_rate_hz: float, label: str) -> Markup:
    """Waveform above a spectrogram, on one axis of time; the first 12 s."""
    shown = np.asarray(signal[: round(SHOWN_S * sample_rate_hz)], np.float64)
    seconds = len(shown) / sample_rate_hz
    width = WIDTH - LEFT
    middle, peak = 6 + WAVE / 2, max(float(np.abs(shown).max()), 1e-9)
    edges = np.linspace(0, len(shown), min(COLUMNS, len(shown)) + 1).astype(int)[:-1]
    top, bottom = np.maximum.reduceat(shown, edges), np.minimum.reduceat(shown, edges)
    x = LEFT + width * (np.arange(len(edges)) + 0.5) / len(edges)
    outline = [(a, middle - WAVE / 2 * b / peak) for a, b in zip(x, top, strict=True)]
    outline += [(a, middle - WAVE / 2 * b / peak) for a, b in zip(x[::-1], bottom[::-1], strict=True)]
    under = 6 + WAVE + 10
    nyquist = sample_rate_hz / 2
    parts = [
        element("path", d=path(outline) + "Z", class_="wave"),
        text(LEFT - 6, middle + 4, f"{peak:.2f}", anchor="end"),
        element(
            "image",
            href=embedded(_spectrogram(shown, sample_rate_hz)),
            x=LEFT,
            y=under,
            width=width,
            height=SPECTRUM,
            preserveAspectRatio="none",
        ),
    ]
    for kilohertz in _ticks(0.85 * nyquist / 1000, 3):
        y = under + SPECTRUM * (1 - kilohertz * 1000 / nyquist)
        parts += [line(LEFT, y, LEFT - 4, y, "axis"), text(LEFT - 6, y + 4, f"{kilohertz:g}", anchor="end")]
    floor = under + SPECTRUM
    parts.append(line(LEFT, floor, WIDTH, floor, "axis"))
    for second in _ticks(0.95 * seconds, 5):
        at = LEFT + width * second / seconds
        parts += [
            line(at, floor, at, floor + 4, "axis"),
            text(at, floor + 16, f"{second:g}", anchor="middle"),
        ]
    parts += [text(LEFT - 6, under - 2, "kHz", anchor="end"), text(WIDTH + 6, floor + 16, "s", anchor="end")]
    return svg(WIDTH + 6, floor + 22, parts, label=label, class_="sound")


def _spectrogram(signal: npt.NDArray[np.float64], sample_rate_hz: float) -> bytes:
    length = min(len(signal), max(64, round(0.025 * sample_rate_hz)))
    step = max(1, (len(signal) - length) // COLUMNS)
    _, _, power = spectrogram(signal, sample_rate_hz, nperseg=length, noverlap=max(0, length - step))
    level = 10 * np.log10(power + 1e-20)
    rows = np.array_split(np.arange(len(level)), min(len(level), round(SPECTRUM)))
    small = np.stack([level[part].max(axis=0) for part in rows])[:, :COLUMNS]
    return _png((small - small.max()) / FLOOR_DB + 1)


def _png(values: npt.NDArray[np.float64]) -> bytes:
    """Values of 0 to 1 as shades, the last row on top."""
    file = io.BytesIO()
    pixels = np.uint8(255 * SHADES(np.clip(values[::-1], 0, 1))[..., :3])
    imsave(file, pixels, format="png", metadata=UNSIGNED)
    return file.getvalue()


def spectra(
    signals: Sequence[Signal], sample_rate_hz: float, channels: Sequence[str], label: str
) -> tuple[Markup, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean spectra of trials (channels, n): one line per channel and their median; frequencies and densities.

    Returns
    -------
    The picture; frequencies (f,) in Hz; power density (channels, f) in V^2/Hz, mean over trials.
    """
    length = min(*(signal.shape[1] for signal in signals), round(2 * sample_rate_hz))
    hertz, power = welch(np.asarray(signals[0], float), sample_rate_hz, nperseg=length, axis=1)
    for signal in signals[1:]:
        power = power + welch(np.asarray(signal, float), sample_rate_hz, nperseg=length, axis=1)[1]
    power = power / len(signals)
    kept = (hertz >= 1) & (hertz < min(sample_rate_hz / 2, 70))
    level = 10 * np.log10(power[:, kept] * 1e12 + 1e-12)  # dB re 1 uV^2/Hz
    width, height, left = 560.0, 240.0, 44.0
    low, high = (float(np.percentile(level, p)) for p in (0.5, 100))
    low, high = np.floor(low / 10) * 10, np.ceil(high / 10) * 10 if high > low else low + 10

    def point(f: float, db: float) -> tuple[float, float]:
        last = float(hertz[kept][-1])
        across = left + (width - left) * (f - 1) / max(last - 1, 1e-9)
        return across, 8 + height * (1 - (max(db, low) - low) / max(high - low, 1e-9))

    parts = []
    for db in np.arange(low, high + 1, 10):
        y = point(1, float(db))[1]
        parts += [line(left, y, width, y, "grid"), text(left - 6, y + 4, f"{db:g}", anchor="end")]
    for f in _ticks(float(hertz[kept][-1]), 7):
        if f >= 1:
            at = point(f, low)[0]
            parts.append(text(at, height + 24, f"{f:g}", anchor="middle"))
    for curve in level:
        points = [point(float(f), float(db)) for f, db in zip(hertz[kept], curve, strict=True)]
        parts.append(element("path", d=path(points), class_="channel"))
    middle = [point(float(f), float(db)) for f, db in zip(hertz[kept], np.median(level, axis=0), strict=True)]
    parts += [
        element("path", d=path(middle), class_="median"),
        text(width, height + 38, "Hz", anchor="end"),
        text(left, height + 38, f"dB re 1 µV²/Hz, {len(channels)} channels, their median in blue"),
    ]
    return svg(width + 12, height + 46, parts, label=label, class_="spectra"), hertz, power


def traces(signal: Signal, sample_rate_hz: float, channels: Sequence[str], label: str) -> Markup:
    """The first 4 s of up to 12 channels, one below the other, all at one scale."""
    chosen = np.linspace(0, len(channels) - 1, min(12, len(channels))).round().astype(int)
    some = np.asarray(signal, float)[chosen, : round(4 * sample_rate_hz)]
    some = some - np.median(some, axis=1, keepdims=True)
    scale = max(float(np.percentile(np.abs(some), 99)), 1e-12)
    width, left, row = WIDTH, 34.0, 17.0
    seconds = some.shape[1] / sample_rate_hz
    x = left + (width - left) * np.arange(some.shape[1]) / some.shape[1]
    parts = []
    for number, (place, values) in enumerate(zip(chosen, some, strict=True)):
        y = 14 + row * number
        drawn = np.clip(values / scale, -2, 2)
        parts += [
            text(left - 6, y + 4, channels[int(place)], anchor="end"),
            element("path", d=path(zip(x, y - row * 0.45 * drawn, strict=True)), class_="trace"),
        ]
    floor = 14 + row * len(chosen)
    parts += [
        text(left + (width - left) * second / seconds, floor + 8, f"{second:g} s", anchor="middle")
        for second in range(int(seconds) + 1)
    ]
    return svg(width + 12, floor + 14, parts, label=label, class_="traces")


def counts(table: Counts, columns: Sequence[str], label: str) -> Markup:
    """Cells of people (rows) by labels (columns), darker for more, each with its number."""
    rows = list(table)[:MOST_PEOPLE]
    most = max((n for row in table.values() for n in row.values()), default=1)
    left = 14 + 6.6 * min(24, max(map(len, rows), default=4))
    slot = max(CELL * 2, 7 * max(map(len, columns), default=4) + 8)
    parts = [
        text(left + slot * (place + 0.5), 14, column, "name", "middle")
        for place, column in enumerate(columns)
    ]
    for number, who in enumerate(rows):
        y = 22 + CELL * number
        parts.append(text(left - 8, y + 15, _cut(who), anchor="end"))
        for place, column in enumerate(columns):
            n = table[who].get(column, 0)
            step = 0 if n == 0 else 1 + min(6, round(6 * n / most))
            parts.append(
                element(
                    "rect", x=left + slot * place + 1, y=y + 1, width=slot - 2, height=CELL - 2, rx=2.0,
                    class_=f"cell c{step}",
                )
            )  # fmt: skip
            if n:
                parts.append(text(left + slot * (place + 0.5), y + 15, str(n), f"count n{step}", "middle"))
    return svg(
        left + slot * len(columns) + 4,
        26 + CELL * len(rows),
        parts,
        label=label,
        natural=True,
        class_="counts",
    )


def histogram(values: Sequence[float], unit: str, label: str) -> Markup:
    """How many recordings last how long."""
    known = np.asarray(values, float)
    heights, edges = np.histogram(known, bins=min(40, max(8, round(np.sqrt(len(known)) * 1.5))))
    width, height, left = 560.0, 130.0, 40.0
    span = max(float(edges[-1] - edges[0]), 1e-9)
    top = int(heights.max())
    parts = []
    for count, a, b in zip(heights, edges[:-1], edges[1:], strict=True):
        at, to = (left + (width - left) * float(edge - edges[0]) / span for edge in (a, b))
        tall = height * float(count) / top
        parts.append(
            element(
                "rect",
                x=at + 0.5,
                y=10 + height - tall,
                width=max(to - at - 1, 0.5),
                height=tall,
                class_="bar",
            )
        )
    floor = 10 + height
    parts += [line(left, floor, width, floor, "axis"), text(left - 6, 18, str(top), anchor="end")]
    for tick in _ticks(float(edges[-1]), 7):
        if tick >= edges[0]:
            at = left + (width - left) * (tick - float(edges[0])) / span
            parts += [
                line(at, floor, at, floor + 4, "axis"),
                text(at, floor + 17, f"{tick:g}", anchor="middle"),
            ]
    parts.append(text(width, floor + 32, unit, anchor="end"))
    return svg(width + 12, floor + 38, parts, label=label, class_="histogram")


def strength(v: float, chance: float, *, notable: bool) -> Markup:
    """A bar of V from 0 to 1, and a mark where chance ends."""
    width = 120.0
    return svg(
        width,
        14,
        [
            element("rect", x=0.0, y=4.0, width=width, height=6.0, rx=3.0, class_="ground"),
            element("rect", x=0.0, y=4.0, width=max(width * min(v, 1), 0.1), height=6.0, rx=3.0,
                    class_="bar told" if notable else "bar"),
            line(width * chance, 1, width * chance, 13, "chance"),
        ],
        label=f"V {v:.2f}, chance up to {chance:.2f}",
        natural=True,
        class_="strength",
    )  # fmt: skip


def _ticks(end: float, about: int) -> list[float]:
    """Round numbers from 0 to an end."""
    raw = end / max(about, 1)
    power = 10 ** np.floor(np.log10(max(raw, 1e-9)))
    step = next(float(power * m) for m in (1, 2, 5, 10) if power * m >= raw)
    return [round(step * n, 6) for n in range(int(end / step + 1e-9) + 1)]


def _cut(name: str, most: int = 24) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
