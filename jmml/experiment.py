"""One trial: features, split, configuration and seed in; fitted model and evidence out.

Pure: no file and no network. Everything fitted sees training groups only, and the certificate returned with
each result names the rows that every fitted object saw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from jmml.config import MethodConfig, MethodName, Modality, validate
from jmml.data.splits import Split
from jmml.errors import ProtocolError
from jmml.evaluation.evidence import evidence_frame
from jmml.evaluation.leakage import Certificate, assert_disjoint
from jmml.evaluation.metrics import uar
from jmml.evaluation.shares import shares, summary
from jmml.memo import Memo
from jmml.models.correlation import canonical_correlations
from jmml.models.inputs import Standardiser
from jmml.models.one_view import SpeechOnly
from jmml.models.progress import Progress
from jmml.models.two_view import TwoView
from jmml.recogniser import EmotionRecogniser, derive_seed
from jmml.search import Folds, InnerSearch, held_out_pairs, new_recogniser, prepare_folds
from jmml.task import TaskData, View, evaluated_part, training_part

PERMUTATIONS = 5


@dataclass(frozen=True)
class FoldResult:
    """A fitted model with its evidence on the outer fold it never saw."""

    recogniser: EmotionRecogniser
    evidence: pd.DataFrame
    certificate: Certificate
    metrics: dict[str, float]


def fit_fold(
    task: TaskData,
    split: Split,
    fold: int,
    method: MethodName,
    config: MethodConfig,
    *,
    seed: int,
    device: str = "cpu",
    memo: Memo | None = None,
) -> EmotionRecogniser:
    """Fit ``method`` on the training groups of an outer fold; the fold itself stays closed.

    ``memo`` shares stage-1 models between methods of the same fold, seed and configuration.
    """
    training = training_part(task, split, fold)
    recogniser = new_recogniser(training, method, config, seed=seed, device=device)
    recogniser.context |= {"outer_fold": fold, "split_digest": split.digest}
    recogniser.fit(training.speech, training.eeg, memo=memo)
    recogniser.certificate.shares = summary(shares(task, split, [fold]))
    return recogniser


def run_fold(
    task: TaskData,
    split: Split,
    fold: int,
    method: MethodName,
    config: MethodConfig | Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    device: str = "cpu",
    memo: Memo | None = None,
) -> FoldResult:
    """Fit ``method`` on the training groups of an outer fold (:func:`fit_fold`), then open the fold once.

    Parameters
    ----------
    task, split : what :func:`jmml.task.make_task` and :func:`jmml.task.make_split` return.
    fold : 0 to ``len(split) - 1``.
    method : a row of :data:`jmml.methods.METHODS`: ``jmml``, a peer such as ``raw``, a control such as ``one-hot``.
    config : both stages, the peers' settings and the classifier, also as a dictionary; the defaults of ``params.yaml``
        if left out.
    seed : of every random part of the model; equal arguments give equal bits on a CPU.
    device : ``cpu``, ``cuda`` or ``cuda:N``.
    memo : a dictionary that shares stage-1 models between the methods of a fold and seed, to save time.

    Returns
    -------
    FoldResult : ``evidence`` (one row per held-out sample, with class probabilities), ``metrics`` (``test_uar``, the
        mean recall over classes, and more), the fitted ``recogniser``, and the ``certificate``, which names the people
        and samples that every fitted part has seen.

    Raises
    ------
    ProtocolError : an unknown method or fold, or a part that was fitted on somebody of the outer fold.
    ModelError : the method needs EEG and the task has none, or the configuration does not suit the data.
    ConfigError : a dictionary with unknown or invalid settings.

    Example
    -------
    >>> from jmml.config import MethodConfig, Stage1Config
    >>> from jmml.data.synthetic.worlds import world_tables
    >>> from jmml.task import make_split, make_task
    >>> task = make_task(*world_tables("trial", people=4, trials=16))
    >>> split = make_split(task, groups_per_fold=2)
    >>> result = run_fold(task, split, 0, "jec-ssl", MethodConfig(stage1=Stage1Config(epochs=3)))
    >>> result.evidence.shape, sorted(set(result.evidence["group"])) == sorted(split.speech[0].test)
    ((32, 12), True)
    >>> 0 <= result.metrics["test_uar"] <= 1
    True
    """
    config = config if isinstance(config, MethodConfig) else validate(MethodConfig, dict(config or {}))
    recogniser = fit_fold(task, split, fold, method, config, seed=seed, device=device, memo=memo)
    return evaluate_fold(recogniser, task, split, fold)


# ---------------------------------------------------------------------- the outer fold


def evaluate_fold(recogniser: EmotionRecogniser, task: TaskData, split: Split, fold: int) -> FoldResult:
    """Predict an outer fold with a fitted (or loaded) model and score it, once :func:`prove_separate` has passed.

    Raises
    ------
    ProtocolError
        A part of the model was fitted on a group of this fold, its certificate is incomplete, or it was made for
        another task, split or fold.
    """
    prove_separate(recogniser, task, split, fold)
    _check_made_for(recogniser, task, split, fold)
    recogniser.certificate.shares = summary(shares(task, split, [fold]))
    test = evaluated_part(task, split, fold)
    views = {name: view for name, view in test.views().items() if name in recogniser.heads}
    columns = [f"p_{name}" for name in recogniser.classes]
    blocks, metrics = [], {}
    for modality, view in views.items():
        blocks.append(_predict(recogniser, task, modality, view, fold))
        score = uar(view.y, blocks[-1].loc[:, columns].to_numpy().argmax(axis=1))
        metrics["test_uar" if modality == "speech" else "test_uar_eeg_only"] = score
    if test.eeg is not None and recogniser.spec.eeg and recogniser.spec.control in (None, "frozen-pairs"):
        metrics |= _held_out_correlation(recogniser, test.speech, test.eeg)
    return FoldResult(recogniser, pd.concat(blocks, ignore_index=True), recogniser.certificate, metrics)


def prove_separate(recogniser: EmotionRecogniser, task: TaskData, split: Split, fold: int) -> None:
    """Raise unless everything the model was fitted on lies outside the outer fold.

    The certificate must name every fitted object, each fitted on exactly the samples of the training part; training
    and test part share no group, no recording and no sample; and the means and deviations that the scalers hold are
    those of the training part, computed anew.

    Raises
    ------
    ProtocolError : the first of these that does not hold.
    """
    training, test = training_part(task, split, fold), evaluated_part(task, split, fold)
    certificate, parts = recogniser.certificate, recogniser.parts()
    people: dict[Modality, np.ndarray] = {}
    for modality, view in test.views().items():
        if modality == "speech" or recogniser.spec.eeg:
            people[modality] = view.groups
    certificate.check(people, parallel=task.parallel)
    certificate.check_complete(parts)
    for modality, view in training.views().items():
        names = [name for name, of in parts if of == modality and name != "classifier/both"]
        certificate.check_rows(modality, view.ids, names)
        held = test.views()[modality]
        for what in ("groups", "recordings", "ids"):
            assert_disjoint(getattr(view, what), getattr(held, what), what=what, where=modality)
        for key in (key for key in (*task.disjoint, *_bytes(task, modality)) if key in view.keys):
            assert_disjoint(view.keys[key], held.keys[key], what=f"{key} values", where=modality)
        X = np.asarray(view.X, dtype=np.float64)
        if modality in recogniser.stage1:
            _check_scaler(recogniser.stage1[modality].scaler_, X, f"stage 1 of {modality}")
        if isinstance(recogniser.stage2, SpeechOnly) and modality == "speech":
            _check_scaler(recogniser.stage2.scaler_, X, "the encoder")
        if isinstance(recogniser.stage2, TwoView) and (
            modality == "speech" or recogniser.spec.control is None
        ):
            u = recogniser.stage1[modality].transform(X)
            _check_scaler(recogniser.stage2.scalers_[modality], u, f"stage 2 of {modality}")
    if task.parallel and training.eeg is not None and test.eeg is not None:
        for a, b in ((training.speech, test.eeg), (training.eeg, test.speech)):
            assert_disjoint(a.recordings, b.recordings, what="recordings", where="speech and EEG")
            for key in (key for key in task.disjoint if key in a.keys and key in b.keys):
                assert_disjoint(a.keys[key], b.keys[key], what=f"{key} values", where="speech and EEG")
    embedding = recogniser.embed(X_speech=training.speech.X)
    scaler = recogniser.heads["speech"].named_steps["scaler"]
    if not np.allclose(scaler.mean_, embedding.mean(0), rtol=1e-6, atol=1e-6 * np.abs(embedding).max()):
        raise _leaked("the classifier")


def _bytes(task: TaskData, modality: Modality) -> tuple[str, ...]:
    """Equal bytes under two people's names are one recording on both sides; rows of tables may be equal by chance."""
    return () if task.context.get(f"{modality}_extractor") == "external" else ("content",)


def _check_scaler(found: Standardiser, X: np.ndarray, what: str) -> None:
    expected = Standardiser.fit(X)
    if not (np.array_equal(found.mean, expected.mean) and np.array_equal(found.scale, expected.scale)):
        raise _leaked(what)


def _leaked(what: str) -> ProtocolError:
    return ProtocolError(
        f"the scaler of {what} does not hold the mean and deviation of the training part",
        expected="a scaler fitted on the training groups alone",
        fix="train the model again",
    )


def _check_made_for(recogniser: EmotionRecogniser, task: TaskData, split: Split, fold: int) -> None:
    """Refuse a model of other classes, features, normalisation, split or fold: its scores would mean nothing."""
    wanted = {"classes": list(task.classes), **task.context, "split_digest": split.digest, "outer_fold": fold}
    found = {"classes": list(recogniser.classes), **recogniser.context}
    if not recogniser.spec.eeg:
        wanted = {name: value for name, value in wanted.items() if not name.startswith("eeg_")}
    other = [name for name, value in wanted.items() if found.get(name) != value]
    if other:
        raise ProtocolError(
            f"was made for other data or settings: {', '.join(other)} differ",
            where=f"model '{recogniser.method}'",
            fix="run `dvc repro`",
        )


# ---------------------------------------------------------------------- the inner folds


def search_trial(
    training: TaskData | Folds,
    config: MethodConfig,
    *,
    n_folds: int | None = None,
    seed: int | None = None,
    device: str = "cpu",
    method: MethodName = "jmml",
    check_every: int = 1,
    memo: Memo | None = None,
    certificate: Certificate | None = None,
    cost: bool = False,
    state: Progress | None = None,
) -> InnerSearch:
    """Score one configuration of a method on inner folds, epoch by epoch: see :class:`~jmml.search.InnerSearch`.

    Parameters
    ----------
    training : the task without the outer fold (``jmml.task.training_part``): the outer groups cannot be seen. Trials
        that differ in their configuration alone can share the folds of :func:`~jmml.search.prepare_folds`.
    n_folds, seed : number of inner folds, which leave speakers and subjects out in turn, and the seed of folds and
        models; given with a task, and known from prepared folds.
    """
    if isinstance(training, Folds):
        other = [
            name
            for name, value in (("n_folds", n_folds), ("seed", seed))
            if value not in (None, getattr(training, name))
        ]
        if other:
            raise ProtocolError(f"the folds were prepared with another {' and '.join(other)}")
    elif n_folds is None or seed is None:
        raise ProtocolError("n_folds and seed are missing", expected="both, or prepared folds")
    else:
        training = prepare_folds(training, n_folds=n_folds, seed=seed)
    return InnerSearch(
        training,
        config,
        method=method,
        device=device,
        check_every=check_every,
        memo=memo,
        certificate=certificate,
        cost=cost,
        state=state,
    )


# ---------------------------------------------------------------------- measuring


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
    """Mean canonical correlation of the held-out codes of pairs, beside that of permuted pairs.

    A measurement after the fact: it reads test labels (or trial ids) to pair, and nothing is fitted or selected by it.
    """
    rng = np.random.default_rng(derive_seed(recogniser.seed, "test-correlation"))
    rows = held_out_pairs(recogniser, speech, eeg, rng)
    z_speech, z_eeg = recogniser.embed(X_speech=speech.X), recogniser.embed(X_eeg=eeg.X[rows])
    k = recogniser.config.stage2.k
    h1, h2 = z_speech[:, :k], z_eeg[:, :k]

    def mean_rho(a: np.ndarray, b: np.ndarray) -> float:
        return float(canonical_correlations(torch.from_numpy(a), torch.from_numpy(b)).mean())

    permuted = [mean_rho(h1, h2[rng.permutation(len(h2))]) for _ in range(PERMUTATIONS)]
    return {"test_rho": mean_rho(h1, h2), "test_rho_permuted": float(np.mean(permuted))}
