"""Emotion recognition from speech, trained with EEG: the science of JMML, usable alone in a notebook.

    corpus = load_corpus("~/corpora/nEMO")              a folder, its adapter guessed
    speech = extract_features(corpus)                   one row of named features with units per utterance
    task = make_task(speech, eeg)                       labels of both in one space
    split = make_split(task)                            speakers and EEG subjects left out together
    results = [run_fold(task, split, fold, method) for method in ("jmml", "one-hot") for fold in range(len(split))]
    compare(results, reference_method="one-hot")        UAR, intervals and tests over speakers

The names of ``__all__`` are stable (docs/python.md); all else is internal and may change without notice.
``import jmml`` loads none of them: each is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jmml._lazy import attach

if TYPE_CHECKING:
    from jmml._version import __version__
    from jmml.config import FeaturesConfig, MethodConfig
    from jmml.data.loading import LoadedCorpus, extract_features, load_corpus
    from jmml.data.splits import Split
    from jmml.data.synthetic.worlds import world_tables
    from jmml.data.table import FeatureTable
    from jmml.errors import JMMLError
    from jmml.evaluation.evidence import compare
    from jmml.experiment import FoldResult, run_fold
    from jmml.models.alignment import BarlowTwins, VICReg
    from jmml.models.correlation import canonical_correlations, correlation_loss
    from jmml.models.distillation import Distillation
    from jmml.models.edcc_cae import EDCCCAE
    from jmml.models.jec_ssl import JECSSL
    from jmml.models.linear_cca import LinearCCA
    from jmml.models.speech_only import Autoencoder, SupervisedContrastive, SupervisedMLP
    from jmml.recogniser import EmotionRecogniser
    from jmml.task import TaskData, make_split, make_task

__all__ = [
    "EDCCCAE",
    "JECSSL",
    "Autoencoder",
    "BarlowTwins",
    "Distillation",
    "EmotionRecogniser",
    "FeatureTable",
    "FeaturesConfig",
    "FoldResult",
    "JMMLError",
    "LinearCCA",
    "LoadedCorpus",
    "MethodConfig",
    "Split",
    "SupervisedContrastive",
    "SupervisedMLP",
    "TaskData",
    "VICReg",
    "__version__",
    "canonical_correlations",
    "compare",
    "correlation_loss",
    "extract_features",
    "load_corpus",
    "make_split",
    "make_task",
    "run_fold",
    "world_tables",
]

__getattr__, __dir__ = attach(
    __name__,
    {
        "__version__": "jmml._version",
        "EDCCCAE": "jmml.models.edcc_cae",
        "JECSSL": "jmml.models.jec_ssl",
        "Autoencoder": "jmml.models.speech_only",
        "BarlowTwins": "jmml.models.alignment",
        "Distillation": "jmml.models.distillation",
        "EmotionRecogniser": "jmml.recogniser",
        "FeatureTable": "jmml.data.table",
        "FeaturesConfig": "jmml.config",
        "FoldResult": "jmml.experiment",
        "JMMLError": "jmml.errors",
        "LinearCCA": "jmml.models.linear_cca",
        "LoadedCorpus": "jmml.data.loading",
        "MethodConfig": "jmml.config",
        "Split": "jmml.data.splits",
        "SupervisedContrastive": "jmml.models.speech_only",
        "SupervisedMLP": "jmml.models.speech_only",
        "TaskData": "jmml.task",
        "VICReg": "jmml.models.alignment",
        "canonical_correlations": "jmml.models.correlation",
        "compare": "jmml.evaluation.evidence",
        "correlation_loss": "jmml.models.correlation",
        "extract_features": "jmml.data.loading",
        "load_corpus": "jmml.data.loading",
        "make_split": "jmml.task",
        "make_task": "jmml.task",
        "run_fold": "jmml.experiment",
        "world_tables": "jmml.data.synthetic.worlds",
    },
)
