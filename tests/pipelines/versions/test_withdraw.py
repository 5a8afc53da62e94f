from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from jmml.data.manifest import Manifest
from jmml.errors import CorpusError, DataError
from pipelines.corpora.add import add
from pipelines.corpora.dvc_record import DvcCache
from pipelines.corpora.verify import verify
from pipelines.stages.featurize import featurize
from pipelines.stages.ingest import ingest
from pipelines.tracking.tracker import Tracker
from pipelines.versions import trained
from pipelines.versions import withdraw as withdrawing
from pipelines.versions.checkout import checkout
from pipelines.versions.reading import at_revisions
from pipelines.versions.update import update
from pipelines.versions.withdraw import withdraw
from pipelines.versions.without import Share
from pipelines.workspace.lineage import DatasetRef
from pipelines.workspace.project import Project
from pipelines.workspace.withdrawn import withdrawals
from tests.pipelines.corpora.conftest import state
from tests.pipelines.tracked import _store, make_lineage, run_sweep
from tests.pipelines.versions.conftest import NAME, bytes_of, commit, wav


@pytest.fixture
def tracked_project(project: Project) -> Project:
    """With an MLflow store in it."""
    (project.root / "mlruns").mkdir()
    shutil.copy(Path(_store().name) / "mlruns" / "mlflow.db", project.root / "mlruns")
    return project


@pytest.fixture
def untold(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tracking store is asked."""
    monkeypatch.setattr(withdrawing, "trained_on", lambda *_: [])


def objects_of(project: Project) -> set[str]:
    with DvcCache.of(project) as cache:
        files = cache.path("00" * 16).parents[1]
    return {path.parent.name + path.name for path in files.rglob("*") if path.is_file()}


def test_recordings_features_and_cache_entries_are_gone(project: Project) -> None:
    ingest(project, NAME)
    featurize(project, NAME)
    at_revisions(project, {NAME: "v1"})
    manifest = Manifest.load(project.manifest_path(NAME)).frame
    theirs = set(manifest.loc[manifest["group"] == "01", "content_hash"])
    cached = {p for p in project.cache_dir.rglob("*") if p.is_file()}
    before, kept = objects_of(project), bytes_of(project.raw_dir / NAME / "Actor_02")
    assert len(cached) == 14  # nine of version two, and of version one those that it alone has

    dry = withdraw(project, "01", dry_run=True)
    assert len(dry.objects) == 6
    assert objects_of(project) == before
    assert not withdrawals(project)
    assert not project.mlruns_dir.exists()

    done = withdraw(project, "01")
    assert bytes_of(project.raw_dir / NAME) == {f"Actor_02/{place}": text for place, text in kept.items()}
    verify(project, NAME).raise_if_changed()
    left = {p for p in project.cache_dir.rglob("*") if p.is_file()}
    assert len(left) == 4
    assert left < cached
    assert not project.features_path(NAME).exists()
    assert not project.manifest_path(NAME).exists()
    assert not list((project.root / ".jmml" / "versions").iterdir())
    gone = before - objects_of(project)
    assert gone == set(done.objects) == set(dry.objects)
    (written,) = withdrawals(project)
    assert (written.person, written.corpus, written.modality) == ("01", NAME, "speech")
    assert theirs < set(written.recordings)
    assert len(written.recordings) == 6  # of both versions; the relabelled one is one recording
    assert any("dvc gc --workspace --cloud" in line for line in done.lines())


@pytest.mark.usefixtures("untold")
def test_earlier_versions_cannot_bring_them_back(project: Project) -> None:
    v2 = bytes_of(project.raw_dir / NAME)
    withdraw(project, "01")
    commit(project.root, "one withdrew", "v3")
    with pytest.raises(DataError, match="files are not in DVC's cache"):
        checkout(project, NAME, "v2")
    with pytest.raises(DataError, match="files are not in DVC's cache"):
        at_revisions(project, {NAME: "v2"})
    for place, content in v2.items():  # somebody has a copy
        path = project.raw_dir / NAME / place
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    with pytest.raises(DataError, match="5 recordings were withdrawn by 01"):
        update(project, NAME)
    with pytest.raises(DataError, match="5 recordings were withdrawn by 01"):
        add(project, "again", project.raw_dir / NAME, adapter="ravdess")
    (project.raw_dir / f"{NAME}.dvc").unlink()  # so that nothing is compared with it
    with pytest.raises(DataError, match="5 recordings were withdrawn by 01"):
        ingest(project, NAME)


@pytest.mark.usefixtures("untold")
def test_who_is_in_earlier_versions_alone(project: Project) -> None:
    before = bytes_of(project.raw_dir / NAME)
    done = withdraw(project, "03")
    assert (done.corpora[0].now.ids, len(done.corpora[0].recordings), len(done.objects)) == ((), 4, 4)
    assert bytes_of(project.raw_dir / NAME) == before
    verify(project, NAME).raise_if_changed()


@pytest.mark.usefixtures("untold")
def test_what_was_attributed_to_another_since_is_theirs(project: Project) -> None:
    """In versions one and two a recording is said to be of 01; then it turns out to be of 02."""
    wav(project.raw_dir / NAME, 5, 1).replace(wav(project.raw_dir / NAME, 5, 2))
    update(project, NAME)
    commit(project.root, "it is of 02")
    done = withdraw(project, "01")
    assert len(done.corpora[0].recordings) == 5
    assert ingest(project, NAME).startswith("speech: 4 samples of 1 person")


@pytest.mark.usefixtures("untold")
def test_nobody_and_twice(project: Project) -> None:
    before = state(project.raw_dir)
    with pytest.raises(CorpusError, match="nobody is called '1'"):
        withdraw(project, "1")
    with pytest.raises(CorpusError, match="unknown corpus 'nope'"):
        withdraw(project, "01", names=["nope"])
    assert state(project.raw_dir) == before
    withdraw(project, "03")
    with pytest.raises(CorpusError, match="03 has withdrawn already"):
        withdraw(project, "03")


@pytest.mark.usefixtures("untold")
def test_a_file_that_others_have_as_well_stays_in_the_cache(project: Project, tmp_path: Path) -> None:
    """The same bytes in another corpus, under another name of a file."""
    other = tmp_path / "other"
    shutil.copytree(project.raw_dir / NAME / "Actor_01", other / "Actor_01")
    shutil.copytree(project.raw_dir / NAME / "Actor_02", other / "Actor_02")
    add(project, "second", other, adapter="ravdess")
    commit(project.root, "another")
    done = withdraw(Project(project.root), "01", names=[NAME])
    assert len(done.objects) == 1  # that of version one alone
    verify(Project(project.root), "second").raise_if_changed()


@pytest.mark.usefixtures("untold")
def test_a_failure_leaves_everything(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    before, objects = bytes_of(project.raw_dir), objects_of(project)

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(withdrawing, "admit", fail)
    with pytest.raises(KeyboardInterrupt):
        withdraw(project, "01")
    assert bytes_of(project.raw_dir) == before
    assert objects_of(project) == objects
    assert not withdrawals(project)


@pytest.mark.usefixtures("untold")
@pytest.mark.parametrize("address", ["{}", "file://{}"])
def test_a_cache_that_is_shared_loses_theirs_alone(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("JMML_FEATURE_CACHE", address.format(tmp_path / "shared"))
    ingest(project, NAME)
    featurize(project, NAME)
    cached = sorted((tmp_path / "shared").rglob("*.npy"))
    other = tmp_path / "shared" / "00" / "00" / "another_users.npy"
    other.parent.mkdir(parents=True, exist_ok=True)
    other.write_bytes(b"")
    assert len(cached) == 9
    assert withdraw(project, "01", dry_run=True).features == 5
    assert all(path.exists() for path in cached)
    done = withdraw(project, "01")
    assert done.features == 5
    assert len([path for path in cached if path.exists()]) == 4
    assert other.exists()
    assert any("what other settings or code" in line for line in done.lines())


@pytest.mark.usefixtures("untold")
def test_what_would_take_others_along_changes_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bytes_of(project.raw_dir)
    without = withdrawing.copy_without

    def one_more(share: Share, source: Path, target: Path, files: list[str]) -> list[str]:
        return without(share, source, target, [place for place in files if "03-01-01" not in place])

    monkeypatch.setattr(withdrawing, "copy_without", one_more)
    with pytest.raises(
        DataError, match="2 recordings of others would be lost or described otherwise: 03-01-01-01-01-01-02"
    ):
        withdraw(project, "01")
    assert bytes_of(project.raw_dir) == before
    assert not withdrawals(project)


def test_runs_that_were_trained_on_them_are_listed(tracked_project: Project, tmp_path: Path) -> None:
    def given(corpus: str) -> list[DatasetRef]:
        return [DatasetRef(f"{corpus} features", "f", "ab" * 16, "1", "speech", "features")]

    tracker = Tracker.connect(tracked_project)
    run_sweep(tracker, tmp_path, name="ours", lineage=make_lineage(datasets=given(NAME)))
    run_sweep(tracker, tmp_path, name="other", lineage=make_lineage(datasets=given("else")))
    run_sweep(tracker, tmp_path, name="bare", lineage=make_lineage(datasets=given(NAME)), with_evidence=False)
    found = trained.trained_on(tracked_project, "speaker7", {NAME: "speech"})
    assert [(run.name, run.certain) for run in found] == [("bare", False), ("ours", True)]
    assert [run.name for run in trained.trained_on(tracked_project, "speaker0", {NAME: "speech"})] == ["bare"]
    assert [run.name for run in trained.trained_on(tracked_project, "speaker7", {NAME: "eeg"})] == ["bare"]
    assert "has no certificate" in found[0].line()
    json.dumps([run.as_dict() for run in found])


def test_certificates_of_studies_name_people_too() -> None:
    one = {"entries": [{"role": "fit", "modality": "speech", "groups": ["a"]}]}
    assert [entry["groups"] for entry in trained._entries([one, one])] == [["a"], ["a"]]
    assert [entry["groups"] for entry in trained._entries(one)] == [["a"]]
