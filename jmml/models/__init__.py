"""Estimators (stage 1, stage 2 and their peers), the bases of methods of your own, and the correlation loss.

They are imported when they are asked for, as torch takes a second to load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jmml._lazy import attach

if TYPE_CHECKING:
    from jmml.models.alignment import BarlowTwins, VICReg
    from jmml.models.correlation import canonical_correlations, correlation_loss
    from jmml.models.distillation import Distillation
    from jmml.models.edcc_cae import EDCCCAE
    from jmml.models.jec_ssl import JECSSL
    from jmml.models.linear_cca import LinearCCA
    from jmml.models.one_view import SpeechOnly
    from jmml.models.speech_only import Autoencoder, SupervisedContrastive, SupervisedMLP
    from jmml.models.two_view import TwoView

__all__ = [
    "EDCCCAE",
    "JECSSL",
    "Autoencoder",
    "BarlowTwins",
    "Distillation",
    "LinearCCA",
    "SpeechOnly",
    "SupervisedContrastive",
    "SupervisedMLP",
    "TwoView",
    "VICReg",
    "canonical_correlations",
    "correlation_loss",
]

__getattr__, __dir__ = attach(
    __name__,
    {
        "EDCCCAE": "jmml.models.edcc_cae",
        "JECSSL": "jmml.models.jec_ssl",
        "Autoencoder": "jmml.models.speech_only",
        "BarlowTwins": "jmml.models.alignment",
        "Distillation": "jmml.models.distillation",
        "LinearCCA": "jmml.models.linear_cca",
        "SpeechOnly": "jmml.models.one_view",
        "SupervisedContrastive": "jmml.models.speech_only",
        "SupervisedMLP": "jmml.models.speech_only",
        "TwoView": "jmml.models.two_view",
        "VICReg": "jmml.models.alignment",
        "canonical_correlations": "jmml.models.correlation",
        "correlation_loss": "jmml.models.correlation",
    },
)
