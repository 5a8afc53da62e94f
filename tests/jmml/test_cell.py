"""A cell of a study: every method through the same search, honest choices, equal bits."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import jmml.cell
import jmml.search
from jmml.cell import run_cell
from jmml.errors import ModelError, ProtocolError
from jmml.methods import METHODS, method
from jmml.models.capacity import parameters_of_jmml
from jmml.recogniser import EmotionRecogniser
from jmml.task import make_split
from tests.jmml.tasks import small_method, small_task

NAMES = tuple(METHODS)
TASK = small_task()
SPLIT = make_split(TASK, groups_per_fold=2, seed=0)
CONFIG = small_method()


def cell(name, candidates=(CONFIG,), task=TASK, **options):
    return run_cell(task, SPLIT, 0, name, candidates, **{"seed": 0, "inner_folds": 2, **options})


@cache
def plain(name):
    """An undisturbed cell. Not to be changed."""
    return cell(name)


def test_the_table_holds_every_method_in_order() -> None:
    assert " ".join(NAMES) == (
        "raw autoencoder mlp supervised-contrastive jec-ssl linear-cca dcca dccae dcc-cae distillation "
        "barlow-twins vicreg jmml one-hot prototypes class-means noise shuffled-labels frozen-pairs"
    )
    assert len({row.label for row in METHODS.values()}) == len(NAMES)
    with pytest.raises(ProtocolError, match="did you mean 'barlow-twins'"):
        method("barlow-twin")


@pytest.mark.parametrize("name", NAMES)
def test_every_method_runs_audited_with_its_capacity_and_reloads_to_the_same_bits(name, tmp_path) -> None:
    result = cell(name, audited=True)
    assert result.metrics["audited"] == 1
    assert result.metrics["test_uar"] > (0.1 if name in ("noise", "shuffled-labels") else 0.35)
    assert set(result.evidence.query("modality == 'speech'")["group"]) == set(SPLIT.speech[0].test)
    assert len(result.embedding) == len(result.evidence.query("modality == 'speech'"))
    wanted = parameters_of_jmml(TASK.speech.X.shape[1], 4, CONFIG)
    assert (abs(result.metrics["n_parameters"] - wanted) <= 0.05 * wanted) == METHODS[name].matched
    recogniser = jmml.cell.fit_fold(TASK, SPLIT, 0, name, CONFIG, seed=0)
    recogniser.save(tmp_path / "model")
    loaded = EmotionRecogniser.load(tmp_path / "model")
    X = TASK.speech.X
    assert loaded.predict_proba(X_speech=X).tobytes() == recogniser.predict_proba(X_speech=X).tobytes()
    assert loaded.certificate == recogniser.certificate
    assert loaded.n_parameters() == recogniser.n_parameters()


def test_a_peer_of_another_size_is_refused(monkeypatch) -> None:
    monkeypatch.setattr("jmml.models.capacity.matched_hidden", lambda *arguments: 7)
    with pytest.raises(ModelError, match=r"'mlp' has \d+ parameters .*; expected those of JMML"):
        cell("mlp")


def test_equal_seeds_give_equal_bits_and_others_do_not() -> None:
    one, two, other = plain("jmml"), cell("jmml"), cell("jmml", seed=1)
    assert one.evidence.equals(two.evidence)
    assert one.embedding.tobytes() == two.embedding.tobytes()
    assert one.search == two.search
    assert one.embedding.tobytes() != other.embedding.tobytes()


def test_a_shared_memo_changes_nothing() -> None:
    memo: dict = {}
    cell("vicreg", memo=memo)
    shared, alone = cell("jmml", memo=memo), plain("jmml")
    assert shared.evidence.equals(alone.evidence)
    assert shared.search == alone.search


def test_the_best_candidate_and_epoch_by_inner_folds_are_refitted(monkeypatch) -> None:
    scores = {0: {5: 0.3, 7: 0.2}, 1: {5: 0.6, 7: 0.4}, 2: {5: 0.1, 7: 0.6}}
    candidates = [small_method(epochs=7, lam_x=float(i)) for i in range(3)]
    asked = []

    def search_trial(training, config, **options):
        number = int(config.stage2.lam_x)
        asked.append(number)
        for epoch, score in scores[number].items():
            yield {"epoch": epoch, "val_uar": score, "val_uar_std": 0.0, "edcc_cae/rho_held_out": epoch / 10}

    monkeypatch.setattr(jmml.cell, "search_trial", search_trial)
    result = cell("jmml", candidates)
    assert asked == [0, 1, 2]
    assert [row["val_uar"] for row in result.search] == [0.3, 0.6, 0.6]
    assert (result.candidate, result.config.stage2.epochs) == (1, 5)
    assert result.config.stage2.lam_x == 1.0
    assert len(result.history) == 5
    assert result.history[4]["rho_held_out"] == 0.5
    assert result.metrics["val_uar"] == 0.6


def test_epochs_are_scored_by_five_and_at_the_end() -> None:
    seen = []
    honest = jmml.cell.search_trial

    def spy(*arguments, **options):
        for point in honest(*arguments, **options):
            seen.append(point["epoch"])
            yield point

    jmml.cell.search_trial = spy
    try:
        cell("jmml", [small_method(epochs=12)])
    finally:
        jmml.cell.search_trial = honest
    assert seen == [5, 10, 12]


def test_every_method_is_given_every_candidate_and_repeats_are_scored_once(monkeypatch) -> None:
    candidates = [small_method(), small_method(lr=1e-3), small_method(lr=2e-3)]
    calls = []
    honest = jmml.cell.search_trial
    monkeypatch.setattr(
        jmml.cell, "search_trial", lambda *a, **k: (calls.append(k["method"]), honest(*a, **k))[1]
    )
    for name, scored in (("raw", 1), ("jec-ssl", 1), ("mlp", 3), ("one-hot", 3)):
        calls.clear()
        result = cell(name, candidates)
        assert [row["candidate"] for row in result.search] == [0, 1, 2]
        assert len(calls) == scored


def test_a_task_without_eeg_leaves_the_methods_that_need_none() -> None:
    alone = small_task(task={"speech": "lab-speech", "eeg": None, "label_space": "quadrants"})
    usable = [name for name in NAMES if not METHODS[name].eeg]
    assert set(usable) == {
        "raw", "autoencoder", "mlp", "supervised-contrastive", "jec-ssl", "one-hot", "prototypes",
    }  # fmt: skip
    split = make_split(alone, groups_per_fold=2, seed=0)
    for name in usable:
        assert run_cell(alone, split, 0, name, [CONFIG], seed=0, inner_folds=2).metrics["test_uar"] > 0.3
    with pytest.raises(ProtocolError, match="needs EEG"):
        run_cell(alone, split, 0, "vicreg", [CONFIG], seed=0, inner_folds=2)


@pytest.mark.parametrize("name", ["one-hot", "prototypes"])
def test_label_only_controls_do_not_read_eeg(name) -> None:
    other = replace(TASK, eeg=replace(TASK.eeg, X=TASK.eeg.X[::-1].copy()))
    assert plain(name).evidence.equals(cell(name, task=other).evidence)


def test_class_means_read_nothing_of_eeg_but_its_class_means() -> None:
    """Partners of one class are one vector: which EEG sample meets which utterance cannot matter."""
    recogniser = jmml.cell.fit_fold(TASK, SPLIT, 0, "class-means", CONFIG, seed=0)
    second, y = recogniser._second_view(jmml.cell.training_part(TASK, SPLIT, 0).eeg)
    assert second.shape[0] == 4 == len(np.unique(y))


@pytest.mark.parametrize("change", ["stage1", "labels", "seed"])
def test_a_memo_never_serves_another_stage_1(change) -> None:
    memo: dict = {}
    other = small_method().model_copy(update={"stage1": small_method().stage1.model_copy(update={"p": 5})})
    config, task, seed = (other if change == "stage1" else CONFIG), TASK, int(change == "seed")
    if change == "labels":
        task = replace(TASK, speech=replace(TASK.speech, y=TASK.speech.y[::-1].copy()))
    cell("jec-ssl", memo=memo)
    shared = cell("jec-ssl", [config], task=task, seed=seed, memo=memo)
    alone = cell("jec-ssl", [config], task=task, seed=seed)
    assert shared.evidence.equals(alone.evidence)
    assert shared.search == alone.search


def test_candidates_of_stage_1_are_searched_with_their_own() -> None:
    wide = small_method().model_copy(update={"stage1": small_method().stage1.model_copy(update={"p": 7})})
    together = cell("jec-ssl", [CONFIG, wide])
    assert together.search[1]["val_uar"] == cell("jec-ssl", [wide]).search[0]["val_uar"]
    assert together.search[0]["val_uar"] != together.search[1]["val_uar"]


def test_inner_scores_are_averaged_over_as_many_folds_as_are_asked_for(monkeypatch) -> None:
    values = iter([0.2, 0.4, 0.9])
    monkeypatch.setattr(jmml.search, "uar", lambda *arguments: next(values, 0.5))
    result = cell("raw", inner_folds=3)
    assert result.search[0]["val_uar"] == pytest.approx(0.5)
    assert result.search[0]["val_uar_std"] == pytest.approx(np.std([0.2, 0.4, 0.9], ddof=1))
    folds = {e.name.split("/")[1] for e in result.certificate.entries if e.name.startswith("search/fold")}
    assert folds == {"fold0", "fold1", "fold2"}


def test_the_search_follows_the_seed() -> None:
    assert plain("mlp").search != cell("mlp", seed=1).search


def test_the_embedding_is_that_of_the_evaluated_utterances_in_their_order() -> None:
    result = plain("jmml")
    recogniser = jmml.cell.fit_fold(TASK, SPLIT, 0, "jmml", result.config, seed=0)
    test = jmml.cell.evaluated_part(TASK, SPLIT, 0).speech
    rows = result.evidence.query("modality == 'speech'")
    assert rows["id"].tolist() == test.ids.tolist()
    assert np.array_equal(result.embedding, recogniser.embed(X_speech=test.X).astype(np.float32))


def test_what_is_not_audited_says_so() -> None:
    assert plain("raw").metrics["audited"] == 0
