"""Environment variables: how long the end of a job waits for MLflow, how much is kept of stage 1 and of features."""

from __future__ import annotations

import math
import os
from pathlib import Path

from jmml.errors import ConfigError

PATIENCE = "JMML_TRACKING_PATIENCE"  # s for which the end of a sweep waits for a store that takes nothing
STAGE1_GB = "JMML_STAGE1_GB"
FEATURES_GB = "JMML_FEATURES_GB"
FEATURE_CACHE = "JMML_FEATURE_CACHE"  # a folder or an fsspec address that users share
_PATIENCE_S, _STAGE1_LIMIT_GB, _FEATURES_LIMIT_GB = 120.0, 20.0, 20.0


def patience() -> float:
    """How long (s) the end of a sweep waits for a tracking store that takes nothing.

    Raises
    ------
    ConfigError : ``JMML_TRACKING_PATIENCE`` is not a number of seconds.
    """
    return _setting(PATIENCE, _PATIENCE_S, "seconds")


def stage1_limit() -> int:
    """How many bytes of stage-1 results a finished sweep or study leaves; those not used for longest go.

    Raises
    ------
    ConfigError : ``JMML_STAGE1_GB`` is not a number of gigabytes.
    """
    return int(1e9 * _setting(STAGE1_GB, _STAGE1_LIMIT_GB, "gigabytes"))


def features_limit() -> int:
    """How many bytes of the feature cache an extraction leaves, if it is a folder; those not used for longest go.

    Raises
    ------
    ConfigError : ``JMML_FEATURES_GB`` is not a number of gigabytes.
    """
    return int(1e9 * _setting(FEATURES_GB, _FEATURES_LIMIT_GB, "gigabytes"))


def feature_cache(own: Path) -> Path | str:
    """Where features are kept: ``JMML_FEATURE_CACHE``, or the project's ``own`` folder."""
    named = os.environ.get(FEATURE_CACHE, "")
    if not named:
        return own
    return named if "://" in named else Path(named).expanduser()


def _setting(name: str, default: float, unit: str) -> float:
    """A number from an environment variable."""
    text = os.environ.get(name, "")
    try:
        value = float(text or default)
    except ValueError:
        value = -1.0
    if not 0 <= value < math.inf:
        raise ConfigError([f"'{text}', expected {unit}"], where=name)
    return value
