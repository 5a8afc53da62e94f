from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from jmml.errors import DataError, ProtocolError
from jmml.experiment import (
    evaluate_fold,
    fit_fold,
    run_fold,
    search_trial,
)
from jmml.recogniser import EmotionRecogniser, derive_seed
from jmml.task import load_task, make_split, training_part
from tests.jmml.tasks import gaussian_table, small_method, small_params, small_task

METHODS = ("raw", "jec-ssl", "jmml", "one-hot")


@pytest.fixture(scope="module")
def task():
    return small_task()


@pytest.fixture(scope="module")
def split(task):
    return make_split(task, groups_per_fold=2, seed=0)


@pytest.fixture(scope="module")
def plain(task, split):
    """What a method comes to on the first fold. Not to be changed."""

    @cache
    def result(method):
        return run_fold(task, split, 0, method, small_method(), seed=0)

    return result


@pytest.mark.parametrize("method", METHODS)
def test_every_method_beats_chance_on_separable_speakers(plain, split, method):
    result = plain(method)
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


def test_the_imagined_eeg_is_appended_when_it_is_wanted(task, split):
    with_it, without = (
        fit_fold(task, split, 0, "jmml", small_method(imagined=wanted), seed=0) for wanted in (True, False)
    )
    codes, alone = (model.embed(X_speech=task.speech.X[:3]) for model in (with_it, without))
    assert (codes.shape, alone.shape) == ((3, 3 + 6), (3, 3))
    assert np.array_equal(codes[:, :3], alone)
    u = with_it.stage1["speech"].transform(task.speech.X[:3])
    assert np.array_equal(codes[:, 3:], with_it.stage2.imagine(X_speech=u))


def test_the_head_of_both_modalities_is_fitted_on_pairs_of_one_class(task, split, monkeypatch):
    fitted = {}
    honest = EmotionRecogniser.embed

    def spy(self, X_speech=None, X_eeg=None):
        if X_speech is not None and X_eeg is not None:
            fitted["rows"] = (X_speech, X_eeg)
        return honest(self, X_speech, X_eeg)

    monkeypatch.setattr(EmotionRecogniser, "embed", spy)
    fit_fold(task, split, 0, "jmml", small_method(), seed=0)
    label = {
        "speech": {row.tobytes(): y for row, y in zip(task.speech.X, task.speech.y, strict=True)},
        "eeg": {row.tobytes(): y for row, y in zip(task.eeg.X, task.eeg.y, strict=True)},
    }
    speech, eeg = fitted["rows"]
    assert len(speech) == len(eeg) > 100
    assert [label["speech"][row.tobytes()] for row in speech] == [label["eeg"][row.tobytes()] for row in eeg]


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


def test_stage1_memo_changes_nothing(task, split, plain):
    memo: dict = {}
    run_fold(task, split, 0, "jec-ssl", small_method(), seed=0, memo=memo)
    assert len(memo) == 1
    shared = run_fold(task, split, 0, "jmml", small_method(), seed=0, memo=memo)
    alone = plain("jmml")
    assert shared.evidence.equals(alone.evidence)


def test_a_memo_never_carries_a_model_into_another_fold(task, split):
    memo: dict = {}
    run_fold(task, split, 0, "jec-ssl", small_method(), seed=0, memo=memo)
    shared = run_fold(task, split, 1, "jec-ssl", small_method(), seed=0, memo=memo)
    alone = run_fold(task, split, 1, "jec-ssl", small_method(), seed=0)
    assert len(memo) == 2
    assert shared.evidence.equals(alone.evidence)


def fitted_arrays(recogniser):
    parts = [*recogniser.stage1.values(), *([recogniser.stage2] if recogniser.stage2 else [])]
    return [array.tobytes() for part in parts for _, array in sorted(part.state()[0].items())]


@pytest.mark.parametrize("normalisation", ["none", "per-group"])
@pytest.mark.parametrize("method", ["jec-ssl", "jmml", "one-hot"])
def test_recordings_of_held_out_people_change_nothing_that_is_fitted(method, normalisation):
    speech, eeg = gaussian_table("speech"), gaussian_table("eeg")
    params = small_params(protocol={"normalisation": normalisation})
    task = load_task(params, speech, eeg)
    split = make_split(task, groups_per_fold=2, seed=0)

    def disturbed(table, people):
        X = table.X.copy()
        X[np.isin(table.groups, people)] *= 7.0
        return replace(table, X=X)

    other = load_task(params, disturbed(speech, split.speech[0].test), disturbed(eeg, split.eeg[0].test))
    first, second = (fit_fold(each, split, 0, method, small_method(), seed=0) for each in (task, other))
    assert fitted_arrays(first) == fitted_arrays(second)
    assert len(fitted_arrays(first)) > 5


def test_every_random_part_follows_the_seed(task, split):
    one, two = (fit_fold(task, split, 0, "jmml", small_method(), seed=seed) for seed in (0, 1))
    for a, b in ((one.stage1["speech"], two.stage1["speech"]), (one.stage1["eeg"], two.stage1["eeg"])):
        assert a.state()[0]["network.w1"].tobytes() != b.state()[0]["network.w1"].tobytes()
    training = training_part(task, split, 0)
    pairs = [model.pairs(training.speech, training.eeg)(0) for model in (one, two)]
    assert (pairs[0] != pairs[1]).any()
    assert derive_seed(0, "edcc_cae") != derive_seed(1, "edcc_cae") != derive_seed(1, "pairing")


@pytest.mark.parametrize("k", [2, 3, 6])
def test_the_one_hot_control_pairs_every_sample_with_the_code_of_its_class(task, split, k):
    training = training_part(task, split, 0)
    model = fit_fold(task, split, 0, "one-hot", small_method(k=k), seed=0)
    rows = model.pairs(training.speech, None)(0)
    codes, y_second = model._second_view(None)
    assert (y_second[rows] == training.speech.y).all()
    assert codes.shape[1] >= k
    assert (codes[rows][:, :4].argmax(axis=1) == training.speech.y).all()


def test_a_model_of_other_classes_features_or_fold_is_not_scored(task, split, plain):
    result = plain("raw")
    assert (result.evidence["y_true"].to_numpy() == np.asarray(task.classes)[_test_rows(task, split).y]).all()
    for change in (
        {"classes": task.classes[::-1]},
        {"context": {**result.recogniser.context, "speech_feature_names": ["other"]}},
        {"context": {**result.recogniser.context, "normalisation": "per-group"}},
        {"context": {**result.recogniser.context, "split_digest": "0"}},
        {"context": {**result.recogniser.context, "outer_fold": 1}},
    ):
        with pytest.raises(ProtocolError, match="made for other data or settings"):
            evaluate_fold(replace(result.recogniser, **change), task, split, 0)


def _test_rows(task, split):
    return task.speech.rows(np.isin(task.speech.groups, split.speech[0].test))


def test_a_search_fits_on_inner_training_people_and_scores_the_others(task, split, monkeypatch):
    training = training_part(task, split, 0)
    person = {
        row.tobytes(): group for row, group in zip(training.speech.X, training.speech.groups, strict=True)
    }
    fitted, scored = [], []
    fit_heads, iter_fit, predict = (
        EmotionRecogniser.fit_heads,
        EmotionRecogniser.iter_fit,
        EmotionRecogniser.predict_proba,
    )

    def people(X):
        return {person[row.tobytes()] for row in X}

    def spy_iter(self, speech, eeg=None, **options):
        self.people = people(speech.X)
        return iter_fit(self, speech, eeg, **options)

    def spy_heads(self, speech, eeg=None, **options):
        fitted.append(people(speech.X) | self.people)
        return fit_heads(self, speech, eeg, **options)

    def spy_predict(self, X_speech=None, X_eeg=None):
        scored.append((self.people, people(X_speech)))
        return predict(self, X_speech, X_eeg)

    monkeypatch.setattr(EmotionRecogniser, "iter_fit", spy_iter)
    monkeypatch.setattr(EmotionRecogniser, "fit_heads", spy_heads)
    monkeypatch.setattr(EmotionRecogniser, "predict_proba", spy_predict)
    list(search_trial(training, small_method(), n_folds=2, seed=0))
    assert {len(group) for group in fitted} == {2}
    assert all(seen.isdisjoint(held) for seen, held in scored)
    assert set.union(*(held for _, held in scored)) == set(training.speech.groups)


def test_per_speaker_normalisation_is_entered_as_what_it_is(plain):
    task = small_task(protocol={"normalisation": "per-group"})
    split = make_split(task, groups_per_fold=2, seed=0)
    certificate = run_fold(task, split, 0, "jmml", small_method(), seed=0).certificate
    assert certificate.transductive
    entered = {entry.modality for entry in certificate.entries if entry.role == "label-free"}
    assert entered == {"speech", "eeg"}
    assert not plain("jmml").certificate.transductive


def test_held_out_correlations_are_of_people_outside_the_fit(task, split, monkeypatch):
    training, seen = training_part(task, split, 0), []
    honest = EmotionRecogniser.iter_fit

    def spy(self, speech, eeg=None, *, held_out=None, memo=None):
        rows = {row.tobytes() for row in speech.X}
        seen.append([row.tobytes() in rows for row in held_out[0]])
        y = {row.tobytes(): label for row, label in zip(training.speech.X, training.speech.y, strict=True)}
        y_eeg = {row.tobytes(): label for row, label in zip(training.eeg.X, training.eeg.y, strict=True)}
        pairs = zip(*held_out, strict=True)
        assert all(y[a.tobytes()] == y_eeg[b.tobytes()] for a, b in pairs)
        return honest(self, speech, eeg, held_out=held_out, memo=memo)

    monkeypatch.setattr(EmotionRecogniser, "iter_fit", spy)
    list(search_trial(training, small_method(), n_folds=2, seed=0))
    assert len(seen) == 2
    assert not any(map(any, seen))


def test_permuted_pairs_are_at_the_level_of_chance_and_true_ones_above(plain):
    metrics = plain("jmml").metrics
    assert metrics["test_rho"] > metrics["test_rho_permuted"] + 0.1


def test_features_of_other_settings_are_refused():
    table = replace(gaussian_table("speech"), extractor="0123", settings={"n_mfcc": 20})
    with pytest.raises(DataError, match=r"extracted with another .*n_mfcc.* Run `dvc repro`"):
        load_task(small_params(), table, gaussian_table("eeg"))


def test_three_inference_routes(task, plain):
    recogniser = plain("jmml").recogniser
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


def test_certificate_names_what_was_fitted_and_catches_overlap(task, split, plain):
    result = plain("jmml")
    with pytest.raises(ProtocolError, match=split.speech[1].test[0]):
        evaluate_fold(result.recogniser, task, split, 1)


def test_a_search_never_sees_the_outer_groups(task, split):
    training = training_part(task, split, 2)
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
    with pytest.raises(ProtocolError, match="share people or recordings"):
        make_split(apart, groups_per_fold=2, seed=0)


def test_people_of_one_name_are_left_out_of_both_modalities_at_once():
    speech, eeg = gaussian_table("speech"), gaussian_table("eeg")
    named_alike = replace(eeg, index=eeg.index.assign(group=eeg.index["group"].str.replace("e", "s")))
    split = make_split(load_task(small_params(), speech, named_alike), groups_per_fold=2, seed=0)
    assert split.speech == split.eeg
    some = named_alike.index["group"].replace("s00", "someone")
    with pytest.raises(ProtocolError, match="s00, someone occur in one only"):
        make_split(
            load_task(small_params(), speech, replace(eeg, index=eeg.index.assign(group=some))),
            groups_per_fold=2,
            seed=0,
        )


def test_instance_pairing_of_corpora_recorded_apart_is_an_error(task, split):
    with pytest.raises(ProtocolError, match="no EEG sample with the id"):
        run_fold(task, split, 0, "jmml", small_method(pairing="instance"), seed=0)


def test_search_reports_every_epoch_and_is_deterministic(task, split):
    training = training_part(task, split, 0)
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
