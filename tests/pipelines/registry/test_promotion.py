from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest

from jmml.errors import ProtocolError, RegistryError
from jmml.evaluation import evidence
from jmml.recogniser import EmotionRecogniser
from pipelines.registry import promotion as registry
from pipelines.registry.promotion import HISTORY, list_versions, promote, register, resolve, rollback
from pipelines.tracking.tracker import MODEL_NAME, Tracker
from pipelines.workspace.project import Project
from pipelines.workspace.withdrawn import Withdrawal, write_down
from tests.faults.servers import Server
from tests.pipelines.tracked import (
    copy_project,
    fitted,
    make_lineage,
    make_project,
    run_sweep,
    save_model,
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "project")


@pytest.fixture
def tracker(project: Project) -> Tracker:
    return Tracker.connect(project)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One finished sweep, registered. Not to be changed."""
    folder = tmp_path_factory.mktemp("registered")
    project = make_project(folder / "project")
    run_sweep(Tracker.connect(project), folder)
    register(project)
    return project


@pytest.fixture
def registered(template: Project, tmp_path: Path) -> Project:
    """One finished sweep, registered: version 1, the challenger."""
    return copy_project(template, tmp_path / "registered")


@pytest.fixture(scope="session")
def template_of_three(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Versions 1, 2 and 3, promoted one after the other. Not to be changed."""
    folder = tmp_path_factory.mktemp("three")
    project = make_project(folder / "project")
    for name in ("one", "two", "three"):
        run_sweep(Tracker.connect(project), folder, name=name)
        promote(project, register(project).version)
    return project


@pytest.fixture
def three(template_of_three: Project, tmp_path: Path) -> Project:
    """Versions 1, 2 and 3, promoted one after the other."""
    return copy_project(template_of_three, tmp_path / "three")


def run_of(project: Project) -> str:
    return list_versions(project)[0].run_id


def aliases(project: Project) -> dict[str, int]:
    return {name: entry.version for entry in list_versions(project) for name in entry.aliases}


# An empty registry ---------------------------------------------------------------------------------------


def test_an_empty_registry_says_what_to_do(project: Project) -> None:
    assert list_versions(project) == []
    with pytest.raises(RegistryError, match=r"there is no challenger to promote.*`jmml model register`"):
        promote(project)
    with pytest.raises(RegistryError, match=r"there is no finished sweep with a model.*jmml sweep run"):
        register(project)
    with pytest.raises(RegistryError, match=r"there is no champion yet.*`jmml model promote`") as caught:
        resolve(project, "models:/jmml@champion")
    assert caught.value.exit_code == 8
    with pytest.raises(RegistryError, match=r"no version 3 of model 'jmml'.*`jmml model register`"):
        promote(project, 3)
    with pytest.raises(RegistryError, match="there is no champion yet"):
        rollback(project)


# Registering ---------------------------------------------------------------------------------------------


def test_the_newest_finished_sweep_becomes_the_challenger(
    project: Project, tracker: Tracker, tmp_path: Path
) -> None:
    run_sweep(tracker, tmp_path, name="first")
    second = run_sweep(tracker, tmp_path, name="second")
    run_sweep(tracker, tmp_path, name="broken", status="FAILED")
    run_sweep(tracker, tmp_path, name="going", status=None)
    run_sweep(tracker, tmp_path, name="bare", model=False)
    entry = register(project)
    assert (entry.version, entry.run_id, entry.run_name, entry.aliases) == (
        1,
        second,
        "second",
        ("challenger",),
    )
    assert entry.metrics["test_uar"] == tracker.run(second).data.metrics["test_uar"]
    assert list_versions(project) == [entry]
    raw = tracker.client.get_model_version(MODEL_NAME, "1")
    uar = entry.metrics["test_uar"]
    span = f"{uar - 0.05:.3f} to {uar + 0.05:.3f}"  # what the run says
    assert f"UAR {uar:.3f} on unseen speakers ({span})" in raw.description
    assert json.loads(json.dumps(entry.as_dict()))["uri"] == "models:/jmml/1"
    assert entry.cells()[:5] == ("1", "challenger", "second", f"{uar:.3f}", span)
    assert len(entry.cells()) == 8


def test_a_run_is_registered_once(project: Project, tracker: Tracker, tmp_path: Path) -> None:
    first = run_sweep(tracker, tmp_path)
    run_sweep(tracker, tmp_path, name="other")
    assert register(project, first).version == 1
    assert register(project, "other").version == 2
    assert register(project, first).version == 1
    assert aliases(project) == {"challenger": 1}
    assert [entry.version for entry in list_versions(project)] == [2, 1]


def test_the_champion_registered_again_is_no_challenger(registered: Project) -> None:
    promote(registered)
    assert register(registered).aliases == ("champion",)


def test_of_several_models_of_a_run_the_newest_is_registered(
    project: Project, tracker: Tracker, tmp_path: Path
) -> None:
    run = run_sweep(tracker, tmp_path)
    newest = tracker.log_model(run, tmp_path / "weights", input_example={"speech": np.zeros((1, 5))})
    assert register(project).model_id == newest.removeprefix("models:/")


def test_only_finished_sweeps_with_a_model_are_registered(
    project: Project, tracker: Tracker, tmp_path: Path
) -> None:
    failed = run_sweep(tracker, tmp_path, status="FAILED")
    bare = run_sweep(tracker, tmp_path, model=False)
    trial = tracker.start_trial(bare, "trial_1", {})
    refusals = {
        failed: "the run is FAILED; expected FINISHED",
        bare: "the run has no model",
        trial: r"the run is not a sweep \(kind: trial\)",
        "0" * 32: "no such run",
        "no-such-name": "no such run",
    }
    for run, reason in refusals.items():
        with pytest.raises(RegistryError, match=f"run {run}: {reason}"):
            register(project, run)
    assert list_versions(project) == []


# Promoting -----------------------------------------------------------------------------------------------


def test_promotion_moves_the_champion_and_takes_the_challenger_away(registered: Project) -> None:
    promotion = promote(registered)
    assert (promotion.version, promotion.previous) == (1, None)
    assert all(verdict.passed for verdict in promotion.verdicts)
    assert aliases(registered) == {"champion": 1}
    json.dumps(promotion.as_dict())
    with pytest.raises(RegistryError, match="there is no challenger to promote"):
        promote(registered)
    with pytest.raises(RegistryError, match="version 1 is the champion already"):
        promote(registered, 1)


def test_a_model_of_people_with_one_label_each_is_promoted_only_where_someone_accepts_it(
    registered: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def told(project: Project, names: object) -> list[str]:
        asked.append(names)
        return ["lab-speech: 7 of 8 people have one label alone"]

    monkeypatch.setattr("pipelines.registry.promotion.of_corpora", told)
    with pytest.raises(ProtocolError, match=r"version 1: nothing can be claimed .*--accept-confound"):
        promote(registered)
    assert aliases(registered) == {"challenger": 1}
    assert promote(registered, accept_confound=True).version == 1
    task = registered.params.task
    assert asked == [(task.speech, task.eeg)] * 2


def test_without_evidence_the_refusal_names_every_gate_in_one_line(
    project: Project, tracker: Tracker, tmp_path: Path
) -> None:
    run_sweep(tracker, tmp_path, with_evidence=False, lineage=make_lineage(git_sha="none"))
    register(project)
    with pytest.raises(RegistryError) as caught:
        promote(project)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("version 1: promotion refused by 7 of 9 gates: ")
    for gate in (
        "evidence present",
        "evidence unchanged",
        "leakage certificate",
        "metrics recomputed",
        "one-hot control",
    ):
        assert gate in message
    assert "lineage recorded: the code had no git commit" in message
    assert aliases(project) == {"challenger": 1}


def test_evidence_that_was_changed_after_the_run_is_refused(registered: Project) -> None:
    folder = registered.mlruns_dir / "artifacts" / run_of(registered) / "artifacts" / "evidence"
    stored = folder / "evidence.parquet"
    frame = evidence.load(stored)
    # Another order of the same predictions: every figure stays, the file does not.
    evidence.save(frame.iloc[::-1].reset_index(drop=True), stored)
    with pytest.raises(
        RegistryError, match=r"refused by 1 of 9 gates: evidence unchanged: digest \w{12} is not"
    ):
        promote(registered)
    assert aliases(registered) == {"challenger": 1}
    assert registry.history(Tracker.connect(registered)) == []


def test_a_model_that_was_changed_after_the_run_is_refused(registered: Project) -> None:
    (entry,) = list_versions(registered)
    logged = registered.mlruns_dir / "artifacts" / "models" / entry.model_id / "artifacts" / "artifacts"
    shutil.rmtree(logged / "recogniser")
    with pytest.raises(
        RegistryError,
        match=r"refused by 2 of 9 gates: model, nobody withdrawn: the files of the model are mis",
    ):
        promote(registered)
    save_model(logged / "recogniser", "raw")
    with pytest.raises(RegistryError, match=r"refused by 1 of 9 gates: model: digest \w{12} is not"):
        promote(registered)
    assert aliases(registered) == {"challenger": 1}


def test_a_run_that_fails_after_its_registration_is_refused(registered: Project) -> None:
    Tracker.connect(registered).client.set_terminated(run_of(registered), "FAILED")
    with pytest.raises(RegistryError, match="run finished: the run is FAILED"):
        promote(registered)


# Rolling back --------------------------------------------------------------------------------------------


def test_rolling_back_goes_one_champion_further_each_time(three: Project) -> None:
    assert (rollback(three).version, aliases(three)) == (2, {"champion": 2})
    back = rollback(three)
    assert (back.version, back.previous, back.verdicts) == (1, 2, ())
    with pytest.raises(RegistryError, match="there was no champion before version 1"):
        rollback(three)
    assert promote(three, 3).previous == 1
    assert rollback(three).version == 1
    moves = [
        (event["action"], event["version"], event["previous"])
        for event in registry.history(Tracker.connect(three))
    ]
    assert moves == [
        ("promote", 1, None),
        ("promote", 2, 1),
        ("promote", 3, 2),
        ("rollback", 2, 3),
        ("rollback", 1, 2),
        ("promote", 3, 1),
        ("rollback", 1, 3),
    ]
    assert len(list_versions(three)) == 3


def test_a_champion_that_was_moved_by_hand_rolls_back_to_the_recorded_one(three: Project) -> None:
    Tracker.connect(three).client.set_registered_model_alias(MODEL_NAME, "champion", "1")
    assert rollback(three).version == 3


def test_a_deleted_champion_cannot_come_back(three: Project) -> None:
    Tracker.connect(three).client.delete_model_version(MODEL_NAME, "2")
    with pytest.raises(RegistryError, match="no version 2 of model 'jmml'; expected one of 1, 3"):
        rollback(three)
    assert aliases(three) == {"champion": 3}


def test_a_damaged_history_stops_the_rollback_and_is_left_as_it_is(three: Project) -> None:
    client = Tracker.connect(three).client
    for text in ("{", "3", '[{"action": "promote"}]'):
        client.set_registered_model_tag(MODEL_NAME, HISTORY, text)
        with pytest.raises(RegistryError, match="the history of champions is damaged"):
            rollback(three)
        assert client.get_registered_model(MODEL_NAME).tags[HISTORY] == text
    assert aliases(three) == {"champion": 3}


# Resolving -----------------------------------------------------------------------------------------------


def test_alias_version_and_folder_lead_to_the_same_weights(registered: Project, tmp_path: Path) -> None:
    project = registered
    promote(project)
    X = np.random.default_rng(0).normal(size=(3, 5))
    expected = fitted().predict_proba(X_speech=X)
    champion = resolve(project, "models:/jmml@champion")
    assert champion.label == "models:/jmml@champion (version 1)"
    assert champion.version is not None
    assert champion.version.aliases == ("champion",)
    numbered = resolve(project, "models:/jmml/1")
    assert (numbered.folder, numbered.label) == (champion.folder, "models:/jmml/1")
    logged = resolve(project, str(champion.folder.parents[1]))
    plain = resolve(project, str(save_model(tmp_path / "plain")))
    assert plain.version is None
    for found in (champion, logged, plain):
        assert (EmotionRecogniser.load(found.folder).predict_proba(X_speech=X) == expected).all()


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("models:/jmml@best", "no such alias; expected one of challenger"),
        ("models:/jmml@champion", "there is no champion yet. Run `jmml model promote`"),
        ("models:/jmml/9", "no version 9 of model 'jmml'; expected one of 1"),
        ("models:/jmml", "is not a model address; expected models:/jmml@champion or models:/jmml/1"),
        ("models:/other@champion", "is not a model address"),
        ("models:/jmml/latest", "is not a model address"),
        (
            "somewhere/else",
            "is not a model; expected models:/jmml@champion, models:/jmml/1 or a model's folder",
        ),
    ],
)
def test_what_cannot_be_resolved_says_why(template: Project, uri: str, reason: str) -> None:
    with pytest.raises(RegistryError) as caught:
        resolve(template, uri)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_of_a_version_are_reported(registered: Project) -> None:
    (entry,) = list_versions(registered)
    shutil.rmtree(registered.mlruns_dir / "artifacts" / "models" / entry.model_id)
    with pytest.raises(RegistryError, match=r"models:/jmml/1 at .*: the model's files are missing"):
        resolve(registered, "models:/jmml/1")


def test_the_champion_of_a_moved_project_is_found_and_loads_through_mlflow(
    registered: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(registered)
    moved = Project(registered.root.rename(tmp_path / "moved"))
    folder = resolve(moved, "models:/jmml@champion").folder
    assert folder.is_relative_to(moved.mlruns_dir)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", moved.tracking_uri)
    loaded = mlflow.pyfunc.load_model("models:/jmml@champion")
    assert loaded.metadata.metadata["method"] == "jmml"


# Over a server -------------------------------------------------------------------------------------------


@pytest.fixture
def server(project: Project, tmp_path: Path) -> Iterator[str]:
    made = Server(tmp_path / "server")
    shutil.copy(project.mlruns_dir / "mlflow.db", made.folder)  # MLflow needs seconds for its tables
    try:
        made.start()
        yield made.uri
    finally:
        made.kill()


@pytest.mark.slow
def test_the_whole_way_over_a_server(
    project: Project, tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    tracker = Tracker.connect(project)
    for name in ("one", "two"):
        run_sweep(tracker, tmp_path, name=name)
        promote(project, register(project).version)
    assert register(project, "one").version == 1, "a run keeps its version"
    assert rollback(project).version == 1
    X = np.random.default_rng(0).normal(size=(3, 5))
    folder = resolve(project, "models:/jmml@champion").folder
    assert folder.is_relative_to(project.mlruns_dir / "downloads")
    assert (
        EmotionRecogniser.load(folder).predict_proba(X_speech=X) == fitted().predict_proba(X_speech=X)
    ).all()
    before = folder.stat().st_mtime_ns
    assert resolve(project, "models:/jmml/1").folder == folder
    assert folder.stat().st_mtime_ns == before
    assert not (project.mlruns_dir / "artifacts").exists()
    with monkeypatch.context() as patch:
        patch.setattr(mlflow.artifacts, "download_artifacts", lambda **_: pytest.fail("fetched again"))
        resolve(project, "models:/jmml@champion")


# Withdrawals ---------------------------------------------------------------------------------------------


def test_what_was_trained_on_who_withdrew_is_not_promoted_again(three: Project) -> None:
    write_down(three, [Withdrawal("speaker7", "talk", "speech", "2026-01-02T00:00:00+00:00", "ann", ("ab",))])
    with pytest.raises(RegistryError, match="nobody withdrawn: it was trained on speaker7 of talk"):
        promote(three, 1)
    with pytest.raises(
        RegistryError, match="version 2: cannot be the champion again: it was trained on speaker7"
    ):
        rollback(three)
    assert aliases(three) == {"champion": 3}
