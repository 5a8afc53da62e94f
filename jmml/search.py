"""The search inside an outer fold: one configuration, scored on inner folds after every epoch of its stage 2.

A search can be left after any epoch it has scored, and taken up again from its state, on a CPU to the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from jmml.config import MethodConfig, MethodName, digest
from jmml.errors import ModelError, ProtocolError
from jmml.evaluation.leakage import Certificate
from jmml.evaluation.metrics import uar
from jmml.inference_cost import inference_cost
from jmml.memo import Job, Memo, obtain
from jmml.methods import METHODS
from jmml.models.pairing import pair
from jmml.models.persistence import load_state, save_state
from jmml.models.progress import Progress
from jmml.recogniser import EmotionRecogniser, derive_seed
from jmml.task import TaskData, View, evaluated_part, make_inner_split, training_part

CONFIDENCE = 0.95
FORMAT = 1
# What may differ where a state is taken up: it acts on the epochs to come and not on what the networks are.
ADJUSTABLE = frozenset(
    {"stage2.lr", "stage2.weight_decay"}
    | {f"stage2.{name}" for name in ("lam_r", "lam_x", "lam_c", "lam_y")}
    | {f"peers.{name}" for name in ("barlow_weight", "distillation_weight")}
    | {f"peers.vicreg_{name}" for name in ("invariance", "variance", "covariance")}
)


@dataclass(frozen=True)
class Folds:
    """The inner folds of a task: per fold what is fitted on, and what is scored. The same for all trials of a sweep."""

    training: TaskData
    n_folds: int
    seed: int
    parts: tuple[tuple[TaskData, TaskData], ...]

    @cached_property
    def content(self) -> str:
        """Digest of the features and classes of all parts."""
        return digest(
            [view.content for sides in self.parts for side in sides for view in side.views().values()]
        )


def prepare_folds(training: TaskData, n_folds: int, seed: int) -> Folds:
    """Draw the inner folds of ``training``, the task without the outer fold.

    Raises
    ------
    ProtocolError : there are too few groups, or a fold would lack a class.
    """
    splits = make_inner_split(training, n_folds=n_folds, seed=seed)
    parts = tuple(
        (training_part(training, splits, fold), evaluated_part(training, splits, fold))
        for fold in range(n_folds)
    )
    return Folds(training, n_folds, seed, parts)


class InnerSearch(Iterator[dict[str, object]]):
    """Scores of one configuration, epoch by epoch.

    Stage 1 of every inner fold is fitted first; then stage 2 of all inner folds advances in lockstep, so that every
    epoch yields the inner-fold UAR by which a scheduler stops and a search selects. Nothing is computed before the
    first score is asked for.

    Parameters
    ----------
    folds : of :func:`prepare_folds`.
    check_every : epochs between two scores; the last epoch is always scored.
    memo : where stage-1 models are kept; those of all folds are asked for at once (:mod:`jmml.memo`).
    certificate : takes the entries of everything that is fitted here, under ``search/``.
    cost : whether the first score comes with ``inference_cost``.
    state : of :meth:`state` or :func:`load_checkpoint`; the epochs after it follow. The learning rate, weight decay and
        weights of the losses may be others: those of ``config`` hold from here.

    Yields
    ------
    ``epoch`` (from 1; 0 for methods without epochs), ``val_uar`` (mean over inner folds), ``val_uar_std``,
    ``val_uar_low``, the mean of every loss and correlation of stage 2. At first also ``history``: per-epoch stage-1
    metrics, mean over folds; and ``inference_cost``, mean over folds
    (:func:`~jmml.inference_cost.inference_cost`).

    ``val_uar_low`` is mean - t s / sqrt(n) for n folds of deviation s, with the 95 % quantile t of Student's
    distribution with n - 1 degrees of freedom. The folds share most of their training data, so this is not a confidence
    bound: it is a rule that ranks configurations lower whose folds disagree.

    Raises
    ------
    ModelError : the state is of other data, another method or other settings, which are named.
    """

    def __init__(
        self,
        folds: Folds,
        config: MethodConfig,
        *,
        method: MethodName = "jmml",
        device: str = "cpu",
        check_every: int = 1,
        memo: Memo | None = None,
        certificate: Certificate | None = None,
        cost: bool = False,
        state: Progress | None = None,
    ) -> None:
        self.folds, self.config, self.method = folds, config, method
        self._check_every, self._memo, self._certificate, self._cost = check_every, memo, certificate, cost
        self._spec = METHODS[method]
        self._last = 1 if self._spec.closed_form else config.stage2.epochs
        self._start = state
        self._epoch = self._scored = 0 if state is None else self._check_state(*state)
        self._first = state is None
        self._over = state is not None and (self._spec.build is None or self._epoch >= self._last)
        self._runs: list[Iterator[dict[str, float]]] = []
        self._models = [
            new_recogniser(inner, method, config, seed=folds.seed, device=device) for inner, _ in folds.parts
        ]

    def __iter__(self) -> InnerSearch:
        return self

    def __next__(self) -> dict[str, object]:
        if self._over:
            raise StopIteration
        try:
            return self._next_score()
        except BaseException:
            self._over = True
            raise

    def _next_score(self) -> dict[str, object]:
        if not self._runs:
            self._begin()
        while True:
            steps = [step for run in self._runs if (step := next(run, None)) is not None]
            if not steps:  # a method without epochs, which is fitted at once, with its classifiers
                self._over = True
                return self._score(steps)
            self._epoch += 1
            self._over = self._epoch == self._last
            if self._over or self._epoch % self._check_every == 0:
                for model, (inner, _) in zip(self._models, self.folds.parts, strict=True):
                    model.fit_heads(inner.speech, inner.eeg, routes=("speech",))
                return self._score(steps)

    def _begin(self) -> None:
        """Obtain the stage-1 models of all folds; make ready to train stage 2."""
        jobs: dict[str, Job] = {}
        for model, (inner, held) in zip(self._models, self.folds.parts, strict=True):
            jobs |= model.stage1_jobs(inner.speech, inner.eeg)
            model.keep_outputs("speech", inner.speech.X, held.speech.X)
        found = obtain(self._memo, jobs)
        for fold, (model, (inner, held)) in enumerate(zip(self._models, self.folds.parts, strict=True)):
            start = {} if self._start is None else {"start": _state_of(fold, *self._start)}
            probe = _probe(model, held, self.folds.seed)
            self._runs.append(model.iter_fit(inner.speech, inner.eeg, held_out=probe, memo=found, **start))

    def _score(self, steps: list[dict[str, float]]) -> dict[str, object]:
        scores = [
            uar(held.speech.y, model.predict_proba(X_speech=held.speech.X).argmax(axis=1))
            for model, (_, held) in zip(self._models, self.folds.parts, strict=True)
        ]
        if self._certificate is not None:
            self._enter(self._certificate)
        mean, deviation = float(np.mean(scores)), float(np.std(scores, ddof=1))
        result: dict[str, object] = {
            "epoch": self._epoch,
            "val_uar": mean,
            "val_uar_std": deviation,
            "val_uar_low": lower_bound(mean, deviation, len(scores)),
        }
        for name in steps[0] if steps else ():
            if name != "epoch":
                result[f"{self._spec.part}/{name}"] = float(np.mean([step[name] for step in steps]))
        if self._first:
            history = _stage1_history(self._models)
            if history:
                result["history"] = history
            if self._cost:
                result["inference_cost"] = float(np.mean([inference_cost(model) for model in self._models]))
        self._first, self._scored = False, self._epoch
        return result

    def _enter(self, certificate: Certificate) -> None:
        """The inner fits, and the selection, which sees the validation rows of all inner folds."""
        for fold, model in enumerate(self._models):
            certificate.extend(model.certificate, prefix=f"search/fold{fold}/")
        for modality, view in self.folds.training.views().items():
            if modality == "speech" or self._spec.eeg:
                certificate.add("search/selection", modality, view.groups, ids=view.ids)

    # ------------------------------------------------------------------ leaving and taking up

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Everything that is needed to go on from the epoch that was scored last: arrays, and what JSON can hold.

        Raises :class:`ModelError` before the first score, and where training has failed since the last one.
        """
        if self._first or self._scored != self._epoch:
            raise ModelError("there is no scored epoch to go on from", where="search")
        arrays: dict[str, np.ndarray] = {}
        histories = []
        if self._runs and self._spec.build is not None and not self._spec.closed_form:
            for fold, model in enumerate(self._models):
                found, meta = model.progress()
                arrays |= {f"fold{fold}.{name}": value for name, value in found.items()}
                histories.append(meta["history"])
        elif self._start is not None:  # taken up after its last epoch: nothing has been trained since
            return dict(self._start[0]), dict(self._start[1])
        return arrays, {"format": FORMAT, "epoch": self._epoch, "history": histories, **self._settings()}

    def _settings(self) -> dict[str, Any]:
        """Method, folds, data and settings to which a state belongs."""
        return {
            "method": self.method,
            "n_folds": self.folds.n_folds,
            "seed": self.folds.seed,
            "data": self.folds.content,
            "config": {
                f"{section}.{name}": value
                for section, values in self.config.model_dump(mode="json").items()
                if section in self._spec.reads()
                for name, value in values.items()
            },
        }

    def _check_state(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> int:
        """The epoch a state was left at; :class:`ModelError` where it does not belong to this search."""
        try:
            if meta["format"] != FORMAT:
                raise ModelError(
                    f"unknown format {meta['format']!r}", where="state of a search", expected=FORMAT
                )
            here = self._settings()
            config, there = here.pop("config"), dict(meta["config"])
            other = [name for name, value in here.items() if meta[name] != value]
            other += [
                name
                for name in sorted({*config, *there})
                if config.get(name) != there.get(name) and name not in ADJUSTABLE
            ]
            epoch = int(meta["epoch"])
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, ModelError):
                raise
            raise ModelError(f"is damaged ({error!r})", where="state of a search") from None
        if other:
            raise ModelError(
                f"was made with another {', '.join(other)}",
                where="state of a search",
                expected="the same data and settings, but for learning rate, weight decay and weights of losses",
                fix="start from the first epoch",
            )
        return epoch


def lower_bound(mean: float, deviation: float, n: int) -> float:
    """mean - t s / sqrt(n), t the 95 % quantile of Student's distribution with n - 1 degrees of freedom."""
    return float(mean - stdtrit(n - 1, CONFIDENCE) * deviation / np.sqrt(n))


# ---------------------------------------------------------------------- checkpoints


def save_checkpoint(folder: Path, state: Progress) -> None:
    """Write the state of a search to ``folder``, in place of earlier ones once it is complete."""
    arrays, meta = state
    name = f"epoch{int(meta['epoch']):06d}"
    # A checkpoint counts from the moment its description is there, which is written last.
    save_state(folder, name, arrays, meta)
    for path in folder.glob("epoch*"):
        if path.stem != name:
            path.unlink(missing_ok=True)


def load_checkpoint(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The state that :func:`save_checkpoint` wrote last, to the same bits.

    Raises
    ------
    ModelError : there is none, or it is damaged.
    """
    names = sorted(path.stem for path in folder.glob("epoch*.json"))
    if not names:
        raise ModelError("holds no checkpoint", where=folder, fix="start from the first epoch")
    return load_state(folder, names[-1])


def _state_of(fold: int, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> Progress:
    prefix = f"fold{fold}."
    own = {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
    try:
        return own, {"history": meta["history"][fold]}
    except (KeyError, IndexError, TypeError):
        raise ModelError(f"is damaged (no history of fold {fold})", where="state of a search") from None


# ---------------------------------------------------------------------- models, pairs and histories


def new_recogniser(
    training: TaskData, method: MethodName, config: MethodConfig, *, seed: int, device: str = "cpu"
) -> EmotionRecogniser:
    """An unfitted model for the training part of a task, with the context that inference and lineage need.

    Per-group normalisation uses the recordings of the people it is applied to; that is entered as label-free.

    Raises
    ------
    ProtocolError : the method learns from EEG and the task has none.
    """
    if METHODS[method].eeg and training.eeg is None:
        raise ProtocolError(
            f"method '{method}' needs EEG and the task has none", fix="set task.eeg in params.yaml"
        )
    recogniser = EmotionRecogniser(
        method=method,
        config=config,
        classes=training.classes,
        seed=seed,
        device=device,
        context=dict(training.context),
    )
    if training.normalisation == "per-group":
        for modality, view in training.views().items():
            if modality == "speech" or METHODS[method].eeg:
                recogniser.certificate.add(
                    "normalisation", modality, view.groups, ids=view.ids, role="label-free"
                )
    return recogniser


def held_out_pairs(model: EmotionRecogniser, speech: View, eeg: View, rng: np.random.Generator) -> np.ndarray:
    """Partners of held-out samples: of the same trial where the method pairs trials, else of the same class."""
    instance = model.config.stage2.pairing == "instance" and model.spec.control is None
    return pair(
        "instance" if instance else "class",
        speech.y,
        eeg.y,
        rng=rng,
        pair_ids=(speech.recordings, eeg.recordings),
    )


def _probe(model: EmotionRecogniser, held: TaskData, seed: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Pairs of held-out samples, on which the correlation of the codes is watched."""
    if held.eeg is None or not model.spec.two_view:
        return None
    rows = held_out_pairs(model, held.speech, held.eeg, np.random.default_rng(derive_seed(seed, "held-out")))
    return held.speech.X, held.eeg.X[rows]


def _stage1_history(models: list[EmotionRecogniser]) -> dict[str, list[float]]:
    """Stage-1 metrics per epoch, averaged over models, as ``part/metric -> values``."""
    merged: dict[str, list[float]] = {}
    for part in ("jec_ssl/speech", "jec_ssl/eeg"):
        frames = [pd.DataFrame(model.history[part]) for model in models if part in model.history]
        if not frames:
            continue
        mean = np.mean([frame.to_numpy(float) for frame in frames], axis=0)
        for column, name in enumerate(frames[0].columns):
            if name != "epoch":
                merged[f"{part}/{name}"] = [float(value) for value in mean[:, column]]
    return merged
