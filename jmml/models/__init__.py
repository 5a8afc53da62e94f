"""Estimators: stage 1, stage 2 and their peers.

They are imported when they are asked for, as torch takes a second to load.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jmml.models.alignment import BarlowTwins, VICReg
    from jmml.models.distillation import Distillation
    from jmml.models.edcc_cae import EDCCCAE
    from jmml.models.jec_ssl import JECSSL
    from jmml.models.linear_cca import LinearCCA
    from jmml.models.speech_only import Autoencoder, SupervisedContrastive, SupervisedMLP

__all__ = [
    "EDCCCAE",
    "JECSSL",
    "Autoencoder",
    "BarlowTwins",
    "Distillation",
    "LinearCCA",
    "SupervisedContrastive",
    "SupervisedMLP",
    "VICReg",
]

_MODULES = {
    "EDCCCAE": "edcc_cae",
    "JECSSL": "jec_ssl",
    "Autoencoder": "speech_only",
    "BarlowTwins": "alignment",
    "Distillation": "distillation",
    "LinearCCA": "linear_cca",
    "SupervisedContrastive": "speech_only",
    "SupervisedMLP": "speech_only",
    "VICReg": "alignment",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
