"""Leaks planted in the real code, one by one: each must stop the evaluation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import jmml.cell
import jmml.experiment
from jmml.cell import run_cell
from jmml.data.splits import Fold, Split
from jmml.errors import ProtocolError
from jmml.evaluation.leakage import Certificate
from jmml.experiment import evaluate_fold, fit_fold, run_fold
from jmml.models import jec_ssl
from jmml.models.inputs import Standardiser
from jmml.models.pairing import schedule
from jmml.recogniser import EmotionRecogniser
from jmml.task import make_split, training_part
from tests.jmml.tasks import small_method, small_task

TASK = small_task()
SPLIT = make_split(TASK, groups_per_fold=2, seed=0)
CONFIG = small_method()


def cell(task=TASK, split=SPLIT, method="jmml", audited=False):
    return run_cell(task, split, 0, method, [CONFIG], seed=0, inner_folds=2, audited=audited)


def test_honest_code_passes_every_check():
    result = cell(audited=True)
    assert result.metrics["audited"] == 1
    names = {entry.name for entry in result.certificate.entries}
    assert {
        "jec_ssl/speech/scaler",
        "jec_ssl/eeg/partial least squares",
        "edcc_cae/pairing",
        "edcc_cae/networks",
        "classifier/speech",
        "search/selection",
        "search/fold0/jec_ssl/speech/encoders",
        "search/fold1/classifier/speech",
    } <= names
    evaluated = set(result.evidence["group"])
    assert all(evaluated.isdisjoint(entry.groups) for entry in result.certificate.entries)


def test_a_speaker_in_both_parts():
    first = SPLIT.speech[0]
    overlap = (*first.train, first.test[0])
    with pytest.raises(ProtocolError, match=f"fold 0: groups {first.test[0]} are in both parts"):
        replace(first, train=overlap)
    forced = replace(first)
    object.__setattr__(forced, "train", overlap)  # past the check of the fold itself
    leaky = Split((forced, *SPLIT.speech[1:]), SPLIT.eeg)
    with pytest.raises(ProtocolError, match=rf"fitted on groups that are evaluated \({first.test[0]}\)"):
        run_fold(TASK, leaky, 0, "jec-ssl", CONFIG, seed=0)


@pytest.mark.parametrize("modality", ["speech", "eeg"])
def test_windows_of_one_recording_in_both_parts(modality):
    """The group column is wrong: two windows of one trial are filed under two people."""
    view = getattr(TASK, modality)
    fold = getattr(SPLIT, modality)[0]
    recordings = view.recordings.copy()
    test_row = np.flatnonzero(np.isin(view.groups, fold.test))[0]
    train_row = np.flatnonzero(np.isin(view.groups, fold.train))[0]
    recordings[train_row] = recordings[test_row]
    leaky = replace(TASK, **{modality: replace(view, recordings=recordings)})
    with pytest.raises(
        ProtocolError, match=f"{modality}: recordings .* are in the training and in the test part"
    ):
        run_fold(leaky, SPLIT, 0, "jmml", CONFIG, seed=0)


@pytest.mark.parametrize("modality", ["speech", "eeg"])
def test_a_scaler_fitted_on_all_data(monkeypatch, modality):
    view = getattr(TASK, modality)
    rows = len(getattr(training_part(TASK, SPLIT, 0), modality))
    honest = Standardiser.fit

    class Leaky(Standardiser):
        @classmethod
        def fit(cls, X):
            mine = len(X) == rows and np.isin(X[0], view.X).all()
            return honest(view.X if mine else X)

    monkeypatch.setattr(jec_ssl, "Standardiser", Leaky)
    with pytest.raises(ProtocolError, match=f"scaler of stage 1 of {modality} does not hold"):
        run_fold(TASK, SPLIT, 0, "jmml", CONFIG, seed=0)


def test_the_whole_task_in_place_of_its_training_part(monkeypatch):
    monkeypatch.setattr(jmml.experiment, "training_part", lambda task, split, fold: task)
    recogniser = fit_fold(TASK, SPLIT, 0, "mlp", CONFIG, seed=0)
    monkeypatch.undo()
    with pytest.raises(ProtocolError, match="'mlp/networks' was fitted on groups that are evaluated"):
        evaluate_fold(recogniser, TASK, SPLIT, 0)


def test_a_classifier_fitted_on_all_data(monkeypatch):
    honest = EmotionRecogniser.fit_heads

    def leaky(self, speech, eeg=None, **options):
        return honest(self, TASK.speech, TASK.eeg, **options)

    monkeypatch.setattr(EmotionRecogniser, "fit_heads", leaky)
    with pytest.raises(ProtocolError, match="'classifier/speech' was fitted on groups that are evaluated"):
        run_fold(TASK, SPLIT, 0, "jec-ssl", CONFIG, seed=0)


def test_a_part_fitted_on_other_samples_of_the_training_people(monkeypatch):
    """Fewer or more rows than the training part has: the groups alone would not show it."""
    honest = EmotionRecogniser.fit_heads

    def leaky(self, speech, eeg=None, **options):
        return honest(self, speech.rows(np.arange(len(speech) - 1)), eeg, **options)

    monkeypatch.setattr(EmotionRecogniser, "fit_heads", leaky)
    with pytest.raises(
        ProtocolError, match="'classifier/speech' was fitted on 127 samples that are not those"
    ):
        run_fold(TASK, SPLIT, 0, "jec-ssl", CONFIG, seed=0)


def test_pairing_through_test_labels(monkeypatch):
    """Which partners are drawn depends on labels of the evaluated speakers: no certificate shows it, the audit does."""

    def plant(task):
        def leaky(self, speech, eeg):
            peek = int(task.speech.y[np.isin(task.speech.groups, SPLIT.speech[0].test)] @ np.arange(64))
            return schedule("class", speech.y, eeg.y, seed=peek)

        monkeypatch.setattr(EmotionRecogniser, "pairs", leaky)

    honest = jmml.cell._fit

    def fit(task, *arguments):
        plant(task)
        return honest(task, *arguments)

    monkeypatch.setattr(jmml.cell, "_fit", fit)
    cell()  # the pairs themselves are training rows: nothing to see
    with pytest.raises(ProtocolError, match="predictions from speech differ"):
        cell(audited=True)


def test_selection_on_the_outer_fold(monkeypatch):
    """The search is handed the whole task: its entry in the certificate names the evaluated people."""
    honest = jmml.cell.search_trial
    monkeypatch.setattr(jmml.cell, "search_trial", lambda training, *a, **k: honest(TASK, *a, **k))
    with pytest.raises(ProtocolError, match=r"'search/.*' was fitted on groups that are evaluated"):
        cell(method="raw")


def test_selection_by_the_labels_of_the_outer_fold(monkeypatch):
    """The choice peeks at test labels without telling anyone: the audit finds that it changes with them."""
    candidates = [small_method(epochs=1), small_method(epochs=2)]
    honest = jmml.cell._fit

    def fit(task, split, fold, method, candidates, *arguments):
        held = np.isin(task.speech.groups, split.speech[fold].test)
        peek = int(task.speech.y[held][0] == TASK.speech.y[held][0])
        return honest(task, split, fold, method, [candidates[peek]], *arguments)

    monkeypatch.setattr(jmml.cell, "_fit", fit)
    with pytest.raises(ProtocolError, match="depends on the people it is evaluated on"):
        run_cell(TASK, SPLIT, 0, "jmml", candidates, seed=0, inner_folds=2, audited=True)


@pytest.mark.parametrize(
    ("method", "what"),
    [
        ("mlp", "the encoder"),
        ("autoencoder", "the encoder"),
        ("vicreg", "stage 2 of speech"),
        ("raw", "the classifier"),
    ],
)
def test_a_later_scaler_fitted_on_all_data(method, what):
    recogniser = fit_fold(TASK, SPLIT, 0, method, CONFIG, seed=0)
    if method == "raw":
        recogniser.heads["speech"].named_steps["scaler"].fit(TASK.speech.X)
    elif method == "vicreg":
        u = recogniser.stage1["speech"].transform(TASK.speech.X)
        recogniser.stage2.scalers_["speech"] = Standardiser.fit(u)
    else:
        recogniser.stage2.scaler_ = Standardiser.fit(TASK.speech.X.astype(float))
    with pytest.raises(ProtocolError, match=f"scaler of {what} does not hold"):
        evaluate_fold(recogniser, TASK, SPLIT, 0)


def test_a_scaler_with_the_right_mean_and_the_wrong_deviation():
    recogniser = fit_fold(TASK, SPLIT, 0, "jec-ssl", CONFIG, seed=0)
    scaler = recogniser.stage1["speech"].scaler_
    recogniser.stage1["speech"].scaler_ = Standardiser(scaler.mean, scaler.scale * 1.01)
    with pytest.raises(ProtocolError, match="scaler of stage 1 of speech does not hold"):
        evaluate_fold(recogniser, TASK, SPLIT, 0)


def held_rows(view):
    return np.isin(view.groups, [*SPLIT.speech[0].test, *SPLIT.eeg[0].test])


@pytest.fixture(scope="module")
def honest_fit():
    """What an honest search and fit come to, the same for a task whose evaluated people are spoilt."""
    return jmml.cell._fit(TASK, SPLIT, 0, "jmml", [CONFIG], 0, 2, "cpu", None)


def fit_with_a_peek(monkeypatch, honest, peek):
    """Plant a fit whose weights depend on ``peek(task)``, a number."""

    def fit(task, split, fold, method, candidates, seed, *arguments):
        seed = abs(int(peek(task))) % 2**31
        return replace(honest, recogniser=fit_fold(task, split, fold, method, candidates[0], seed=seed))

    monkeypatch.setattr(jmml.cell, "_fit", fit)


@pytest.mark.parametrize(
    "peek",
    [
        lambda task: 1000 * task.speech.X[held_rows(task.speech)].sum(),
        lambda task: 1000 * task.eeg.X[held_rows(task.eeg)].sum(),
        lambda task: task.eeg.y[held_rows(task.eeg)] @ np.arange(64),
        lambda task: sum(map(len, task.speech.ids[held_rows(task.speech)])),
        lambda task: sum(map(len, task.speech.recordings[held_rows(task.speech)])),
        lambda task: (task.speech.y[held_rows(task.speech)] ** 3).sum(),
    ],
    ids=[
        "speech features",
        "EEG features",
        "EEG labels",
        "names of samples",
        "names of recordings",
        "class counts",
    ],
)
def test_a_fit_that_peeks_at_the_evaluated_people(monkeypatch, honest_fit, peek):
    """No certificate shows it, as in the pairing above."""
    fit_with_a_peek(monkeypatch, honest_fit, peek)
    with pytest.raises(ProtocolError, match="predictions from speech differ"):
        cell(audited=True)


def test_a_search_score_from_the_outer_fold(monkeypatch):
    """The choice is the same, one candidate being all there is, but the score would steer the composite control."""
    honest = jmml.cell._fit

    def fit(task, *arguments):
        fitted = honest(task, *arguments)
        test = task.speech.rows(held_rows(task.speech))
        score = float((fitted.recogniser.predict(test.X) == np.array(task.classes)[test.y]).mean())
        return replace(fitted, search=[{**fitted.search[0], "val_uar": score}])

    monkeypatch.setattr(jmml.cell, "_fit", fit)
    with pytest.raises(ProtocolError, match="the search scores or chooses differently"):
        cell(audited=True)


def test_another_choice_with_the_same_predictions(monkeypatch):
    honest = jmml.cell._fit

    def fit(task, *arguments):
        peek = int(task.speech.X[held_rows(task.speech)].sum() > 1000.0)
        return replace(honest(task, *arguments), candidate=peek, search=[{"val_uar": 0.5, "epoch": 4}] * 2)

    big = replace(TASK, speech=replace(TASK.speech, X=TASK.speech.X + 100.0))
    monkeypatch.setattr(jmml.cell, "_fit", fit)
    with pytest.raises(ProtocolError, match="the search scores or chooses differently"):
        cell(task=big, method="raw", audited=True)


@pytest.mark.parametrize("route", ["speech", "eeg"])
def test_a_head_fitted_again_when_the_fold_is_open(monkeypatch, route):
    honest = jmml.cell.evaluate_fold

    def leaky(recogniser, task, split, fold):
        held = jmml.cell.evaluated_part(task, split, fold)
        result = honest(recogniser, task, split, fold)
        view = getattr(held, route)
        head = recogniser.heads[route].fit(recogniser.embed(**{f"X_{route}": view.X}), view.y)
        rows = result.evidence["modality"] == route
        columns = [f"p_{name}" for name in task.classes]
        result.evidence.loc[rows, columns] = head.predict_proba(recogniser.embed(**{f"X_{route}": view.X}))
        return result

    monkeypatch.setattr(jmml.cell, "evaluate_fold", leaky)
    with pytest.raises(ProtocolError, match=f"predictions from {route} differ"):
        cell(audited=True)


def test_a_prediction_that_depends_on_those_made_with_it(monkeypatch):
    """Centring by the recordings at hand is transductive; undeclared, it is refused."""
    honest = EmotionRecogniser.embed

    def leaky(self, X_speech=None, X_eeg=None):
        embedding = honest(self, X_speech, X_eeg)
        return embedding if len(embedding) in (128, 192) else embedding - embedding.mean(0)

    monkeypatch.setattr(EmotionRecogniser, "embed", leaky)
    with pytest.raises(ProtocolError, match="depend on those made with them"):
        cell(method="jec-ssl", audited=True)


def test_every_candidate_of_the_search_is_certified(monkeypatch):
    """The second candidate is scored on everyone: its entries name the evaluated people."""
    honest, calls = jmml.cell.search_trial, []

    def leaky(training, *arguments, **options):
        calls.append(1)
        return honest(TASK if len(calls) == 2 else training, *arguments, **options)

    monkeypatch.setattr(jmml.cell, "search_trial", leaky)
    with pytest.raises(ProtocolError, match=r"'search/.*' was fitted on groups that are evaluated"):
        run_cell(TASK, SPLIT, 0, "jmml", [CONFIG, small_method(lr=1e-3)], seed=0, inner_folds=2)


@pytest.mark.parametrize("gone", ["jec_ssl/eeg/encoders", "edcc_cae/pairing", "classifier/speech"])
def test_a_fitted_object_without_an_entry(gone):
    recogniser = fit_fold(TASK, SPLIT, 0, "jmml", CONFIG, seed=0)
    kept = [entry for entry in recogniser.certificate.entries if entry.name != gone]
    with pytest.raises(ProtocolError, match=f"no entry for '{gone}'"):
        evaluate_fold(replace(recogniser, certificate=Certificate(kept)), TASK, SPLIT, 0)


def test_eeg_of_an_evaluated_person_in_a_parallel_corpus():
    """The same people in both modalities: an encoder fitted on their EEG has seen them."""
    groups = np.array([f"s{name[1:]}" for name in TASK.eeg.groups], dtype=object)
    together = replace(TASK, eeg=replace(TASK.eeg, groups=groups))
    apart = Split(SPLIT.speech, tuple(Fold(f.index, f.train, f.test) for f in reversed(SPLIT.speech)))
    with pytest.raises(ProtocolError, match=r"eeg: .* was fitted on groups that are evaluated"):
        run_fold(together, apart, 0, "jmml", CONFIG, seed=0)
