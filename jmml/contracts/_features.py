"""The contract of feature extractors."""

from __future__ import annotations

import numpy as np

from jmml.config import FeaturesConfig, validate
from jmml.contracts._clauses import require
from jmml.data.corpora import Recording
from jmml.data.features.extract import described, extract_one, extractor_digest
from jmml.data.table import CONTEXT_COLUMNS, INDEX_COLUMNS
from jmml.plugins import EXTRACTORS

_CHANNELS = ("F3", "F4", "Cz")
_RATE_HZ = {"speech": 16000.0, "eeg": 128.0}


def check_extractor(name: str, options: dict[str, bool | int | float | str | None] | None = None) -> None:
    """Every clause of a feature extractor, on noise and tones of eight seconds.

    Parameters
    ----------
    name : its registered name.
    options : as in ``features.<modality>.options``.

    Raises
    ------
    ContractError : the first clause that does not hold.
    """
    modality = EXTRACTORS[name]().modality
    require(modality in _RATE_HZ, "an extractor is of speech or EEG", modality)
    section = {"extractor": name, "options": options or {}}
    cfg = validate(FeaturesConfig, {modality: section})
    names, units = described(modality, _channels(modality), cfg)
    require(len(names) > 0 and len(set(names)) == len(names), "features have names, each its own", names)
    require(all(isinstance(unit, str) and unit for unit in units), "every feature has a unit", units)
    require(
        not set(names) & {*INDEX_COLUMNS, *CONTEXT_COLUMNS},
        "no feature has the name of an index column",
        names,
    )
    recordings = [_recording(modality, seed) for seed in range(3)]
    first = [extract_one(recording, modality, cfg, name).X for recording in recordings]
    for X in first:
        require(X.shape[1:] == (len(names),), f"features have the shape (rows, {len(names)})", X.shape)
    if modality == "speech":
        require(all(len(X) == 1 for X in first), "an utterance gives one row", [len(X) for X in first])
    require(not np.array_equal(first[0], first[1]), "recordings that differ have features that differ")
    again = [extract_one(recording, modality, cfg, name).X for recording in reversed(recordings)][::-1]
    same = all(a.tobytes() == b.tobytes() for a, b in zip(first, again, strict=True))
    require(same, "features of a recording do not depend on those extracted before it")
    plain = extractor_digest(modality, FeaturesConfig())
    require(extractor_digest(modality, cfg) != plain, "its features are not taken for those of the package")


def _channels(modality: str) -> tuple[str, ...]:
    return ("mono",) if modality == "speech" else _CHANNELS


def _recording(modality: str, seed: int) -> Recording:
    """Noise and a tone of eight seconds, at the level of speech or of EEG."""
    rate = _RATE_HZ[modality]
    rng, time = np.random.default_rng(seed), np.arange(int(8 * rate)) / rate
    tone = np.sin(2 * np.pi * (120 + 30 * seed if modality == "speech" else 10 + seed) * time)
    rows = np.stack([tone + 0.3 * rng.normal(size=len(time)) for _ in _channels(modality)])
    scale = 0.1 if modality == "speech" else 20e-6
    return Recording((scale * rows).astype(np.float32), rate, _channels(modality))
