"""Which channels of a recording are electrodes on the head, and what these are called."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Names that amplifiers and EDF exporters give to what is no EEG: anywhere in a name, and as the whole of it.
_WITHIN = (
    "EOG|ECG|EKG|EMG|GSR|PPG|BVP|RESP|PLETH|TRIGG?ER|STATUS|MARKER|GYRO|ACCEL|SPO2|SAO2|AIRFLOW|THORA|ABDO|"
    "TIME_?STAMP|BATTERY|COUNTER|INTERPOLATED|PHOTO|AUDIO|ANNOTATIONS|VALIDATION"
)
_WHOLE = "EXG|ERG|EDA|AUX|STI|DC|TEMP|EVENT|TRIG|MISC|ACC|MAG|PULSE|HR|SNORE|LIGHT|BODY"
_OTHER = re.compile(rf".*(?:{_WITHIN}).*|(?:{_WHOLE})[\s_-]*(?:\d+|[xyz])?", re.IGNORECASE)
_COMMON = re.compile(r"[\s-]*-\s*(?:REF|LE|AVG|AR|CAR|A1A2|M1M2|A1\+A2)$", re.IGNORECASE)
_NUMBERED = re.compile(r"(.+)-(\d+)")


def is_eeg(name: str) -> bool:
    """Whether a channel that nothing else tells apart is one of the EEG, by its name."""
    return _OTHER.fullmatch(name.strip()) is None


def electrode(name: str) -> str:
    """The electrode that a channel's name stands for.

    Example
    -------
    >>> [electrode(name) for name in ("EEG F3-REF", "Fc5.", "EEG Fpz-Cz")]
    ['F3', 'Fc5', 'Fpz-Cz']
    """
    plain = " ".join(name.split()).strip(".")
    if plain.upper().startswith("EEG ") and not plain[4:].isdigit():
        plain = plain[4:]
    return _COMMON.sub("", plain)


def repeated(names: Sequence[str]) -> list[str]:
    """Names that occur twice; MNE has numbered them by then (``Fp1-0``, ``Fp1-1``)."""
    seen, stems = set(names), [found[1] for name in names if (found := _NUMBERED.fullmatch(name))]
    twice = {name for name in names if list(names).count(name) > 1}
    twice |= {stem for stem in stems if f"{stem}-0" in seen and f"{stem}-1" in seen}
    return sorted(twice)
