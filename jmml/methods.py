"""Every method the project compares, in one table: what it is, what it learns from, and what it trains.

    kind      what it is for
    peer      what one would use instead of JMML
    ours      the method itself
    control   JMML with something else in place of EEG: the label alone, noise, shuffled labels, frozen pairs

A method maps speech features x to an embedding, from which one classifier, the same for all, recognises. Between the
two stands at most one trained estimator, on the features themselves or on the stage-1 output u. Speech-only peers on
the features get as many parameters, on the path from x to the code, as JMML has (:mod:`jmml.models.capacity`); two-view
peers and controls have JMML's own encoders.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from jmml.config import MethodConfig
from jmml.errors import ConfigError
from jmml.models.controls import known_control
from jmml.plugins import METHODS as _METHODS
from jmml.plugins import Registry

if TYPE_CHECKING:  # names are checked in settings, which need not wait seconds for torch
    from jmml.models.one_view import SpeechOnly
    from jmml.models.two_view import TwoView

    Stage2 = TwoView | SpeechOnly

METHODS: Registry[Method] = _METHODS
Kind = Literal["peer", "ours", "control"]
Input = Literal["features", "stage1"]


@cache
def _estimators() -> dict[str, type[Stage2]]:
    """The package's estimators by class name, as saved models name them."""
    from jmml.models.alignment import BarlowTwins, VICReg
    from jmml.models.distillation import Distillation
    from jmml.models.edcc_cae import EDCCCAE
    from jmml.models.linear_cca import LinearCCA
    from jmml.models.speech_only import Autoencoder, SupervisedContrastive, SupervisedMLP

    kinds: tuple[type[Stage2], ...] = (
        Autoencoder, SupervisedMLP, SupervisedContrastive, LinearCCA, EDCCCAE, Distillation, BarlowTwins, VICReg,
    )  # fmt: skip
    return {kind.__name__: kind for kind in kinds}


@dataclass(frozen=True)
class Setting:
    """Arguments for building an estimator: the configuration, its seed and device, D features, C classes."""

    config: MethodConfig
    seed: int
    device: str
    n_features: int
    n_classes: int


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Attributes
    ----------
    label, summary : its name in tables, and a line about it.
    input : what the trained estimator (or, without one, the classifier) takes.
    part : name of the estimator in histories and certificates; "" where there is none.
    build : makes the estimator; None where the classifier follows directly.
    control : what stands in place of EEG; None for EEG itself or no second view at all.
    two_view : whether the estimator is trained on pairs.
    eeg : whether EEG recordings take part in training.
    matched : whether its path from speech to the code has JMML's number of parameters.
    closed_form : whether the estimator is fitted in one step, without epochs.
    estimator : the class of what ``build`` makes, for methods outside the package: by it a saved model is read.
    """

    name: str
    label: str
    kind: Kind
    summary: str
    input: Input = "stage1"
    part: str = ""
    build: Callable[[Setting], Stage2] | None = None
    control: str | None = None
    two_view: bool = False
    eeg: bool = False
    matched: bool = True
    closed_form: bool = False
    estimator: type[Stage2] | None = None

    @property
    def label_only(self) -> bool:
        """Whether it stands for EEG with no more than labels and class means: what a claim about EEG has to beat."""
        return self.control is not None and known_control(self.control).label_only

    def reads(self) -> tuple[str, ...]:
        """Sections of :class:`~jmml.config.MethodConfig` that change this method."""
        if self.build is None:
            return ("classifier",) if self.input == "features" else ("stage1", "classifier")
        return ("stage1", "stage2", "peers", "classifier")


def _common(s: Setting) -> dict[str, Any]:
    stage2 = s.config.stage2.model_dump(include={"k", "hidden", "epochs", "batch_size", "lr", "weight_decay"})
    return stage2 | {"seed": s.seed, "device": s.device}


def speech_only(kind: str | type[SpeechOnly], *own: str) -> Callable[[Setting], Stage2]:
    """Builds a speech-only estimator of JMML's capacity.

    Parameters
    ----------
    kind : a class, or the name of one of the package's.
    own : those settings of ``method.peers`` that it takes.
    """

    def build(s: Setting) -> Stage2:
        from jmml.models.capacity import matched_hidden

        hidden = matched_hidden(s.n_features, s.n_classes, s.config)
        return _class(kind)(**{**_common(s), "hidden": hidden}, **_peers(s, own))

    return build


def two_view(kind: str | type[TwoView], *own: str) -> Callable[[Setting], Stage2]:
    """Builds an estimator over pairs of stage-1 outputs; ``kind`` and ``own`` as in :func:`speech_only`."""
    return lambda s: _class(kind)(**_common(s), **_peers(s, own))


def _class(kind: str | type[Stage2]) -> Callable[..., Stage2]:
    return _estimators()[kind] if isinstance(kind, str) else kind


def _correlated(**fixed: float) -> Callable[[Setting], Stage2]:
    """E-DCC-CAE with some weights of its loss fixed."""

    def build(s: Setting) -> Stage2:
        weights = s.config.stage2.model_dump(
            include={"lam_r", "lam_x", "lam_c", "lam_y", "ridge", "smoothing"}
        )
        return _class("EDCCCAE")(**_common(s), **{**weights, **fixed})

    return build


def _linear(s: Setting) -> Stage2:
    return _class("LinearCCA")(k=s.config.stage2.k, ridge=s.config.stage2.ridge, seed=s.seed)


def _peers(s: Setting, own: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(s.config.peers, name) for name in own}


def _pairs(name: str, label: str, summary: str, part: str, build: Any, **more: Any) -> Method:
    return Method(
        name, label, "peer", summary, part=part, build=build, two_view=True, **{"eeg": True, **more}
    )


def _instead(name: str, label: str, summary: str, *, eeg: bool) -> Method:
    return Method(
        name, label, "control", summary, part="edcc_cae", build=_correlated(), control=name, two_view=True,
        eeg=eeg,
    )  # fmt: skip


def _speech(name: str, label: str, summary: str, build: Any) -> Method:
    return Method(name, label, "peer", summary, input="features", part=name.replace("-", "_"), build=build)


_TABLE: tuple[Method, ...] = (
    Method("raw", "raw speech", "peer", "the classifier on the features", input="features", matched=False),
    _speech("autoencoder", "autoencoder", "speech alone, no label: reconstruct x", speech_only("Autoencoder")),
    _speech("mlp", "supervised MLP", "speech and labels: cross-entropy", speech_only("SupervisedMLP")),
    _speech(
        "supervised-contrastive",
        "supervised contrastive",
        "speech and labels: same class near, other classes far (Khosla et al. 2020)",
        speech_only("SupervisedContrastive", "temperature"),
    ),
    Method("jec-ssl", "JEC-SSL only", "peer", "stage 1 of JMML without stage 2", matched=False),
    _pairs(
        "linear-cca", "linear CCA", "canonical correlation analysis of u_s and u_e", "linear_cca", _linear,
        matched=False, closed_form=True,
    ),
    _pairs("dcca", "DCCA", "correlation alone (Andrew et al. 2013)", "edcc_cae",
           _correlated(lam_r=0.0, lam_x=0.0, lam_c=1.0)),
    _pairs("dccae", "DCCAE", "correlation and self reconstruction (Wang et al. 2015)", "edcc_cae",
           _correlated(lam_x=0.0)),
    _pairs("dcc-cae", "DCC-CAE", "correlation and cross reconstruction", "edcc_cae", _correlated(lam_r=0.0)),
    _pairs(
        "distillation", "distillation", "an EEG teacher's soft labels for a speech student (Hinton et al. 2015)",
        "distillation",
        two_view("Distillation", "distillation_weight", "distillation_temperature"),
    ),
    _pairs("barlow-twins", "Barlow Twins", "decorrelated, equal codes (Zbontar et al. 2021)", "barlow_twins",
           two_view("BarlowTwins", "barlow_weight")),
    _pairs(
        "vicreg", "VICReg", "invariance, variance, covariance of the codes (Bardes et al. 2022)", "vicreg",
        two_view("VICReg", "vicreg_invariance", "vicreg_variance", "vicreg_covariance"),
    ),
    Method("jmml", "JMML", "ours", "JEC-SSL, then E-DCC-CAE with EEG", part="edcc_cae", build=_correlated(),
           two_view=True, eeg=True),
    _instead("one-hot", "one-hot labels", "the label in place of EEG", eeg=False),
    _instead("prototypes", "random prototypes", "one random vector per class in place of EEG", eeg=False),
    _instead("class-means", "EEG class means", "the mean of each class in place of its EEG", eeg=True),
    _instead("noise", "Gaussian noise", "noise in place of EEG", eeg=True),
    _instead("shuffled-labels", "shuffled labels", "EEG paired across classes", eeg=True),
    _instead("frozen-pairs", "frozen pairs", "EEG, the pairs drawn once", eeg=True),
)  # fmt: skip


def register_method(row: Method) -> Method:
    """Enter a method under its name.

    Raises
    ------
    ConfigError : the name is taken or is not that of the module (``methods/my_peer.py``: ``my-peer``), the row
        contradicts itself, or it names a control that does not exist.
    """
    problems = []
    if row.kind == "ours":
        problems.append(f"kind: expected 'peer' or 'control', got '{row.kind}'; 'ours' is JMML itself")
    if (row.build is None) != (not row.part):
        problems.append("build and part: expected both or none")
    if row.build is not None and row.estimator is None:
        problems.append("estimator: missing; a saved model is read by its class")
    if (row.control is None) != (row.kind != "control"):
        problems.append("control: expected for kind 'control', and for no other")
    if row.control is not None:
        known_control(row.control)
    if problems:
        raise ConfigError(problems, where=f"method '{row.name}'")
    return METHODS.register(row.name, row)


for _row in _TABLE:
    METHODS.register(_row.name, _row)


def method(name: str) -> Method:
    """The row of ``name``; :class:`ProtocolError` with the valid names for any other."""
    row: Method = METHODS[name]
    return row


def of_kind(kind: Kind) -> tuple[str, ...]:
    """Names of the methods of one kind, those of the project included."""
    return tuple(name for name, row in METHODS.items() if row.kind == kind)


def label_only(among: Collection[str] | None = None) -> tuple[str, ...]:
    """Names of the label-only controls, in their order; ``among`` restricts them, and what else is loaded."""
    names = [name for name in METHODS if among is None or name in among]
    return tuple(name for name in names if method(name).label_only)


def estimator_class(name: str, row: Method) -> type[Stage2] | None:
    """The class of a saved estimator of the method ``row``, by its name; None for one that is not known."""
    if row.estimator is not None and row.estimator.__name__ == name:
        return row.estimator
    return _estimators().get(name)
