"""One trial: features, split, configuration and seed in; fitted model and evidence out.

Pure: no file and no network. Everything fitted sees training groups only, and the certificate returned with
each result names the groups that every fitted object saw.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from jmml.config import MethodConfig, MethodName, Modality
from jmml.data.splits import Split, mask
from jmml.errors import ProtocolError
from jmml.evaluation.evidence import evidence_frame
from jmml.evaluation.leakage import Certificate
from jmml.evaluation.metrics import uar
from jmml.models.correlation import canonical_correlations
from jmml.models.jec_ssl import JECSSL
from jmml.models.pairing import pair, schedule
from jmml.recogniser import EmotionRecogniser, Pairing, derive_seed
from jmml.task import TaskData, View, make_inner_split, training_part

PERMUTATIONS = 5
NEEDS_EEG: frozenset[MethodName] = frozenset({"jmml"})


@dataclass(frozen=True)
class FoldResult:
    """A fitted model with its evidence on the outer fold it never saw."""

    recogniser: EmotionRecogniser
    evidence: pd.DataFrame
    certificate: Certificate
    metrics: dict[str, float]


def make_pairing(config: MethodConfig, method: MethodName, training: TaskData, seed: int) -> Pairing:
    """The pairs of a trial, by epoch; they read training labels (or trial ids) and nothing of the test part.

    The one-hot control needs no drawing: the partner of a sample is the code of its class.
    """
    if method not in NEEDS_EEG or training.eeg is None:
        return lambda epoch: training.speech.y
    return schedule(
        config.stage2.pairing,
        training.speech.y,
        training.eeg.y,
        seed=derive_seed(seed, "pairing"),
        pair_ids=(training.speech.recordings, training.eeg.recordings),
    )


def fit_fold(
    task: TaskData,
    split: Split,
    fold: int,
    method: MethodName,
    config: MethodConfig,
    *,
    seed: int,
    device: str = "cpu",
    memo: MutableMapping[str, JECSSL] | None = None,
) -> EmotionRecogniser:
    """Fit ``method`` on the training groups of an outer fold; the fold itself stays closed.

    ``memo`` shares stage-1 models between methods of the same fold, seed and configuration.
    """
    if method in NEEDS_EEG and task.eeg is None:
        raise ProtocolError(
            f"method '{method}' needs EEG and the task has none", fix="set task.eeg in params.yaml"
        )
    training = training_part(task, split, fold)
    recogniser = new_recogniser(task, method, config, seed=seed, device=device)
    recogniser.context |= {"outer_fold": fold, "split_digest": split.digest}
    speech, eeg = _xy(training.speech), _xy(training.eeg) if method in NEEDS_EEG else None
    pairing = make_pairing(config, method, training, seed)
    recogniser.fit(speech, eeg, pairing=pairing, memo=memo)
    recogniser.context["certificate"] = json.loads(certify(recogniser, training).to_json())
    return recogniser


def run_fold(
    task: TaskData,
    split: Split,
    fold: int,
    method: MethodName,
    config: MethodConfig,
    *,
    seed: int,
    device: str = "cpu",
    memo: MutableMapping[str, JECSSL] | None = None,
) -> FoldResult:
    """Fit ``method`` on the training groups of an outer fold (:func:`fit_fold`), then open the fold once."""
    recogniser = fit_fold(task, split, fold, method, config, seed=seed, device=device, memo=memo)
    return evaluate_fold(recogniser, task, split, fold)


def evaluate_fold(recogniser: EmotionRecogniser, task: TaskData, split: Split, fold: int) -> FoldResult:
    """Predict an outer fold with a fitted (or loaded) model and score it, after checking its certificate.

    Raises
    ------
    ProtocolError
        A part of the model was fitted on a group of this fold, it carries no certificate, or it was made for
        another task, split or fold.
    """
    speech_fold, eeg_fold = split.fold(fold)
    certificate = Certificate.from_json(
        json.dumps(recogniser.context.get("certificate")), where=f"model '{recogniser.method}'"
    )
    test = task.speech.rows(mask(task.speech.groups, speech_fold.test))
    test_eeg = None
    if "eeg" in recogniser.heads and task.eeg is not None and eeg_fold is not None:
        test_eeg = task.eeg.rows(mask(task.eeg.groups, eeg_fold.test))
    certificate.check({"speech": test.groups}, parallel=task.parallel)
    if test_eeg is not None:
        certificate.check({"eeg": test_eeg.groups}, parallel=task.parallel)
    _check_made_for(recogniser, task, split, fold)

    columns = [f"p_{name}" for name in recogniser.classes]
    blocks = [_predict(recogniser, task, "speech", test, fold)]
    metrics = {"test_uar": uar(test.y, blocks[0].loc[:, columns].to_numpy().argmax(axis=1))}
    if test_eeg is not None:
        blocks.append(_predict(recogniser, task, "eeg", test_eeg, fold))
        metrics["test_uar_eeg_only"] = uar(test_eeg.y, blocks[1].loc[:, columns].to_numpy().argmax(axis=1))
        metrics |= _held_out_correlation(recogniser, test, test_eeg)
    return FoldResult(recogniser, pd.concat(blocks, ignore_index=True), certificate, metrics)


def _check_made_for(recogniser: EmotionRecogniser, task: TaskData, split: Split, fold: int) -> None:
    """Refuse a model of other classes, features, normalisation, split or fold: its scores would mean nothing."""
    wanted = {"classes": list(task.classes), **task.context, "split_digest": split.digest, "outer_fold": fold}
    found = {"classes": list(recogniser.classes), **recogniser.context}
    if recogniser.method not in NEEDS_EEG:
        wanted = {name: value for name, value in wanted.items() if not name.startswith("eeg_")}
    other = [name for name, value in wanted.items() if found.get(name) != value]
    if other:
        raise ProtocolError(
            f"was made for other data or settings: {', '.join(other)} differ",
            where=f"model '{recogniser.method}'",
            fix="run `dvc repro`",
        )


def certify(recogniser: EmotionRecogniser, training: TaskData) -> Certificate:
    """The groups whose rows each fitted part of a model was given."""
    groups: dict[Modality, Iterable[str]] = {"speech": training.speech.groups}
    if recogniser.method in NEEDS_EEG and training.eeg is not None:
        groups["eeg"] = training.eeg.groups
    certificate = Certificate()
    for modality, seen in groups.items():
        if training.normalisation == "per-group":
            certificate.add("normalisation", modality, seen, role="label-free")
        if modality in recogniser.stage1:
            for part in ("scaler", "encoders", "partial least squares"):
                certificate.add(f"jec_ssl/{modality}/{part}", modality, seen)
        if recogniser.stage2 is not None:
            certificate.add("edcc_cae/pairing", modality, seen)
            certificate.add("edcc_cae/networks", modality, seen)
        for route in recogniser.heads:
            if route in (modality, "both"):
                certificate.add(f"classifier/{route}", modality, seen)
    return certificate


def search_trial(
    training: TaskData,
    config: MethodConfig,
    *,
    n_folds: int,
    seed: int,
    device: str = "cpu",
) -> Iterator[dict[str, object]]:
    """Score one JMML configuration on inner folds, epoch by epoch of stage 2.

    Stage 1 of every inner fold is fitted first; then stage 2 of all inner folds advances in lockstep, so
    that every epoch yields the inner-fold UAR by which a scheduler stops and a search selects.

    Parameters
    ----------
    training : the task without the outer fold (:func:`training_part`): the outer groups cannot be seen.
    n_folds : number of inner folds, which leave speakers and subjects out in turn.

    Yields
    ------
    ``epoch`` (from 1), ``val_uar`` (mean over inner folds), ``val_uar_std``, the mean of every loss and
    correlation of stage 2; in the first epoch also ``history``: per-epoch stage-1 metrics, mean over folds.
    """
    if training.eeg is None:
        raise ProtocolError("a search over JMML needs EEG", fix="set task.eeg in params.yaml")
    splits = make_inner_split(training, n_folds=n_folds, seed=seed)
    models, runs, validation = [], [], []
    for fold in range(n_folds):
        inner = training_part(training, splits, fold)
        speech_fold, eeg_fold = splits.fold(fold)
        if inner.eeg is None or eeg_fold is None:
            raise ProtocolError("a search over JMML needs EEG in every inner fold")
        held_speech = training.speech.rows(mask(training.speech.groups, speech_fold.test))
        held_eeg = training.eeg.rows(mask(training.eeg.groups, eeg_fold.test))
        rows = pair(
            "class", held_speech.y, held_eeg.y, rng=np.random.default_rng(derive_seed(seed, "held-out"))
        )
        model = new_recogniser(training, "jmml", config, seed=seed, device=device)
        pairing = make_pairing(config, "jmml", inner, seed)
        fitted = _xy(inner.speech), _xy(inner.eeg)
        runs.append(model.iter_fit(*fitted, pairing=pairing, held_out=(held_speech.X, held_eeg.X[rows])))
        models.append((model, fitted, pairing))
        validation.append(held_speech)

    for epoch in range(1, config.stage2.epochs + 1):
        metrics = pd.DataFrame([next(run) for run in runs]).mean().to_dict()
        scores = []
        for (model, fitted, pairing), held in zip(models, validation, strict=True):
            model.fit_heads(*fitted, pairing=pairing, routes=("speech",))
            scores.append(uar(held.y, model.predict_proba(X_speech=held.X).argmax(axis=1)))
        result: dict[str, object] = {
            "epoch": epoch,
            "val_uar": float(np.mean(scores)),
            "val_uar_std": float(np.std(scores, ddof=1)),
            **{f"edcc_cae/{name}": float(value) for name, value in metrics.items() if name != "epoch"},
        }
        if epoch == 1:
            result["history"] = _stage1_history([model for model, _, _ in models])
        yield result


def new_recogniser(
    task: TaskData, method: MethodName, config: MethodConfig, *, seed: int, device: str = "cpu"
) -> EmotionRecogniser:
    """An unfitted model for a task, with the context that inference and lineage need."""
    return EmotionRecogniser(
        method=method,
        config=config,
        classes=task.classes,
        seed=seed,
        device=device,
        context=dict(task.context),
    )


def _xy(view: View | None) -> tuple[np.ndarray, np.ndarray]:
    if view is None:
        raise ProtocolError("the task has no EEG", fix="set task.eeg in params.yaml")
    return view.X, view.y


def _predict(
    recogniser: EmotionRecogniser, task: TaskData, modality: Modality, view: View, fold: int
) -> pd.DataFrame:
    proba = (
        recogniser.predict_proba(X_speech=view.X)
        if modality == "speech"
        else recogniser.predict_proba(X_eeg=view.X)
    )
    return evidence_frame(
        method=recogniser.method,
        fold=fold,
        seed=recogniser.seed,
        modality=modality,
        ids=view.ids,
        groups=view.groups,
        y_true=np.asarray(task.classes, dtype=object)[view.y],
        proba=proba,
        classes=recogniser.classes,
    )


def _held_out_correlation(recogniser: EmotionRecogniser, speech: View, eeg: View) -> dict[str, float]:
    """Mean canonical correlation of class-paired held-out codes, beside that of permuted pairs.

    A measurement after the fact: it reads test labels to pair, and nothing is fitted or selected by it.
    """
    rng = np.random.default_rng(derive_seed(recogniser.seed, "test-correlation"))
    rows = pair("class", speech.y, eeg.y, rng=rng)
    z_speech, z_eeg = recogniser.embed(X_speech=speech.X), recogniser.embed(X_eeg=eeg.X[rows])
    k = recogniser.config.stage2.k
    h1, h2 = z_speech[:, :k], z_eeg[:, :k]

    def mean_rho(a: np.ndarray, b: np.ndarray) -> float:
        return float(canonical_correlations(torch.from_numpy(a), torch.from_numpy(b)).mean())

    permuted = [mean_rho(h1, h2[rng.permutation(len(h2))]) for _ in range(PERMUTATIONS)]
    return {"test_rho": mean_rho(h1, h2), "test_rho_permuted": float(np.mean(permuted))}


def _stage1_history(models: list[EmotionRecogniser]) -> dict[str, list[float]]:
    """Stage-1 metrics per epoch, averaged over models, as ``part/metric -> values``."""
    merged: dict[str, list[float]] = {}
    for part in ("jec_ssl/speech", "jec_ssl/eeg"):
        frames = [pd.DataFrame(model.history[part]) for model in models]
        mean = np.mean([frame.to_numpy(float) for frame in frames], axis=0)
        for column, name in enumerate(frames[0].columns):
            if name != "epoch":
                merged[f"{part}/{name}"] = [float(value) for value in mean[:, column]]
    return merged
