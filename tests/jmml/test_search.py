"""A search can be left after any scored epoch and taken up again, and computes what trials share once."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import stats

from jmml.config import MethodConfig
from jmml.errors import ModelError, ProtocolError
from jmml.evaluation.leakage import Certificate
from jmml.experiment import search_trial
from jmml.recogniser import EmotionRecogniser
from jmml.search import load_checkpoint, lower_bound, prepare_folds, save_checkpoint
from jmml.task import TaskData, load_task, make_split, training_part
from tests.jmml.tasks import gaussian_table, small_method, small_params, small_task


def parallel_task() -> TaskData:
    speech, eeg = gaussian_table("speech"), gaussian_table("eeg")
    same = {name: speech.index[name] for name in ("id", "recording", "group")}
    return load_task(small_params(), speech, replace(eeg, index=eeg.index.assign(**same)))


def outer_part(task: TaskData) -> TaskData:
    return training_part(task, make_split(task, groups_per_fold=2, seed=0), 0)


APART, TOGETHER = outer_part(small_task()), outer_part(parallel_task())
FOLDS = {name: prepare_folds(APART, 2, 0) for name in ("class", "class-frozen")}
FOLDS["instance"] = prepare_folds(TOGETHER, 2, 0)
MEMO: dict = {}  # stage 1 is the same in all of these tests


def search(config: MethodConfig | None = None, *, pairing: str = "class", **options):
    return search_trial(
        FOLDS[pairing], config or small_method(pairing=pairing), **{"memo": MEMO, "check_every": 1} | options
    )


@cache
def left_after(epoch: int, **options):
    """The state of a search at ``epoch``, and the bytes of what follows there. Not to be changed."""
    running = search(**options)
    for point in running:
        if point["epoch"] == epoch:
            break
    state = running.state()
    return state, json.dumps(list(running))


@pytest.mark.parametrize(
    ("pairing", "epoch"),
    [("class", 1), ("class", 2), ("class", 3), ("class", 4), ("instance", 2), ("class-frozen", 2)],
)
def test_a_search_that_is_taken_up_goes_on_to_the_same_bits(pairing, epoch):
    state, straight = left_after(epoch, pairing=pairing)
    assert json.dumps(list(search(pairing=pairing, state=state))) == straight
    assert len(json.loads(straight)) == 4 - epoch


@pytest.mark.parametrize(
    "method", ["mlp", "autoencoder", "dccae", "vicreg", "distillation", "noise", "one-hot"]
)
def test_every_method_with_epochs_can_be_taken_up(method):
    state, straight = left_after(2, method=method)
    assert json.dumps(list(search(method=method, state=state))) == straight


@pytest.mark.parametrize("method", ["raw", "jec-ssl", "linear-cca"])
def test_a_method_without_epochs_is_over_after_its_only_score(method):
    running = search(method=method)
    (only,) = running
    assert only["epoch"] == (1 if method == "linear-cca" else 0)
    again = search(method=method, state=running.state())
    assert list(again) == []
    assert again.state()[1] == running.state()[1]


def test_a_checkpoint_on_disk_continues_to_the_same_bits(tmp_path):
    running = search()
    for point in running:
        save_checkpoint(tmp_path / "trial", running.state())
        if point["epoch"] == 2:
            break
    assert sorted(path.name for path in (tmp_path / "trial").iterdir()) == [
        "epoch000002.json",
        "epoch000002.safetensors",
    ]
    straight = json.dumps(list(running))
    taken_up = search(state=load_checkpoint(tmp_path / "trial"))
    assert json.dumps(list(taken_up)) == straight
    # And once more, from a search that was itself taken up.
    assert json.dumps(taken_up.state()[1]) == json.dumps(running.state()[1])
    assert {k: v.tobytes() for k, v in taken_up.state()[0].items()} == {
        k: v.tobytes() for k, v in running.state()[0].items()
    }


def test_a_state_is_left_alone_by_the_training_after_it():
    running = search()
    next(running)
    arrays, meta = running.state()
    before = {name: value.tobytes() for name, value in arrays.items()}, json.dumps(meta)
    list(running)
    assert ({name: value.tobytes() for name, value in arrays.items()}, json.dumps(meta)) == before


def test_a_checkpoint_that_is_being_written_leaves_the_one_before(tmp_path):
    state, _ = left_after(1)
    save_checkpoint(tmp_path, state)
    (tmp_path / "epoch000002.safetensors").write_bytes(b"the arrays of epoch 2, without a description yet")
    assert load_checkpoint(tmp_path)[1]["epoch"] == 1


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [("safetensors", cut), ("safetensors", flip), ("json", cut), ("safetensors", lambda path: path.unlink())],
)
def test_a_damaged_checkpoint_is_refused(tmp_path, suffix, damage):
    state, _ = left_after(2)
    save_checkpoint(tmp_path, state)
    damage(tmp_path / f"epoch000002.{suffix}")
    with pytest.raises(ModelError):
        load_checkpoint(tmp_path)


def test_an_empty_folder_holds_no_checkpoint(tmp_path):
    with pytest.raises(ModelError, match="holds no checkpoint"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("key", ["epoch", "config", "data", "format"])
def test_a_state_without_its_parts_is_damaged(key):
    (arrays, meta), _ = left_after(2)
    with pytest.raises(ModelError, match="damaged"):
        search(state=(arrays, {name: value for name, value in meta.items() if name != key}))


def test_a_state_without_its_arrays_is_refused():
    (arrays, meta), _ = left_after(2)
    for gone in ("fold1.trainer.generator", "fold0.trainer.3.exp_avg", "fold0.network.f_s.mean"):
        rest = {name: value for name, value in arrays.items() if name != gone}
        with pytest.raises(ModelError, match="cannot be continued"):
            next(search(state=(rest, meta)))
    with pytest.raises(ModelError, match="no history of fold 0"):
        next(search(state=(arrays, {**meta, "history": []})))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"k": 2}, "stage2.k"),
        ({"hidden": 8, "imagined": False}, "stage2.hidden, stage2.imagined"),
        ({"epochs": 9}, "stage2.epochs"),
        ({"pairing": "class-frozen"}, "stage2.pairing"),
    ],
)
def test_a_state_of_other_settings_is_refused_by_their_names(change, named):
    state, _ = left_after(2)
    with pytest.raises(ModelError, match=f"another {named};"):
        search(small_method(**change), state=state)


def test_a_state_of_other_data_or_another_seed_is_refused():
    state, _ = left_after(2)
    other = outer_part(small_task(seed=1))
    for options, named in (
        ({"n_folds": 2, "seed": 1}, "seed, data"),
        ({"n_folds": 3, "seed": 0}, "n_folds, data"),
    ):
        with pytest.raises(ModelError, match=f"another {named};"):
            search_trial(APART, small_method(), state=state, **options)
    with pytest.raises(ModelError, match="another data;"):
        search_trial(other, small_method(), n_folds=2, seed=0, state=state)
    with pytest.raises(ModelError, match="another method;"):
        search(method="dcca", state=state)


@pytest.mark.parametrize("change", [{"lr": 1e-12}, {"weight_decay": 10.0}, {"lam_c": 0.0}, {"lam_y": 3.0}])
def test_a_new_learning_rate_or_weight_holds_from_where_a_state_is_taken_up(change):
    state, straight = left_after(2)
    runs = [list(search(small_method(**change), state=state)) for _ in range(2)]
    assert runs[0] == runs[1] != json.loads(straight)
    assert [point["epoch"] for point in runs[0]] == [3, 4]
    if "lr" in change:  # nothing moves any more, whatever the moments of Adam say
        assert runs[0][0]["val_uar"] == runs[0][1]["val_uar"]
        assert runs[0][0]["edcc_cae/rho_held_out"] == pytest.approx(
            runs[0][1]["edcc_cae/rho_held_out"], abs=1e-6
        )
    if "lam_y" in change:
        assert "edcc_cae/loss_class" in runs[0][0]


def test_there_is_no_state_before_the_first_score():
    with pytest.raises(ModelError, match="no scored epoch"):
        search().state()


def test_there_is_no_state_where_training_has_failed_since_the_last_score(monkeypatch):
    running = search()
    next(running)

    def fail(*args, **options):
        raise ModelError("cannot be fitted")

    monkeypatch.setattr(EmotionRecogniser, "fit_heads", fail)
    with pytest.raises(ModelError, match="cannot be fitted"):
        next(running)
    with pytest.raises(ModelError, match="no scored epoch to go on from"):
        running.state()


def test_a_state_of_another_stage_1_or_classifier_is_refused():
    state, _ = left_after(1)
    config = small_method()
    for section, values in (("stage1", {"alpha": 2.5}), ("classifier", {"name": "linear-svm"})):
        other = config.model_copy(update={section: getattr(config, section).model_copy(update=values)})
        with pytest.raises(ModelError, match=rf"another {section}\."):
            search(other, state=state)


def test_a_state_after_an_epoch_that_was_scored_later_than_others():
    running = search(check_every=3)
    assert [next(running)["epoch"]] == [3]
    state = running.state()
    assert [point["epoch"] for point in search(check_every=3, state=state)] == [4]
    assert list(search(state=state)) == list(running)


# ---------------------------------------------------------------------- what trials share


def test_prepared_folds_give_the_same_scores_as_the_task():
    plain = list(search_trial(APART, small_method(), n_folds=2, seed=0))
    assert plain == list(search())
    assert plain == list(search_trial(FOLDS["class"], small_method(), n_folds=2, seed=0, memo={}))


def test_folds_of_another_number_or_seed_are_refused():
    with pytest.raises(ProtocolError, match="another n_folds and seed"):
        search_trial(FOLDS["class"], small_method(), n_folds=3, seed=1)
    with pytest.raises(ProtocolError, match="n_folds and seed are missing"):
        search_trial(APART, small_method())


def test_the_content_of_a_view_is_its_features_and_classes_and_is_read_once(monkeypatch):
    view = APART.speech
    wanted = view.content
    assert replace(view, ids=view.ids[::-1], groups=view.groups[::-1]).content == wanted
    for change in (
        {"X": np.nextafter(view.X, np.inf)},
        {"X": view.X.astype(np.float32)},
        {"X": view.X.reshape(-1, 2 * view.X.shape[1])},
        {"y": view.y[::-1]},
    ):
        assert replace(view, **change).content != wanted
    monkeypatch.setattr("jmml.view.sha256", lambda: pytest.fail("was read again"))
    assert view.content == wanted


def test_nothing_is_computed_before_the_first_score(monkeypatch):
    monkeypatch.setattr("jmml.recogniser.fit_stage1", lambda *_: pytest.fail("too early"))
    search_trial(APART, small_method(), n_folds=2, seed=0)


def test_the_memo_is_asked_for_all_stage_1_models_at_once():
    class Asked:
        calls: list = []  # noqa: RUF012

        def obtain(self, jobs):
            self.calls.append(sorted(jobs))
            return {key: job() for key, job in jobs.items()}

    memo = Asked()
    assert list(search(memo=memo)) == list(search())
    (keys,) = memo.calls
    assert len(keys) == len(set(keys)) == 4  # two folds, two modalities
    assert set(keys) <= set(MEMO)


def test_classifiers_are_fitted_once_per_scored_epoch_and_on_stage_1_outputs_computed_once(monkeypatch):
    from jmml.models.jec_ssl import JECSSL

    heads, outputs = [], []
    fit_heads, transform = EmotionRecogniser.fit_heads, JECSSL.transform
    monkeypatch.setattr(
        EmotionRecogniser, "fit_heads", lambda self, *a, **k: (heads.append(1), fit_heads(self, *a, **k))[1]
    )
    monkeypatch.setattr(JECSSL, "transform", lambda self, X: (outputs.append(len(X)), transform(self, X))[1])
    list(search())
    assert len(heads) == 2 * 4
    # Per fold: training speech, training EEG, both sides of the watched pairs.
    assert len(outputs) == 2 * 4


# ---------------------------------------------------------------------- what a score holds


@pytest.mark.parametrize("scores", [[0.4, 0.6], [0.2, 0.5, 0.9], [0.5] * 5])
def test_the_lower_bound_is_that_of_a_t_test(scores):
    found = lower_bound(float(np.mean(scores)), float(np.std(scores, ddof=1)), len(scores))
    error = np.std(scores, ddof=1) / np.sqrt(len(scores))
    assert found == pytest.approx(np.mean(scores) - stats.t.ppf(0.95, len(scores) - 1) * error, rel=1e-12)
    if error:
        assert stats.ttest_1samp(scores, found, alternative="greater").pvalue == pytest.approx(0.05)


def test_a_score_is_the_mean_of_the_folds_and_their_deviation_that_of_a_sample(monkeypatch):
    scores = iter([0.25, 0.75])
    monkeypatch.setattr("jmml.search.uar", lambda y, found: next(scores))
    point = next(search())
    assert point["val_uar"] == 0.5
    assert point["val_uar_std"] == pytest.approx(stats.tstd([0.25, 0.75]))
    bound = stats.ttest_1samp([0.25, 0.75], 0.0, alternative="greater").confidence_interval(0.95).low
    assert point["val_uar_low"] == pytest.approx(bound)


def test_every_score_has_its_lower_bound_and_the_first_the_cost_and_the_history_of_stage_1():
    first, *others = search(cost=True)
    assert first["val_uar_low"] == lower_bound(first["val_uar"], first["val_uar_std"], 2)
    assert first["inference_cost"] > 0
    assert len(others) == 3
    assert all({"history", "inference_cost"}.isdisjoint(point) for point in others)
    assert "inference_cost" not in next(search())
    state, _ = left_after(1)
    assert {"history", "inference_cost"}.isdisjoint(next(search(cost=True, state=state)))


def test_the_certificate_names_every_inner_fit_and_the_selection():
    certificate = Certificate()
    list(search(certificate=certificate))
    names = {entry.name for entry in certificate.entries}
    assert {"search/selection", "search/fold0/classifier/speech", "search/fold1/edcc_cae/networks"} <= names
    assert {"search/fold0/jec_ssl/eeg/encoders", "search/fold1/jec_ssl/speech/scaler"} <= names
