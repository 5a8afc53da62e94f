from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from jmml.errors import ProtocolError
from jmml.experiment import evaluate_fold, load_task, make_split, outer_training, run_fold, search_trial
from jmml.recogniser import EmotionRecogniser
from tests.jmml.tasks import gaussian_table, small_method, small_params, small_task

METHODS = ("raw", "jec-ssl", "jmml", "one-hot")


@pytest.fixture(scope="module")
def task():
    return small_task()


@pytest.fixture(scope="module")
def split(task):
    return make_split(task, groups_per_fold=2, seed=0)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_beats_chance_on_separable_speakers(task, split, method):
    result = run_fold(task, split, 0, method, small_method(), seed=0)
    assert result.metrics["test_uar"] > 0.4
    speech = result.evidence.query("modality == 'speech'")
    assert set(speech["group"]) == set(split.speech[0].test)
    assert np.allclose(speech.filter(like="p_").sum(axis=1), 1)


@pytest.mark.parametrize("method", METHODS)
def test_no_effect_gives_chance(method):
    task = small_task(effect=0.0)
    split = make_split(task, groups_per_fold=2, seed=0)
    scores = [run_fold(task, split, f, method, small_method(), seed=0).metrics["test_uar"] for f in range(3)]
    assert 0.1 < np.mean(scores) < 0.4


def test_a_code_wider_than_the_number_of_classes(task, split):
    for method in ("jmml", "one-hot"):
        assert run_fold(task, split, 0, method, small_method(k=6), seed=0).metrics["test_uar"] > 0.4


def test_without_cross_decoders_nothing_is_imagined(task, split):
    recogniser = run_fold(task, split, 0, "jmml", small_method(lam_x=0.0), seed=0).recogniser
    assert recogniser.embed(X_speech=task.speech.X[:3]).shape == (3, 3)


@pytest.mark.parametrize("method", METHODS)
def test_permuting_test_labels_leaves_predictions_byte_identical(task, split, method):
    rng = np.random.default_rng(1)

    def shuffled(view, test_groups):
        held = np.isin(view.groups, test_groups)
        y = view.y.copy()
        y[held] = rng.permutation(y[held])
        return replace(view, y=y)

    other = replace(
        task,
        speech=shuffled(task.speech, split.speech[0].test),
        eeg=shuffled(task.eeg, split.eeg[0].test),
    )
    assert (other.speech.y != task.speech.y).any()
    probabilities = [
        run_fold(each, split, 0, method, small_method(), seed=3)
        .evidence.filter(like="p_")
        .to_numpy()
        .tobytes()
        for each in (task, other)
    ]
    assert probabilities[0] == probabilities[1]


@pytest.mark.parametrize("method", METHODS)
def test_same_seed_same_bytes_and_reload_is_bit_identical(task, split, method, tmp_path):
    results = [run_fold(task, split, 1, method, small_method(), seed=5) for _ in range(2)]
    first, second = (r.evidence.filter(like="p_").to_numpy() for r in results)
    assert first.tobytes() == second.tobytes()
    results[0].recogniser.save(tmp_path / "model")
    loaded = EmotionRecogniser.load(tmp_path / "model")
    again = evaluate_fold(loaded, task, split, 1)
    assert again.evidence.filter(like="p_").to_numpy().tobytes() == first.tobytes()
    assert again.certificate == results[0].certificate


def test_stage1_memo_changes_nothing(task, split):
    memo: dict = {}
    run_fold(task, split, 0, "jec-ssl", small_method(), seed=0, memo=memo)
    assert set(memo) == {"speech"}
    shared = run_fold(task, split, 0, "jmml", small_method(), seed=0, memo=memo)
    alone = run_fold(task, split, 0, "jmml", small_method(), seed=0)
    assert shared.evidence.equals(alone.evidence)


def test_three_inference_routes(task, split):
    recogniser = run_fold(task, split, 0, "jmml", small_method(), seed=0).recogniser
    X_speech, X_eeg = task.speech.X[:5], task.eeg.X[:5]
    outputs = [
        recogniser.predict_proba(X_speech=X_speech),
        recogniser.predict_proba(X_eeg=X_eeg),
        recogniser.predict_proba(X_speech=X_speech, X_eeg=X_eeg),
    ]
    for proba in outputs:
        assert proba.shape == (5, 4)
        assert np.allclose(proba.sum(axis=1), 1)
    assert not np.allclose(outputs[0], outputs[2])


def test_certificate_names_what_was_fitted_and_catches_overlap(task, split):
    result = run_fold(task, split, 0, "jmml", small_method(), seed=0)
    with pytest.raises(ProtocolError, match=split.speech[1].test[0]):
        evaluate_fold(result.recogniser, task, split, 1)


def test_a_search_never_sees_the_outer_groups(task, split):
    training = outer_training(task, split, 2)
    assert not set(training.speech.groups) & set(split.speech[2].test)
    assert not set(training.eeg.groups) & set(split.eeg[2].test)


def test_a_parallel_corpus_leaves_a_person_out_of_both_modalities():
    speech = gaussian_table("speech")
    eeg = gaussian_table("eeg")
    same = {"id": speech.index["id"], "recording": speech.index["recording"], "group": speech.index["group"]}
    parallel = load_task(small_params(), speech, replace(eeg, index=eeg.index.assign(**same)))
    split = make_split(parallel, groups_per_fold=2, seed=0)
    assert split.speech == split.eeg
    result = run_fold(parallel, split, 0, "jmml", small_method(pairing="instance"), seed=0)
    assert result.metrics["test_uar"] > 0.4
    strangers = {**same, "group": "x" + speech.index["group"]}
    apart = load_task(small_params(), speech, replace(eeg, index=eeg.index.assign(**strangers)))
    with pytest.raises(ProtocolError, match="same people under the same names"):
        make_split(apart, groups_per_fold=2, seed=0)


def test_instance_pairing_of_corpora_recorded_apart_is_an_error(task, split):
    with pytest.raises(ProtocolError, match="no EEG sample with the id"):
        run_fold(task, split, 0, "jmml", small_method(pairing="instance"), seed=0)


def test_search_reports_every_epoch_and_is_deterministic(task, split):
    training = outer_training(task, split, 0)
    runs = [list(search_trial(training, small_method(), n_folds=2, seed=0)) for _ in range(2)]
    assert runs[0] == runs[1]
    assert [r["epoch"] for r in runs[0]] == [1, 2, 3, 4]
    assert all(0 <= r["val_uar"] <= 1 for r in runs[0])
    history = runs[0][0]["history"]
    assert {key.rsplit("/", 1)[0] for key in history} == {"jec_ssl/speech", "jec_ssl/eeg"}
    assert all(len(values) == 4 for values in history.values())
    assert "history" not in runs[0][1]
    assert {"edcc_cae/rho_held_out", "edcc_cae/rho_permuted"} <= set(runs[0][0])


def test_a_class_in_one_modality_only_is_an_error():
    eeg = gaussian_table("eeg")
    keep = ~((eeg.index["valence"] > 5) & (eeg.index["arousal"] < 5)).to_numpy()
    eeg = replace(eeg, index=eeg.index[keep].reset_index(drop=True), X=eeg.X[keep])
    with pytest.raises(ProtocolError, match="HVLA occurs in one modality only"):
        load_task(small_params(), gaussian_table("speech"), eeg)


def test_one_class_is_an_error():
    speech = gaussian_table("speech")
    keep = (speech.index["label"] == "anger").to_numpy()
    speech = replace(speech, index=speech.index[keep].reset_index(drop=True), X=speech.X[keep])
    params = small_params(task={"speech": "lab-speech", "eeg": None, "label_space": "quadrants"})
    with pytest.raises(ProtocolError, match="at least two classes"):
        load_task(params, speech, None)


def test_jmml_without_eeg_is_an_error():
    task = small_task(task={"speech": "lab-speech", "eeg": None, "label_space": "quadrants"})
    split = make_split(task, groups_per_fold=2, seed=0)
    with pytest.raises(ProtocolError, match="needs EEG"):
        run_fold(task, split, 0, "jmml", small_method(), seed=0)
    assert run_fold(task, split, 0, "one-hot", small_method(), seed=0).metrics["test_uar"] > 0.4


def test_per_group_normalisation_removes_speaker_offsets():
    task = small_task(protocol={"normalisation": "per-group"})
    for group in np.unique(task.speech.groups):
        X = task.speech.X[task.speech.groups == group]
        assert np.allclose(X.mean(axis=0), 0, atol=1e-5)
        assert np.allclose(X.std(axis=0), 1, atol=1e-4)
