"""The fitted product of one trial: stage 1, stage 2 and the classifier of one method, behind one interface.

    raw       x_s -> classifier
    mlp, ...  x_s -> encoder -> z -> classifier                                speech-only peers
    jec-ssl   x_s -> JEC-SSL -> u_s -> classifier
    jmml      x_s -> JEC-SSL -> u_s -> f_s -> z [, h_se(z)] -> classifier      trained with EEG, used without
    one-hot   as jmml, but one-hot labels stand in place of EEG: a label-only control

All methods are listed in :mod:`jmml.methods`. Inference takes features alone: no label and, unless asked to, no EEG.
Whatever is fitted enters the rows it was handed into the model's leakage certificate at that moment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args
from zlib import crc32

import numpy as np
from sklearn.pipeline import Pipeline

from jmml.config import MethodConfig, MethodName, Modality, digest, validate
from jmml.errors import ConfigError, ModelError
from jmml.evaluation.leakage import Certificate
from jmml.files import atomic_folder
from jmml.memo import Job, Memo, fit_stage1, obtain
from jmml.methods import Method, Setting, estimator_class, method
from jmml.models.capacity import parameters_of_stage1
from jmml.models.classifier import fit_classifier, make_classifier
from jmml.models.controls import control_pairs, second_view
from jmml.models.edcc_cae import EDCCCAE
from jmml.models.jec_ssl import JECSSL
from jmml.models.one_view import SpeechOnly
from jmml.models.persistence import load_classifier, load_state, save_classifier, save_state
from jmml.models.progress import Progress
from jmml.models.two_view import TwoView
from jmml.view import View

if TYPE_CHECKING:
    from jmml.methods import Stage2

Route = Literal["speech", "eeg", "both"]
Pairing = Callable[[int], np.ndarray]
FORMAT = 2
STAGE1_PARTS = ("scaler", "encoders", "partial least squares")


def derive_seed(seed: int, part: str) -> int:
    """A seed of its own for each random part of a trial, so that parts can change independently."""
    return int(np.random.SeedSequence([seed, crc32(part.encode())]).generate_state(1)[0] >> 1)


@dataclass
class _Output:
    """The stage-1 output of the very array ``X`` of a modality, once it has been asked for."""

    modality: Modality
    X: np.ndarray
    u: np.ndarray | None = None


@dataclass
class EmotionRecogniser:
    """One method, fitted on training groups.

    Attributes
    ----------
    classes : the C class names, in the order of every probability column.
    context : what inference needs to know about the features (settings, names, normalisation) and what
        traces the model to its origin; plain JSON values.
    history : per-epoch training metrics by part (``"jec_ssl/speech"``, ``"jec_ssl/eeg"``, ``"edcc_cae"``).
    certificate : the rows every fitted part was handed.
    """

    method: MethodName
    config: MethodConfig
    classes: tuple[str, ...]
    seed: int = 0
    device: str = "cpu"
    context: dict[str, object] = field(default_factory=dict)
    stage1: dict[Modality, JECSSL] = field(default_factory=dict)
    stage2: Stage2 | None = None
    heads: dict[Route, Pipeline] = field(default_factory=dict)
    history: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    certificate: Certificate = field(default_factory=Certificate)
    _outputs: list[_Output] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def spec(self) -> Method:
        """Specification of the method."""
        return method(self.method)

    @property
    def routes(self) -> tuple[Route, ...]:
        """Inference routes this method offers once fitted."""
        return ("speech", "eeg", "both") if self.method == "jmml" else ("speech",)

    @property
    def imagines(self) -> bool:
        """Whether the classifier also sees the other modality as the cross decoder imagines it."""
        return isinstance(self.stage2, EDCCCAE) and self.config.stage2.imagined and self.stage2.lam_x > 0

    # ------------------------------------------------------------------ fitting

    def fit(
        self,
        speech: View,
        eeg: View | None = None,
        *,
        memo: Memo | None = None,
    ) -> EmotionRecogniser:
        """Fit every part; see :meth:`iter_fit` for the arguments."""
        for _ in self.iter_fit(speech, eeg, memo=memo):
            pass
        return self

    def iter_fit(
        self,
        speech: View,
        eeg: View | None = None,
        *,
        held_out: tuple[np.ndarray, np.ndarray] | None = None,
        memo: Memo | None = None,
        start: Progress | None = None,
    ) -> Iterator[dict[str, float]]:
        """Fit stage 1 at once, then yield the metrics of each stage-2 epoch; heads are fitted last.

        Parameters
        ----------
        speech, eeg : training samples, classes counted in ``0..C-1``; EEG is needed by methods that learn from it.
        held_out : paired features (n, D_s), (n, D_e) on which the correlation is watched, never fitted.
        memo : stage-1 models by the digest of their data, configuration and seed, shared between methods.
        start : the :meth:`progress` of a model that was left after an epoch of stage 2; the epochs after it follow.
        """
        views = self._stage1_views(speech, eeg)
        found = obtain(memo, self.stage1_jobs(speech, eeg))
        for modality, view in views.items():
            for part in STAGE1_PARTS:
                self._saw(f"jec_ssl/{modality}/{part}", **{modality: view})
            self.stage1[modality] = found[self._stage1_key(modality, view)]
            self.history[f"jec_ssl/{modality}"] = list(self.stage1[modality].history_)
        if self.spec.build is not None:
            seed = derive_seed(self.seed, self.spec.part)
            self.stage2 = self.spec.build(
                Setting(self.config, seed, self.device, speech.X.shape[1], len(self.classes))
            )
            history = self.history.setdefault(self.spec.part, [])
            if start is not None:
                history += start[1]["history"]
            if isinstance(self.stage2, SpeechOnly):
                self._saw(f"{self.spec.part}/networks", speech=speech)
                epochs = self.stage2.iter_fit(speech.X, speech.y, start=start)
            else:
                epochs = self._align(self.stage2, speech, eeg, held_out, start)
            for metrics in epochs:
                history.append(metrics)
                yield metrics
        self.fit_heads(speech, eeg)

    def _align(
        self,
        estimator: TwoView,
        speech: View,
        eeg: View | None,
        held_out: tuple[np.ndarray, np.ndarray] | None,
        start: Progress | None,
    ) -> Iterator[dict[str, float]]:
        """Train on pairs of stage-1 outputs: of speech, and of EEG or what a control puts in its place."""
        u = self._stage1_output("speech", speech.X)
        learns_from = {"speech": speech} | ({"eeg": eeg} if self.spec.eeg and eeg is not None else {})
        for part in ("pairing", "networks"):
            self._saw(f"{self.spec.part}/{part}", **learns_from)
        second, y_second = self._second_view(eeg)
        probe = None
        if held_out is not None and self.spec.eeg and self.spec.control in (None, "frozen-pairs"):
            probe = (
                self._stage1_output("speech", held_out[0]),
                self._stage1_output("eeg", held_out[1]),
            )
        pairs = self.pairs(speech, eeg)
        return estimator.iter_fit(u, second, speech.y, y_second, pairs=pairs, held_out=probe, start=start)

    def progress(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """State for :meth:`iter_fit`, taken between two epochs of stage 2; stage 1 is fitted, or found, again."""
        if self.stage2 is None:
            raise ModelError(f"method '{self.method}' has no training under way")
        return self.stage2.progress()

    def _second_view(self, eeg: View | None) -> tuple[np.ndarray, np.ndarray]:
        """Rows and classes of what stage 2 learns from beside speech."""
        if self.spec.eeg and eeg is not None:
            u, y = self._stage1_output("eeg", eeg.X), eeg.y
        else:
            u, y = np.zeros((1, self.config.stage1.r)), np.zeros(1, dtype=np.int64)
        if self.spec.control is None:
            return u, y
        return second_view(
            self.spec.control,
            u,
            y,
            n_classes=len(self.classes),
            k=self.config.stage2.k,
            seed=derive_seed(self.seed, "second view"),
        )

    def pairs(self, speech: View, eeg: View | None) -> Pairing:
        """Row of the second view for each speech row, by epoch; reads training labels or trial ids alone."""
        y = eeg.y if self.spec.control is None and eeg is not None else self._second_view(eeg)[1]
        return control_pairs(
            self.spec.control,
            self.config.stage2.pairing,
            speech.y,
            y,
            seed=derive_seed(self.seed, "pairing"),
            pair_ids=None if eeg is None else (speech.recordings, eeg.recordings),
        )

    def fit_heads(
        self, speech: View, eeg: View | None = None, *, routes: tuple[Route, ...] | None = None
    ) -> None:
        """Fit one classifier per inference route on the embeddings as they are now."""
        for route in routes or self.routes:
            views: dict[Modality, View] = {"speech": speech}
            if route != "speech":
                if eeg is None:
                    raise ModelError(f"route '{route}' needs EEG to be fitted")
                views = {"eeg": eeg}
                if route == "both":
                    views = {"speech": speech, "eeg": eeg.rows(self.pairs(speech, eeg)(0))}
            embedding = self.embed(**{f"X_{modality}": view.X for modality, view in views.items()})
            y = next(iter(views.values())).y
            head = make_classifier(self.config.classifier, seed=derive_seed(self.seed, f"classifier/{route}"))
            self._saw(f"classifier/{route}", **views)
            self.heads[route] = fit_classifier(head, embedding, y)

    # ------------------------------------------------------------------ stage 1

    def stage1_jobs(self, speech: View, eeg: View | None = None) -> dict[str, Job]:
        """The stage-1 models that a fit on these views needs: how to make each, by the key under which it is shared.

        Raises :class:`ModelError` where the method learns from EEG and there is none.
        """
        return {
            self._stage1_key(modality, view): partial(
                fit_stage1, self._stage1_options(modality), self.device, view
            )
            for modality, view in self._stage1_views(speech, eeg).items()
        }

    def _stage1_views(self, speech: View, eeg: View | None) -> dict[Modality, View]:
        """The views that go through stage 1."""
        views: dict[Modality, View] = {}
        if self.spec.input == "stage1":
            views["speech"] = speech
        if self.spec.eeg:
            if eeg is None:
                raise ModelError(
                    f"method '{self.method}' needs EEG for training", fix="set task.eeg in params.yaml"
                )
            views["eeg"] = eeg
        return views

    def _stage1_options(self, modality: Modality) -> dict[str, Any]:
        return {**self.config.stage1.model_dump(), "seed": derive_seed(self.seed, f"jec_ssl/{modality}")}

    def _stage1_key(self, modality: Modality, view: View) -> str:
        kind = self.device.partition(":")[0]
        return digest([modality, self._stage1_options(modality), kind, view.content])

    def keep_outputs(self, modality: Modality, *arrays: np.ndarray) -> None:
        """Compute the stage-1 outputs of these very arrays once: for rows that are embedded after every epoch.

        Whoever calls this must leave the arrays, and stage 1 once it is fitted, as they are.
        """
        self._outputs += [_Output(modality, X) for X in arrays]

    def _stage1_output(self, modality: Modality, X: np.ndarray) -> np.ndarray:
        for kept in self._outputs:
            if kept.X is X and kept.modality == modality:
                if kept.u is None:
                    kept.u = self.stage1[modality].transform(X)
                return kept.u
        return self.stage1[modality].transform(X)

    def _saw(self, name: str, **views: View) -> None:
        for modality in get_args(Modality):
            if modality in views:
                view = views[modality]
                self.certificate.add(name, modality, view.groups, ids=view.ids)

    def parts(self) -> list[tuple[str, Modality]]:
        """Every fitted object and the modality it was fitted on: what a complete certificate names."""
        found: list[tuple[str, Modality]] = []
        for modality in self.stage1:
            found += [(f"jec_ssl/{modality}/{part}", modality) for part in STAGE1_PARTS]
        learns_from: list[Modality] = ["speech", "eeg"] if self.spec.eeg else ["speech"]
        if isinstance(self.stage2, SpeechOnly):
            found.append((f"{self.spec.part}/networks", "speech"))
        elif self.stage2 is not None:
            for part in ("pairing", "networks"):
                found += [(f"{self.spec.part}/{part}", modality) for modality in learns_from]
        for route in self.heads:
            modalities: list[Modality] = ["speech", "eeg"] if route == "both" else [route]
            found += [(f"classifier/{route}", modality) for modality in modalities]
        return found

    def n_parameters(self) -> int:
        """Trained parameters on the path from speech features to the code, the classifier not counted."""
        total = 0 if self.stage2 is None else self.stage2.n_parameters()
        if "speech" in self.stage1:
            width = len(self.stage1["speech"].scaler_.mean)
            total += parameters_of_stage1(width, len(self.classes), self.config.stage1)
        return total

    # ------------------------------------------------------------------ inference

    def embed(self, X_speech: np.ndarray | None = None, X_eeg: np.ndarray | None = None) -> np.ndarray:
        """Input of the classifier, (n, d): features, stage-1 outputs or shared codes, by method."""
        X_speech, X_eeg = (None if X is None else np.asarray(X, dtype=np.float64) for X in (X_speech, X_eeg))
        if self.spec.build is None or isinstance(self.stage2, SpeechOnly):
            if X_speech is None or X_eeg is not None:
                raise ModelError(f"method '{self.method}' takes speech alone")
            code = X_speech if self.spec.input == "features" else self._stage1_output("speech", X_speech)
            return code if self.stage2 is None else self.stage2.transform(code)
        if self.stage2 is None:
            raise ModelError("the model is not fitted")
        given: dict[str, np.ndarray] = {}
        if X_speech is not None:
            given["X_speech"] = self._stage1_output("speech", X_speech)
        if X_eeg is not None:
            if "eeg" not in self.stage1:
                raise ModelError(f"method '{self.method}' was trained without EEG and takes speech alone")
            given["X_eeg"] = self._stage1_output("eeg", X_eeg)
        parts = [self.stage2.transform(**given)]
        if self.imagines and isinstance(self.stage2, EDCCCAE):
            parts += [self.stage2.imagine(**{name: u}) for name, u in given.items()]
        return np.concatenate(parts, axis=1)

    def predict_proba(
        self, X_speech: np.ndarray | None = None, X_eeg: np.ndarray | None = None
    ) -> np.ndarray:
        """Class probabilities (n, C) from speech alone, EEG alone, or both row by row."""
        if X_speech is None and X_eeg is None:
            raise ModelError("nothing to predict from", expected="speech or EEG features")
        route: Route = "speech" if X_eeg is None else "eeg" if X_speech is None else "both"
        if route not in self.heads:
            raise ModelError(
                f"the model cannot predict from {route}",
                expected=f"one of: {', '.join(self.heads) or 'none'}",
            )
        for name, X, modality in (("speech", X_speech, "speech"), ("EEG", X_eeg, "eeg")):
            names = self.feature_names(modality)
            if X is not None and names and X.shape[1:] != (len(names),):
                raise ModelError(f"{name} features of shape {X.shape}", expected=f"(n, {len(names)})")
        head = self.heads[route]
        return np.asarray(head.predict_proba(self.embed(X_speech, X_eeg)), dtype=np.float64)

    def predict(self, X_speech: np.ndarray | None = None, X_eeg: np.ndarray | None = None) -> np.ndarray:
        """Most probable class name per row."""
        names = np.array(self.classes, dtype=object)
        chosen: np.ndarray = np.take(names, self.predict_proba(X_speech, X_eeg).argmax(axis=1))
        return chosen

    def feature_names(self, modality: str = "speech") -> tuple[str, ...]:
        """Names of the features this model was trained on, empty when they were not recorded."""
        recorded = self.context.get(f"{modality}_feature_names")
        return tuple(str(name) for name in recorded) if isinstance(recorded, list) else ()

    # ------------------------------------------------------------------ persistence

    def save(self, folder: Path | str) -> None:
        """Write ``recogniser.json``, one safetensors file per network and one skops file per classifier.

        A model that is there is replaced as a whole.

        Raises
        ------
        ModelError : the folder holds something else.
        """
        folder = Path(folder)
        if (
            folder.exists()
            and not (folder / "recogniser.json").is_file()
            and (not folder.is_dir() or any(folder.iterdir()))
        ):
            raise ModelError(
                "holds something else than a model",
                where=folder,
                expected="an empty or a new folder, or a model's",
            )
        with atomic_folder(folder) as target:
            for modality, model in self.stage1.items():
                save_state(target, f"jec_ssl_{modality}", *model.state())
            if self.stage2 is not None:
                save_state(target, "stage2", *self.stage2.state())
            for route, head in self.heads.items():
                save_classifier(target / f"classifier_{route}.skops", head)
            card = {
                "format": FORMAT,
                "method": self.method,
                "classes": list(self.classes),
                "seed": self.seed,
                "config": self.config.model_dump(mode="json"),
                "stage1": sorted(self.stage1),
                "stage2": self.stage2 is not None,
                "heads": sorted(self.heads),
                "context": self.context,
                "certificate": json.loads(self.certificate.to_json()),
                "history": self.history,
            }
            (target / "recogniser.json").write_text(json.dumps(card, indent=1, sort_keys=True) + "\n")

    @classmethod
    def load(cls, folder: Path | str, *, device: str = "cpu") -> EmotionRecogniser:
        """Read what :meth:`save` wrote; predictions are bit-identical to those of the saved model."""
        folder = Path(folder)
        path = folder / "recogniser.json"
        try:
            card = json.loads(path.read_text())
        except FileNotFoundError:
            raise ModelError(
                "is not a model folder", where=folder, expected="recogniser.json in it"
            ) from None
        except ValueError as error:
            raise ModelError(f"is damaged: {error}", where=path) from None
        if card.get("format") != FORMAT:
            raise ModelError(f"unknown format {card.get('format')!r}", where=path, expected=str(FORMAT))
        try:
            config = validate(MethodConfig, card["config"], where=path)
        except ConfigError as error:
            raise ModelError(f"was made by an incompatible version: {error}", where=path) from None
        return cls(
            method=card["method"],
            config=config,
            classes=tuple(card["classes"]),
            seed=card["seed"],
            device=device,
            context=card["context"],
            stage1={
                m: JECSSL.from_state(*load_state(folder, f"jec_ssl_{m}"), device=device)
                for m in card["stage1"]
            },
            stage2=_load_stage2(folder, method(card["method"]), device) if card["stage2"] else None,
            heads={route: load_classifier(folder / f"classifier_{route}.skops") for route in card["heads"]},
            history=card["history"],
            certificate=Certificate.from_json(json.dumps(card.get("certificate")), where=path),
        )


def _load_stage2(folder: Path, row: Method, device: str) -> Stage2:
    arrays, meta = load_state(folder, "stage2")
    kind = estimator_class(str(meta.get("model")), row)
    if kind is None:
        raise ModelError(
            f"unknown estimator {meta.get('model')!r}",
            where=folder,
            expected="one of the package's, or that of a method of this project",
        )
    return kind.from_state(arrays, meta, device=device)
