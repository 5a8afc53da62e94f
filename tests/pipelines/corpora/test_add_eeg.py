"""EEG of any format enters a project: by events, by a table, by names; with the files that belong to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from jmml.config import load_params
from jmml.data.listing.trials import Cutting
from jmml.errors import CorpusError, DataError, RecordingError
from pipelines.corpora.add import add, preview
from pipelines.corpora.describing import Description
from pipelines.corpora.verify import verify
from pipelines.stages.featurize import features
from pipelines.stages.ingest import ingest
from pipelines.workspace.project import Project
from tests.jmml.data.corpora.eeg.make import make_dreamer, make_eav, make_gameemo, make_seed, write_dreamer
from tests.jmml.data.corpora.make import make_bids, write_wav
from tests.jmml.data.eeg_files.make import brain, write_brainvision, write_edf, write_set

EVENTS = [(0.0, 0.0, "S  1"), (4.0, 0.0, "S  2")]
BY_EVENT = Description(
    pattern="{subject}.{}", cutting=Cutting({"S 1": "happy", "S 2": "sad"}, window_s=(0.0, 4.0))
)


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    root = tmp_path / "lab"
    write_brainvision(root / "p1" / "ann.vhdr", brain(seed=1), events=EVENTS)
    write_set(root / "p2" / "bob.set", brain(seed=2), events=EVENTS)
    write_edf(root / "p3" / "eve.edf", brain(seed=3), events=EVENTS)
    (root / "notes.docx").write_bytes(b"not data")
    return root


def test_from_a_folder_of_three_formats_to_features(project: Project, lab: Path) -> None:
    seen = preview("brains", lab, description=BY_EVENT)
    assert "events: S 1 2, S 2 2, Stimulus/S 1 1, Stimulus/S 2 1" in seen.lines()
    assert "found: 6 trials of 3 people; happy 3, sad 3" in seen.lines()
    assert not (project.raw_dir / "brains").exists()
    result = add(project, "brains", lab, description=BY_EVENT, use=True)
    assert (result.samples, result.groups, result.modality, result.adapter) == (6, 3, "eeg", "files")
    there = project.raw_dir / "brains"
    assert {file.relative_to(there).as_posix() for file in there.rglob("*") if file.is_file()} == {
        "recordings.csv", "p1/ann.vhdr", "p1/ann.eeg", "p1/ann.vmrk", "p2/bob.set", "p2/bob.fdt", "p3/eve.edf",
    }  # fmt: skip
    fresh = Project(project.root)
    assert load_params(project.params_path).corpora["brains"].modality == "eeg"
    assert "6 samples of 3 people" in ingest(fresh, "brains")
    table, skipped = features(fresh, "brains")
    assert (len(table), skipped, table.modality) == (6, [], "eeg")
    assert sorted(set(table.index["label"])) == ["happy", "sad"]
    assert not verify(fresh, "brains").checks[0].problems


def test_a_companion_that_changes_is_seen(project: Project, lab: Path) -> None:
    add(project, "brains", lab, description=BY_EVENT)
    ingest(Project(project.root), "brains")
    data = project.raw_dir / "brains" / "p1" / "ann.eeg"
    data.chmod(0o644)
    data.write_bytes(data.read_bytes()[:-600] + bytes(600))
    problems = verify(Project(project.root), "brains").checks[0].problems
    assert any("p1/ann@4-8" in problem for problem in problems)


def test_a_table_with_times_and_a_bad_file_left_out(project: Project, tmp_path: Path) -> None:
    root = tmp_path / "lab"
    for name in ("ann", "bob"):
        write_edf(root / f"{name}.edf", brain(seed=len(name)))
    (root / "bob.edf").write_bytes((root / "bob.edf").read_bytes()[:3000])
    (root / "trials.tsv").write_text(
        "file\tparticipant\temotion\tstart\tend\nann.edf\tann\thappy\t0\t4\nann.edf\tann\tsad\t4\t8\n"
        "bob.edf\tbob\thappy\t0\t4\n"
    )
    with pytest.raises(RecordingError, match=r"bob\.edf: is truncated"):
        add(project, "brains", root)
    result = add(project, "brains", root, skip_bad=True)
    assert result.samples == 2
    assert any("bob.edf: is truncated" in note for note in result.notes)


def test_without_labels_the_events_are_named_and_the_way_on(project: Project, lab: Path) -> None:
    with pytest.raises(DataError, match=r"which emotion it is; events: .*--event '.*=happy' --trial-s 4"):
        preview("brains", lab, description=Description(pattern="{subject}.{}"))
    with pytest.raises(
        CorpusError, match=r"no adapter recognises .*--pattern '\{subject\}_\{session\}\.vhdr'"
    ):
        preview("brains", lab, description=Description())


def test_audio_and_eeg_in_one_folder_are_asked_about(project: Project, lab: Path) -> None:
    write_wav(lab / "p1" / "ann_happy.wav")
    with pytest.raises(CorpusError, match=r"holds 1 audio files and 3 EEG recordings.*--modality eeg"):
        add(project, "brains", lab, description=BY_EVENT)
    assert add(project, "brains", lab, modality="eeg", description=BY_EVENT).samples == 6
    speech = add(project, "voices", lab, description=Description(pattern="{speaker}_{label}.wav"))
    assert (speech.samples, speech.modality) == (1, "speech")


def test_speech_is_not_cut_by_events(project: Project, tmp_path: Path) -> None:
    write_wav(tmp_path / "lab" / "ann_happy.wav")
    how = Description(pattern="{speaker}_{label}.wav", cutting=Cutting({"S 1": None}))
    with pytest.raises(DataError, match="--event and --trial-s cut EEG"):
        add(project, "voices", tmp_path / "lab", description=how)


def test_a_copy_under_another_name_is_refused(project: Project, tmp_path: Path) -> None:
    for name in ("ann_happy", "bob_happy"):
        write_brainvision(tmp_path / "lab" / f"{name}.vhdr", brain())
    with pytest.raises(RecordingError, match=r"ann_happy \(ann, happy\) is bob_happy \(bob, happy\)"):
        add(project, "brains", tmp_path / "lab", description=Description(pattern="{subject}_{label}.vhdr"))


def test_a_bids_folder_as_it_is_and_by_events_of_ones_own(project: Project, tmp_path: Path) -> None:
    plain = make_bids(tmp_path / "plain")
    result = add(project, "films", plain)
    assert (result.adapter, result.samples, result.groups) == ("bids", 4, 2)
    odd = make_bids(tmp_path / "odd")
    for path in odd.rglob("*_events.tsv"):
        path.write_text("onset\tduration\ttrial_type\n0\t0\tvideo7\n4\t0\tvideo8\n")
    with pytest.raises(CorpusError, match="which emotion it is; events: video7 2, video8 2"):
        add(project, "odd", odd)
    how = Description(cutting=Cutting({"video7": "happy", "video8": "sad"}, (0.0, 4.0)))
    result = add(project, "odd", odd, description=how)
    assert (result.adapter, result.samples) == ("bids", 4)
    assert "events: video7 2, video8 2" in result.understood
    fresh = Project(project.root)
    ingest(fresh, "odd")
    table, _ = features(fresh, "odd")
    assert {name.split(".")[-1] for name in table.names if name.startswith("de_")} == {"F3", "F4", "Cz"}
    assert sorted(table.index["session"].unique()) == ["sub-01_ses-1", "sub-02_ses-1"]


def test_eav_becomes_two_corpora_of_the_same_people(project: Project, tmp_path: Path) -> None:
    folder = make_eav(tmp_path / "eav")
    with pytest.raises(CorpusError, match=r"'eav' holds speech and EEG.*--modality speech or eeg"):
        add(project, "both", folder)
    speech = add(project, "eav-speech", folder, modality="speech")
    eeg = add(Project(project.root), "eav-eeg", folder, modality="eeg")
    assert (speech.adapter, speech.modality, speech.samples) == ("eav", "speech", 10)
    assert (eeg.adapter, eeg.modality, eeg.samples) == ("eav", "eeg", 10)


def test_dreamer_is_entered_with_the_middle_of_its_scale(project: Project, tmp_path: Path) -> None:
    add(project, "dreamer", make_dreamer(tmp_path / "d"))
    assert load_params(project.params_path).corpora["dreamer"].rating_threshold == 3.0


def test_labels_are_tried_with_the_threshold_of_the_corpus(project: Project, tmp_path: Path) -> None:
    """A rating of 5, the highest of DREAMER, lies on the threshold of other scales and would have no place."""
    result = add(project, "dreamer", write_dreamer(tmp_path / "d", rating=5.0), use=True)
    assert result.used
    assert result.warnings[0].startswith("no rating of valence is below 3")
    assert "rating_threshold: 3.0" in project.params_path.read_text()


def test_gameemo_is_taken_out_of_its_hidden_folders_without_its_raw_data(
    project: Project, tmp_path: Path
) -> None:
    result = add(project, "games", make_gameemo(tmp_path / "g"))
    assert (result.adapter, result.samples) == ("gameemo", 8)
    there = project.raw_dir / "games"
    names = [file.name for file in there.rglob("*.csv")]
    assert sorted(names) == [f"S0{person}G{game}AllChannels.csv" for person in (1, 2) for game in range(1, 5)]
    assert "8 samples of 2 people" in ingest(Project(project.root), "games")


def test_the_videos_of_eav_stay_where_they_are(project: Project, tmp_path: Path) -> None:
    add(project, "eav-eeg", make_eav(tmp_path / "eav"), modality="eeg")
    files = {file.suffix for file in (project.raw_dir / "eav-eeg").rglob("*") if file.is_file()}
    assert files == {".mat"}
    assert "10 samples" in ingest(Project(project.root), "eav-eeg")


def test_seed_is_taken_with_its_labels(project: Project, tmp_path: Path) -> None:
    add(project, "seed", make_seed(tmp_path / "seed"))
    assert "45 samples of 2 people" in ingest(Project(project.root), "seed")
