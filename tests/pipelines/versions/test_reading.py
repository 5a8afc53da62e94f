"""Corpora at a revision, read by sweeps and studies while the work tree stays as it is."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import yaml
from dvc.repo import Repo

from jmml.data.manifest import Manifest
from jmml.data.table import FeatureTable
from jmml.errors import ConfigError, DataError
from pipelines.corpora.dvc_record import DvcCache, track
from pipelines.study.define.plan import plan as plan_study
from pipelines.study.define.reading import at_revision
from pipelines.sweep.definition.model import SweepDefinition
from pipelines.sweep.definition.plan import plan as plan_sweep
from pipelines.sweep.definition.reading import check
from pipelines.sweep.execute.fingerprint import fingerprint
from pipelines.versions import reading
from pipelines.versions.folders import place_of
from pipelines.versions.reading import at_revisions
from pipelines.workspace.lineage import collect
from pipelines.workspace.project import CorpusVersion, Project
from pipelines.workspace.withdrawn import Withdrawal, write_down
from tests.jmml.tasks import gaussian_table
from tests.pipelines.corpora.conftest import state, write_ravdess
from tests.pipelines.study.studies import make
from tests.pipelines.sweep.projects import definition, write_project
from tests.pipelines.versions.conftest import NAME, bytes_of, commit, git


@pytest.fixture(scope="module")
def lab_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Gaussian project under git and DVC: tags v1 and v2 of both tables, other features in the work tree."""
    root = tmp_path_factory.mktemp("lab") / "project"
    project = write_project(root)
    lock = yaml.safe_load((root / "dvc.lock").read_text())
    lock["stages"]["featurize"]["cmd"] = "true"  # DVC reads it too here
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", **lock}))
    git(root, "init", "--quiet")
    Repo.init(str(root)).close()
    (root / ".gitignore").write_text("/.jmml/\n/data/features/\n")
    for seed, tag in ((1, "v1"), (2, "v2")):
        for modality in ("speech", "eeg"):
            folder = project.raw_dir / f"lab-{modality}"
            gaussian_table(modality, seed=seed).save(folder / "features.parquet")
            track(project, folder)
        commit(root, tag, tag)
    return root


@pytest.fixture
def lab(lab_template: Path, tmp_path: Path) -> Project:
    return Project(shutil.copytree(lab_template, tmp_path / "lab", symlinks=True))


def x_of(seed: int) -> np.ndarray:
    return gaussian_table("speech", seed=seed).X


def test_exactly_the_bytes_of_the_revision_are_read(project: Project, tmp_path: Path) -> None:
    before = {k: v for k, v in state(project.root).items() if not k.startswith((".jmml", "data/cache"))}
    one = write_ravdess(tmp_path / "one", 3)
    there = at_revisions(project, {NAME: "v1"})
    assert bytes_of(there.corpus_dir(NAME)) == bytes_of(one)
    manifest = Manifest.load(there.manifest_path(NAME))
    assert (len(manifest), manifest.corpus) == (12, NAME)
    table = FeatureTable.load(there.features_path(NAME))
    assert sorted(table.ids) == sorted(manifest.frame["id"])
    assert set(table.groups) == {"01", "02", "03"}
    after = {k: v for k, v in state(project.root).items() if not k.startswith((".jmml", "data/cache"))}
    assert after == before
    assert there.corpus_dir("old") == project.corpus_dir("old")
    assert not there.features_path(NAME).is_relative_to(project.data_dir)


def test_what_was_computed_once_is_taken(lab: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    first = at_revisions(lab, {"lab-speech": "v1"}).features_path("lab-speech")
    monkeypatch.setattr(reading, "features", lambda *_: pytest.fail("computed again"))
    assert at_revisions(lab, {"lab-speech": "v1"}).features_path("lab-speech") == first
    git(lab.root, "tag", "v1.0", "v1")
    assert at_revisions(lab, {"lab-speech": "v1.0"}).features_path("lab-speech") == first


def test_two_at_once_compute_once(lab: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, compute, both = [], reading.features, threading.Barrier(2)

    def counted(*arguments: object) -> object:
        calls.append(arguments)
        return compute(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(reading, "features", counted)
    found: list[bytes] = []

    def read() -> None:
        both.wait()
        found.append(at_revisions(lab, {"lab-speech": "v1"}).features_path("lab-speech").read_bytes())

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert found[0] == found[1]


def test_a_killed_reader_leaves_nothing_wrong(lab: Project) -> None:
    there = at_revisions(lab, {"lab-speech": "v1"})
    place = place_of(lab, there.versions["lab-speech"].dvc_hash)
    features = there.features_path("lab-speech").read_bytes()
    shutil.rmtree(place)
    growing = place / "growing"
    growing.mkdir(parents=True)
    (growing / ".0123.part").write_bytes(b"half a file")
    again = at_revisions(lab, {"lab-speech": "v1"})
    assert again.features_path("lab-speech").read_bytes() == features
    assert [path.name for path in again.corpus_dir("lab-speech").rglob("*")] == ["features.parquet"]


def test_a_damaged_file_of_the_cache_is_not_read(lab: Project) -> None:
    with DvcCache.of(lab) as cache:
        md5 = reading.Recorded(lab, "lab-speech", "v1").md5
        (file,) = (cache.listing(md5) or {}).values()
        held = cache.path(file)
        held.chmod(0o644)
        held.write_bytes(held.read_bytes()[:-1] + b"?")
    with pytest.raises(DataError, match="is damaged: lab-speech at v1 cannot be read"):
        at_revisions(lab, {"lab-speech": "v1"})


def test_what_cannot_be_read_is_said(lab: Project) -> None:
    with pytest.raises(DataError, match="git knows no revision 'v3'"):
        at_revisions(lab, {"lab-speech": "v3"})
    row = gaussian_table("speech", seed=1)
    assert len(row)
    there = at_revisions(lab, {"lab-speech": "v1"})
    content = Manifest.load(there.manifest_path("lab-speech")).frame["content_hash"].iloc[0]
    gone = Withdrawal("s00", "lab-speech", "speech", "2026-01-02T00:00:00+00:00", "ann", (content,))
    write_down(lab, [gone])
    with pytest.raises(DataError, match="were withdrawn by s00"):
        at_revisions(lab, {"lab-speech": "v1"})


def swept(**corpora: object) -> SweepDefinition:
    return check(definition(corpora=corpora))


def test_two_sweeps_on_two_versions_at_once(lab: Project) -> None:
    speech = {rev: {"name": "lab-speech", "rev": rev} for rev in ("v1", "v2")}
    plans = {rev: plan_sweep(lab, swept(speech=speech[rev])) for rev in speech}
    plain = plan_sweep(lab, swept())
    for seed, rev in ((1, "v1"), (2, "v2")):
        planned = plans[rev]
        assert np.array_equal(planned.task.speech.X, x_of(seed))
        assert np.array_equal(planned.task.eeg.X, plain.task.eeg.X)  # type: ignore[union-attr]
        assert planned.project.versions["lab-speech"].rev == rev
    assert np.array_equal(plain.task.speech.X, x_of(0))
    assert plain.project.versions == {}
    digests = {
        plan.definition.name: fingerprint(plan)["task"]["speech"]["features"] for plan in plans.values()
    }
    assert len(digests) == 1
    seen = {fingerprint(plan)["task"]["speech"]["features"] for plan in (*plans.values(), plain)}
    assert len(seen) == 3
    origin = collect(plans["v1"].project, list(plans["v1"].corpora))
    commit_of = git(lab.root, "rev-parse", "v1").strip()
    assert [(ref.name, ref.revision) for ref in origin.datasets] == [
        ("lab-speech features", commit_of),
        ("lab-speech", commit_of),
        ("lab-eeg features", None),
    ]
    assert [("revision" in ref.as_dict()) for ref in origin.datasets] == [True, True, False]


def test_a_revision_is_recorded_with_the_sweep_and_nothing_else_is(lab: Project) -> None:
    named = swept(speech={"name": "lab-speech", "rev": "v1.2"})
    assert named.plain()["corpora"]["speech"] == {"name": "lab-speech", "version": None, "rev": "v1.2"}
    assert check(named.plain()) == named
    assert swept(speech="lab-speech").plain()["corpora"]["speech"] == {"name": "lab-speech", "version": None}
    for strange in ("--all", "a..b", "a b", "v1:params.yaml", ""):
        with pytest.raises(ConfigError, match="a commit, tag or branch of git"):
            swept(speech={"name": "lab-speech", "rev": strange})


def test_tasks_of_a_study_at_two_versions(lab: Project) -> None:
    tasks = {
        "one": {"speech": {"name": "lab-speech", "rev": "v1"}, "eeg": "lab-eeg"},
        "two": {"speech": "lab-speech", "eeg": "lab-eeg", "rev": "v2"},
        "now": {"project": True},
    }
    planned = plan_study(lab, make(tasks=tasks))
    for seed, name in ((1, "one"), (2, "two"), (0, "now")):
        assert np.array_equal(planned.tasks[name].data.speech.X, x_of(seed))
    assert len({key.digest for key in planned.cells}) == len(planned.cells)
    read = [(c.name, c.rev) if isinstance(c, CorpusVersion) else c for c in planned.corpora]
    assert read == [("lab-speech", "v1"), "lab-eeg", ("lab-speech", "v2"), ("lab-eeg", "v2"), "lab-speech"]
    assert [ref.revision is None for ref in collect(lab, planned.corpora).datasets] == [
        False, False, True, False, False, False, False, True,
    ]  # fmt: skip
    assert planned.tasks["one"].text.description["version"].startswith("lab-speech at v1 (")
    assert "version" not in planned.tasks["now"].text.description


def test_a_revision_for_all_tasks_of_a_study() -> None:
    tasks = {"mine": {"project": True}, "other": {"speech": "x", "rev": "v7"}, "made": {"world": "label"}}
    assert {name: task.rev for name, task in at_revision(make(tasks=tasks), "v1").tasks.items()} == {
        "mine": "v1", "other": "v7", "made": None,
    }  # fmt: skip
    assert make().plain()["tasks"]["lab"] == {"project": True}
    with pytest.raises(ConfigError, match="a world has no revisions"):
        make(tasks={"made": {"world": "label", "rev": "v1"}})
