"""The fitted product of one trial: stage 1, stage 2 and the classifier of one method, behind one interface.

    raw       x_s -> classifier
    jec-ssl   x_s -> JEC-SSL -> u_s -> classifier
    jmml      x_s -> JEC-SSL -> u_s -> f_s -> z [, h_se(z)] -> classifier      trained with EEG, used without
    one-hot   as jmml, but one-hot labels stand in place of EEG: the label-only control

Inference takes features alone: no label and, unless asked to, no EEG.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Literal
from zlib import crc32

import numpy as np
from sklearn.base import ClassifierMixin

from jmml.config import MethodConfig, MethodName, Modality, digest, validate
from jmml.errors import ConfigError, ModelError
from jmml.files import atomic_folder
from jmml.models.classifier import fit_classifier, make_classifier
from jmml.models.edcc_cae import EDCCCAE
from jmml.models.jec_ssl import JECSSL
from jmml.models.persistence import load_classifier, load_state, save_classifier, save_state

Route = Literal["speech", "eeg", "both"]
Pairing = Callable[[int], np.ndarray]
FORMAT = 1


def derive_seed(seed: int, part: str) -> int:
    """A seed of its own for each random part of a trial, so that parts can change independently."""
    return int(np.random.SeedSequence([seed, crc32(part.encode())]).generate_state(1)[0] >> 1)


def one_hot_view(n_classes: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The label-only control's second view: class numbers (C,) and one-hot codes (C, w), w the multiple of C from k on.

    A view must be as wide as the shared code. Repeating the code, rather than padding it with zeros, adds no
    information and leaves the mean reconstruction error per column as it is.
    """
    return np.arange(n_classes), np.tile(np.eye(n_classes), -(-k // n_classes))


@dataclass
class EmotionRecogniser:
    """One method, fitted on training groups.

    Attributes
    ----------
    classes : the C class names, in the order of every probability column.
    context : what inference needs to know about the features (settings, names, normalisation) and what
        traces the model to its origin; plain JSON values.
    history : per-epoch training metrics by part (``"jec_ssl/speech"``, ``"jec_ssl/eeg"``, ``"edcc_cae"``).
    """

    method: MethodName
    config: MethodConfig
    classes: tuple[str, ...]
    seed: int = 0
    device: str = "cpu"
    context: dict[str, object] = field(default_factory=dict)
    stage1: dict[Modality, JECSSL] = field(default_factory=dict)
    stage2: EDCCCAE | None = None
    heads: dict[Route, ClassifierMixin] = field(default_factory=dict)
    history: dict[str, list[dict[str, float]]] = field(default_factory=dict)

    @property
    def routes(self) -> tuple[Route, ...]:
        """Inference routes this method offers once fitted."""
        return ("speech", "eeg", "both") if self.method == "jmml" else ("speech",)

    # ------------------------------------------------------------------ fitting

    def fit(
        self,
        speech: tuple[np.ndarray, np.ndarray],
        eeg: tuple[np.ndarray, np.ndarray] | None = None,
        *,
        pairing: Pairing | None = None,
        memo: MutableMapping[str, JECSSL] | None = None,
    ) -> EmotionRecogniser:
        """Fit every part; see :meth:`iter_fit` for the arguments."""
        for _ in self.iter_fit(speech, eeg, pairing=pairing, memo=memo):
            pass
        return self

    def iter_fit(
        self,
        speech: tuple[np.ndarray, np.ndarray],
        eeg: tuple[np.ndarray, np.ndarray] | None = None,
        *,
        pairing: Pairing | None = None,
        held_out: tuple[np.ndarray, np.ndarray] | None = None,
        memo: MutableMapping[str, JECSSL] | None = None,
    ) -> Iterator[dict[str, float]]:
        """Fit stage 1 at once, then yield the metrics of each stage-2 epoch; heads are fitted last.

        Parameters
        ----------
        speech, eeg : features (n, D) and class numbers (n,) in ``0..C-1``; EEG is needed by ``jmml`` alone.
        pairing : epoch -> row of the second view for each speech row (``jmml.models.pairing``).
        held_out : paired features (n, D_s), (n, D_e) on which the correlation is watched, never fitted.
        memo : stage-1 models by the digest of their data, configuration and seed, shared between methods.
        """
        X, y = speech
        if self.method != "raw":
            self.stage1["speech"] = self._fit_stage1("speech", X, y, memo)
        if self.method in ("jmml", "one-hot"):
            if pairing is None:
                raise ModelError(f"method '{self.method}' needs a pairing")
            if self.method == "jmml":
                if eeg is None:
                    raise ModelError(
                        "method 'jmml' needs EEG for training", fix="set task.eeg in params.yaml"
                    )
                self.stage1["eeg"] = self._fit_stage1("eeg", *eeg, memo)
                second, y_second = self.stage1["eeg"].transform(eeg[0]), eeg[1]
            else:
                y_second, second = one_hot_view(len(self.classes), self.config.stage2.k)
            codes = None
            if held_out is not None and self.method == "jmml":
                codes = (
                    self.stage1["speech"].transform(held_out[0]),
                    self.stage1["eeg"].transform(held_out[1]),
                )
            options = self.config.stage2.model_dump(exclude={"pairing", "imagined"})
            self.stage2 = EDCCCAE(**options, seed=derive_seed(self.seed, "edcc_cae"), device=self.device)
            history = self.history.setdefault("edcc_cae", [])
            u = self.stage1["speech"].transform(X)
            for metrics in self.stage2.iter_fit(u, second, y, y_second, pairs=pairing, held_out=codes):
                history.append(metrics)
                yield metrics
        self.fit_heads(speech, eeg, pairing=pairing)

    def fit_heads(
        self,
        speech: tuple[np.ndarray, np.ndarray],
        eeg: tuple[np.ndarray, np.ndarray] | None = None,
        *,
        pairing: Pairing | None = None,
        routes: tuple[Route, ...] | None = None,
    ) -> None:
        """Fit one classifier per inference route on the embeddings as they are now."""
        for route in routes or self.routes:
            X_speech: np.ndarray | None = speech[0]
            X_eeg: np.ndarray | None = None
            y = speech[1]
            if route != "speech":
                if eeg is None or pairing is None:
                    raise ModelError(f"route '{route}' needs EEG and a pairing to be fitted")
                if route == "eeg":
                    X_speech, X_eeg, y = None, eeg[0], eeg[1]
                else:
                    X_eeg = eeg[0][pairing(0)]
            head = make_classifier(self.config.classifier, seed=derive_seed(self.seed, f"classifier/{route}"))
            self.heads[route] = fit_classifier(head, self.embed(X_speech, X_eeg), y)

    def _fit_stage1(
        self, modality: Modality, X: np.ndarray, y: np.ndarray, memo: MutableMapping[str, JECSSL] | None
    ) -> JECSSL:
        options = {**self.config.stage1.model_dump(), "seed": derive_seed(self.seed, f"jec_ssl/{modality}")}
        data = sha256(np.ascontiguousarray(X).tobytes() + np.ascontiguousarray(y).tobytes()).hexdigest()
        key = digest([modality, options, self.device, data])
        model = memo.get(key) if memo is not None else None
        if model is None:
            model = JECSSL(**options, device=self.device).fit(X, y)
            if memo is not None:
                memo[key] = model
        self.history[f"jec_ssl/{modality}"] = list(model.history_)
        return model

    # ------------------------------------------------------------------ inference

    def embed(self, X_speech: np.ndarray | None = None, X_eeg: np.ndarray | None = None) -> np.ndarray:
        """What the classifier sees, (n, d): features, stage-1 outputs or shared codes, by method."""
        X_speech, X_eeg = (None if X is None else np.asarray(X, dtype=np.float64) for X in (X_speech, X_eeg))
        if self.method in ("raw", "jec-ssl"):
            if X_speech is None or X_eeg is not None:
                raise ModelError(f"method '{self.method}' takes speech alone")
            return X_speech if self.method == "raw" else self.stage1["speech"].transform(X_speech)
        if self.stage2 is None:
            raise ModelError("the model is not fitted")
        given: dict[str, np.ndarray] = {}
        if X_speech is not None:
            given["X_speech"] = self.stage1["speech"].transform(X_speech)
        if X_eeg is not None:
            if "eeg" not in self.stage1:
                raise ModelError(f"method '{self.method}' was trained without EEG and takes speech alone")
            given["X_eeg"] = self.stage1["eeg"].transform(X_eeg)
        parts = [self.stage2.transform(**given)]
        if self.config.stage2.imagined and self.config.stage2.lam_x > 0:
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

    def save(self, folder: Path) -> None:
        """Write ``recogniser.json``, one safetensors file per network and one skops file per classifier."""
        with atomic_folder(folder) as target:
            for modality, model in self.stage1.items():
                save_state(target, f"jec_ssl_{modality}", *model.state())
            if self.stage2 is not None:
                save_state(target, "edcc_cae", *self.stage2.state())
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
                "history": self.history,
            }
            (target / "recogniser.json").write_text(json.dumps(card, indent=1, sort_keys=True) + "\n")

    @classmethod
    def load(cls, folder: Path, *, device: str = "cpu") -> EmotionRecogniser:
        """Read what :meth:`save` wrote; predictions are bit-identical to those of the saved model."""
        path = folder / "recogniser.json"
        try:
            card = json.loads(path.read_text())
        except FileNotFoundError:
            raise ModelError("is no model folder", where=folder, expected="recogniser.json in it") from None
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
            stage2=EDCCCAE.from_state(*load_state(folder, "edcc_cae"), device=device)
            if card["stage2"]
            else None,
            heads={route: load_classifier(folder / f"classifier_{route}.skops") for route in card["heads"]},
            history=card["history"],
        )
