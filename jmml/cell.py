"""One cell of a study: a method, an outer fold and a seed; searched on inner folds, fitted, and opened once.

Every method is given the same candidate configurations and has each of them scored in the same way, so all have the
same tuning budget. The best candidate and number of epochs, by inner-fold UAR, are fitted on all training groups.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from jmml.config import MethodConfig, MethodName, digest
from jmml.data.splits import Fold, Split
from jmml.errors import ModelError, ProtocolError
from jmml.evaluation.leakage import Certificate
from jmml.experiment import evaluate_fold, fit_fold, search_trial
from jmml.memo import Memo
from jmml.methods import METHODS
from jmml.models.capacity import parameters_of_jmml
from jmml.recogniser import EmotionRecogniser
from jmml.task import TaskData, View, evaluated_part, rows_of, training_part

CHECK_EVERY = 5
CAPACITY_TOLERANCE = 0.05
BATCH_TOLERANCE = 1e-9


@dataclass(frozen=True)
class CellResult:
    """The result of one cell.

    Attributes
    ----------
    evidence : every prediction on the outer fold (``jmml.evaluation.evidence``).
    certificate : what every fitted object saw, the search included.
    config, candidate : the chosen configuration, with its number of epochs, and its number among the candidates.
    search : per candidate ``candidate``, ``epoch`` (0: the method has none), ``val_uar``, ``val_uar_std``.
    metrics : ``test_uar``, ``val_uar``, ``n_parameters``, ``seconds``, correlations on the outer fold, and ``audited``
        (1 where :func:`audit` has passed).
    history : per epoch of the final fit its losses and correlations, ``rho_held_out`` from the inner folds.
    embedding : (n_test, d) float32, what the classifier saw of the evaluated utterances, in the order of the evidence.
    """

    evidence: pd.DataFrame
    certificate: Certificate
    config: MethodConfig
    candidate: int
    search: list[dict[str, float]]
    metrics: dict[str, float]
    history: list[dict[str, float]]
    embedding: np.ndarray


@dataclass(frozen=True)
class _Fitted:
    recogniser: EmotionRecogniser
    certificate: Certificate
    candidate: int
    search: list[dict[str, float]]
    held_out: dict[int, float]


def run_cell(
    task: TaskData,
    split: Split,
    fold: int,
    method: MethodName,
    candidates: Sequence[MethodConfig],
    *,
    seed: int,
    inner_folds: int = 3,
    device: str = "cpu",
    memo: Memo | None = None,
    audited: bool = False,
) -> CellResult:
    """Search, fit and evaluate ``method`` on one outer fold with one seed; equal arguments give equal bits on a CPU.

    Parameters
    ----------
    candidates : configurations to choose from, the same for every method.
    memo : stage-1 models by digest, shared between the methods of a fold and seed, or with other cells and sweeps.
    audited : whether to fit a second time with the evaluated people's data spoilt, see :func:`audit`.

    Raises
    ------
    ProtocolError : a leak, or a task that cannot carry the protocol.
    ModelError : a model that cannot be fitted, or whose capacity is not matched.
    """
    began = time.perf_counter()
    fitted = _fit(task, split, fold, method, candidates, seed, inner_folds, device, memo)
    recogniser = fitted.recogniser
    recogniser.certificate.extend(fitted.certificate)
    parameters = _check_capacity(recogniser, training_part(task, split, fold))
    result = evaluate_fold(recogniser, task, split, fold)
    if audited:
        audit(task, split, fold, candidates, fitted, result.evidence, inner_folds=inner_folds)
    best = fitted.search[fitted.candidate]
    history = [dict(row) for row in recogniser.history.get(METHODS[method].part, [])]
    for row in history:
        if int(row["epoch"]) in fitted.held_out:
            row["rho_held_out"] = fitted.held_out[int(row["epoch"])]
    return CellResult(
        evidence=result.evidence,
        certificate=recogniser.certificate,
        config=recogniser.config,
        candidate=fitted.candidate,
        search=fitted.search,
        metrics={
            **result.metrics,
            "val_uar": best["val_uar"],
            "n_parameters": float(parameters),
            "audited": float(audited),
            "seconds": time.perf_counter() - began,
        },
        history=history,
        embedding=recogniser.embed(X_speech=evaluated_part(task, split, fold).speech.X).astype(np.float32),
    )


def audit(
    task: TaskData,
    split: Split,
    fold: int,
    candidates: Sequence[MethodConfig],
    fitted: _Fitted,
    evidence: pd.DataFrame,
    *,
    inner_folds: int = 3,
) -> None:
    """Search and fit again with everything about the evaluated people spoilt: labels, features, names of samples.

    Nothing that is fitted may notice: the scores of the search, its choice and the probabilities that the second model
    gives for the true recordings must be those of the first, and of the evidence, to the last bit. And a prediction may
    not depend on the others made with it: the recordings are predicted once more in two parts.

    Raises
    ------
    ProtocolError : something depends on the people it is evaluated on.
    """
    first = fitted.recogniser
    rng = np.random.default_rng(0)
    speech_fold, eeg_fold = split.fold(fold)
    spoilt = replace(task, speech=_spoilt(task.speech, speech_fold, rng))
    if task.eeg is not None and eeg_fold is not None:
        spoilt = replace(spoilt, eeg=_spoilt(task.eeg, eeg_fold, rng))
    again = _fit(spoilt, split, fold, first.method, candidates, first.seed, inner_folds, first.device, None)
    found = []
    if (again.search, again.held_out, again.candidate) != (fitted.search, fitted.held_out, fitted.candidate):
        found.append("the search scores or chooses differently")
    test = evaluated_part(task, split, fold)
    columns = [f"p_{name}" for name in first.classes]
    for modality, view in (("speech", test.speech), ("eeg", test.eeg)):
        if view is None or modality not in first.heads:
            continue
        published = evidence.loc[evidence["modality"] == modality, columns].to_numpy(np.float64)
        inputs = f"X_{modality}"
        if again.recogniser.predict_proba(**{inputs: view.X}).tobytes() != published.tobytes():
            found.append(f"predictions from {modality} differ")
        parts = [first.predict_proba(**{inputs: half}) for half in np.array_split(view.X, 2)]
        if not np.allclose(np.concatenate(parts), published, rtol=0, atol=BATCH_TOLERANCE):
            found.append(f"predictions from {modality} depend on those made with them")
    if found:
        raise ProtocolError(
            f"method '{first.method}' depends on the people it is evaluated on: with their labels, features and names "
            f"replaced, {' and '.join(found)}",
            where=f"fold {fold}, seed {first.seed}",
            expected="byte-identical results",
        )


def _spoilt(view: View, fold: Fold, rng: np.random.Generator) -> View:
    """``view`` with all that is not trained on spoilt: labels drawn anew and features replaced by noise. The samples of
    the test part are renamed, and nothing else is known of them."""
    held, tested = ~rows_of(view, fold, "train"), rows_of(view, fold, "test")
    y, X, ids, recordings = view.y.copy(), view.X.copy(), view.ids.copy(), view.recordings.copy()
    y[held] = rng.integers(0, int(view.y.max()) + 1, size=int(held.sum()))
    X[held] = 100.0 * rng.normal(size=X[held].shape)
    ids[tested] = [f"spoilt {number}" for number in range(int(tested.sum()))]
    recordings[tested] = ids[tested]
    keys = {name: values.astype(object) for name, values in view.keys.items()}
    for values in keys.values():
        values[tested] = None
    return replace(view, X=X, y=y, ids=ids, recordings=recordings, keys=keys)


def _fit(
    task: TaskData,
    split: Split,
    fold: int,
    method: MethodName,
    candidates: Sequence[MethodConfig],
    seed: int,
    inner_folds: int,
    device: str,
    memo: Memo | None,
) -> _Fitted:
    """Score the candidates on inner folds, then fit the best on the whole training part."""
    training = training_part(task, split, fold)
    certificate, spec = Certificate(), METHODS[method]
    memo = {} if memo is None else memo
    search: list[dict[str, float]] = []
    held_out: list[dict[int, float]] = []
    seen: dict[str, int] = {}
    for number, config in enumerate(candidates):
        # Candidates that differ only in what the method does not read would be scored alike.
        key = digest({name: config.model_dump(mode="json")[name] for name in spec.reads()})
        if key in seen:
            search.append({**search[seen[key]], "candidate": number})
            held_out.append(held_out[seen[key]])
            continue
        seen[key] = number
        best, watched = _score(training, config, method, seed, inner_folds, device, memo, certificate)
        search.append({"candidate": number, **best})
        held_out.append(watched)
    winner = max(range(len(search)), key=lambda number: search[number]["val_uar"])
    config = candidates[winner]
    if search[winner]["epoch"]:
        stage2 = config.stage2.model_copy(update={"epochs": int(search[winner]["epoch"])})
        config = config.model_copy(update={"stage2": stage2})
    recogniser = fit_fold(task, split, fold, method, config, seed=seed, device=device, memo=memo)
    return _Fitted(recogniser, certificate, winner, search, held_out[winner])


def _score(
    training: TaskData,
    config: MethodConfig,
    method: MethodName,
    seed: int,
    inner_folds: int,
    device: str,
    memo: Memo,
    certificate: Certificate,
) -> tuple[dict[str, float], dict[int, float]]:
    """The best epoch of a candidate with its inner-fold UAR, and the held-out correlation of the epochs scored."""
    best: dict[str, float] = {}
    watched: dict[int, float] = {}
    rho = f"{METHODS[method].part}/rho_held_out"
    for point in search_trial(
        training, config, method=method, n_folds=inner_folds, seed=seed, device=device,
        check_every=CHECK_EVERY, memo=memo, certificate=certificate,
    ):  # fmt: skip
        values = {name: float(point[name]) for name in ("epoch", "val_uar", "val_uar_std")}  # type: ignore[arg-type]
        if rho in point:
            watched[int(values["epoch"])] = float(point[rho])  # type: ignore[arg-type]
        if not best or values["val_uar"] > best["val_uar"]:
            best = values
    return best, watched


def _check_capacity(recogniser: EmotionRecogniser, training: TaskData) -> int:
    """Parameters of the model; :class:`ModelError` where they should be those of JMML and are not."""
    found = recogniser.n_parameters()
    wanted = parameters_of_jmml(training.speech.X.shape[1], len(training.classes), recogniser.config)
    if recogniser.spec.matched and abs(found - wanted) > CAPACITY_TOLERANCE * wanted:
        raise ModelError(
            f"method '{recogniser.method}' has {found} parameters from speech to its code",
            expected=f"those of JMML at this configuration, {wanted}, within {CAPACITY_TOLERANCE:.0%}",
        )
    return found
