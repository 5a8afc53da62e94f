from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from dvc.repo import Repo

from jmml.config import load_params
from jmml.data.manifest import Manifest
from jmml.errors import (
    ConfigError,
    CorpusError,
    DataError,
    JMMLError,
    LabelError,
    ProjectError,
    RecordingError,
    UnsafeFileError,
)
from pipelines.corpora import add as adding
from pipelines.corpora import copying
from pipelines.corpora.add import Columns, add, preview
from pipelines.corpora.describe import show
from pipelines.corpora.describing import Description
from pipelines.corpora.verify import verify
from pipelines.stages.featurize import features
from pipelines.stages.ingest import ingest
from pipelines.workspace.project import Project
from tests.jmml.data.corpora.speech import published
from tests.pipelines.corpora.conftest import state, write_ravdess


def test_add_copies_tracks_and_enters(project: Project, corpus: Path) -> None:
    (corpus / ".git").mkdir()
    (corpus / ".git" / "HEAD").write_text("ref")
    (corpus / "LICENSE").write_text("terms")
    result = add(project, "mine", corpus)

    copied = project.raw_dir / "mine"
    expected = {p.relative_to(corpus) for p in corpus.rglob("*.wav")} | {Path("LICENSE")}
    assert {p.relative_to(copied) for p in copied.rglob("*") if p.is_file()} == expected
    params = load_params(project.params_path)
    assert params.corpora["mine"].model_dump(exclude_defaults=True) == {
        "adapter": "ravdess",
        "modality": "speech",
        "path": "data/raw/mine",
    }
    assert params.task.speech == "old"
    assert "# in use" in project.params_path.read_text()
    with Repo(str(project.root)) as repo:
        (out,) = repo.find_outs_by_path(str(copied))
        assert out.hash_info.value == out.get_hash().value == result.dvc_hash
    assert (result.samples, result.groups, result.used) == (8, 2, False)
    assert "task.speech: mine" in result.lines()[-1]
    assert result.as_dict()["path"] == "data/raw/mine"


def test_git_sees_the_pointer_and_not_the_recordings(project: Project, corpus: Path) -> None:
    add(project, "mine", corpus)
    status = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all"],
        cwd=project.root, capture_output=True, text=True, check=True,
    )  # fmt: skip
    data = [line for line in status.stdout.splitlines() if "data/" in line]
    assert data == ["?? data/raw/mine.dvc"]


def test_add_prints_nothing_on_stdout(
    project: Project, corpus: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="dvc")
    add(project, "mine", corpus)
    assert capsys.readouterr().out == ""
    assert "git add" not in caplog.text  # DVC's log handler writes such advice to stdout


def test_use_makes_it_the_corpus_of_the_task(project: Project, corpus: Path) -> None:
    result = add(project, "mine", corpus, use=True)
    assert load_params(project.params_path).task.speech == "mine"
    assert "names it now" in result.lines()[-1]


def test_the_name_of_an_adapter_is_taken_as_the_adapter(project: Project, corpus: Path) -> None:
    with pytest.raises(CorpusError, match="no recording in the layout of 'emodb'"):
        add(project, "emodb", corpus)
    assert add(project, "ravdess", corpus).adapter == "ravdess"


def test_a_table_needs_its_modality(project: Project, tmp_path: Path) -> None:
    table = tmp_path / "features.csv"
    pd.DataFrame(
        {"id": ["a", "b"], "group": ["x", "y"], "label": ["anger", "calm"], "alpha [V^2]": [1.0, 2.0]}
    ).to_csv(table, index=False)
    with pytest.raises(CorpusError, match="--modality speech or eeg"):
        add(project, "lab", table)
    with pytest.raises(CorpusError, match="unknown modality 'egg'; did you mean 'eeg'"):
        add(project, "lab", table, modality="egg")
    add(project, "lab", table, modality="eeg", use=True)
    assert (project.raw_dir / "lab" / "features.csv").read_bytes() == table.read_bytes()
    fresh = Project(project.root)
    assert fresh.params.task.eeg == "lab"
    assert show(fresh, "lab").classes == {"HVLA": 1, "LVHA": 1}


def test_a_corpus_in_its_place_already_is_tracked_there(project: Project) -> None:
    there = write_ravdess(project.raw_dir / "mine")
    before = state(there)
    add(project, "mine", there)
    assert state(there) == before
    assert (project.raw_dir / "mine.dvc").exists()


# What must not change anything ------------------------------------------------------------------------------


def break_wav(corpus: Path) -> None:
    file = corpus / "Actor_02" / "03-01-04-01-01-01-02.wav"
    file.write_bytes(file.read_bytes()[:60])


def empty(corpus: Path) -> None:
    shutil.rmtree(corpus)
    corpus.mkdir()


def foreign(corpus: Path) -> None:
    empty(corpus)
    (corpus / "notes.txt").write_text("no corpus")


def malicious(corpus: Path) -> None:
    empty(corpus)
    (corpus / "s01.dat").write_bytes(b"cos\nsystem\n(S'touch executed'\ntR.")


def gone(corpus: Path) -> None:
    shutil.rmtree(corpus)


def misnamed(corpus: Path) -> None:
    (corpus / "recordings.csv").write_text("path,speaker,label\n")
    empty(corpus)
    for person in "ab":
        soundfile.write(corpus / f"{person}_joy.wav", sound(ord(person)), 8000)
    (corpus / "a_joy.wav").rename(corpus / os.fsdecode(b"a\xff_joy.wav"))


REFUSED = {
    "name with a dot": ("a.b", None, {}, CorpusError, "'a.b' cannot name a corpus"),
    "name that is a path": ("../x", None, {}, CorpusError, "cannot name a corpus"),
    "taken name": ("old", None, {}, CorpusError, "there is a corpus 'old' already"),
    "missing folder": ("mine", gone, {}, CorpusError, "no such file or folder"),
    "empty folder": ("mine", empty, {}, CorpusError, "the folder is empty"),
    "foreign files": ("mine", foreign, {}, CorpusError, r"recognises 1 \.\w+ file, and it holds no recording"),
    "unknown adapter": (
        "mine", None, {"adapter": "ravdes"}, CorpusError, "unknown corpus adapter 'ravdes'; did you mean"
    ),
    "wrong modality": ("mine", None, {"modality": "eeg"}, CorpusError, "reads speech, the settings say eeg"),
    "truncated recording": ("mine", break_wav, {}, RecordingError, r"Actor_02/03-01-04-01-01-01-02\.wav"),
    "a name of another encoding": (
        "mine", misnamed, {"description": Description(pattern="{speaker}_{label}.wav")}, RecordingError,
        "1 of 2 recordings cannot be used: .*the name is not UTF-8; rename it",
    ),
    "code in a pickle": ("mine", malicious, {"adapter": "deap"}, UnsafeFileError, r"s01\.dat"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_anything_is_written(
    project: Project, corpus: Path, case: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    name, damage, options, error, message = REFUSED[case]
    if damage is not None:
        damage(corpus)
    before = state(project.root)
    with pytest.raises(error, match=message) as failure:
        add(project, name, corpus, **options)
    assert len(failure.value.lines) == 1
    assert state(project.root) == before
    assert not (tmp_path / "executed").exists()


def test_unreadable_recordings_are_left_out_only_when_told_to(project: Project, corpus: Path) -> None:
    break_wav(corpus)
    result = add(project, "mine", corpus, skip_bad=True)
    whole = len(list(corpus.rglob("*.wav")))
    assert result.samples == whole - 1
    assert any(note.startswith("left out") and "Actor_02" in note for note in result.notes)
    again = Project(project.root)
    assert again.params.corpora["mine"].skip_bad
    assert "left out" in ingest(again, "mine")
    assert show(again, "mine").samples == whole - 1


@pytest.mark.parametrize("samples", [np.zeros(2400), np.full(2400, np.nan)], ids=["silent", "not finite"])
def test_signals_are_read_before_a_corpus_may_enter(
    project: Project, corpus: Path, samples: np.ndarray
) -> None:
    bad = corpus / "Actor_02" / "03-01-04-01-01-01-02.wav"
    soundfile.write(bad, samples, 8000, subtype="FLOAT")
    before = state(project.root)
    with pytest.raises(
        RecordingError, match=r"1 of 8 recordings cannot be used: .*03-01-04-01-01-01-02\.wav"
    ):
        add(project, "mine", corpus)
    assert state(project.root) == before
    result = add(project, "mine", corpus, skip_bad=True)
    assert result.samples == 7
    assert any("03-01-04-01-01-01-02" in note for note in result.notes)


def test_labels_without_a_place_block_use_and_only_use(project: Project, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    pd.DataFrame({"id": ["a"], "group": ["x"], "label": ["smugness"], "f0 [Hz]": [1.0]}).to_csv(
        table, index=False
    )
    before = state(project.root)
    with pytest.raises(LabelError, match=r"'smugness' \(1\)"):
        add(project, "lab", table, modality="speech", use=True)
    assert state(project.root) == before
    add(project, "lab", table, modality="speech")
    assert "smugness" in str(show(Project(project.root), "lab").unmapped)


def stops(monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException | type[BaseException]) -> None:
    """Let one step of ``add`` fail: ``bring`` at the third file, the others when their work is done."""
    if step == "bring":
        original, calls = copying._copy, []

        def late(*args: object) -> None:
            calls.append(args)
            if len(calls) == 3:
                raise error
            original(*args)

        monkeypatch.setattr(copying, "_copy", late)
        return
    original = getattr(adding, step)

    def failing(*args: object, **options: object) -> object:
        if step != "atomic_path":
            original(*args, **options)
        raise error

    monkeypatch.setattr(adding, step, failing)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ConfigError(["disk gone"]), OSError(28, "full")])
@pytest.mark.parametrize("step", ["bring", "track", "atomic_path"])
def test_a_failure_half_way_takes_everything_back(
    project: Project,
    corpus: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    interruption: BaseException | type[BaseException],
) -> None:
    stops(monkeypatch, step, interruption)
    before = state(project.root)
    with pytest.raises((KeyboardInterrupt, JMMLError)):
        add(project, "mine", corpus)
    assert state(project.root) == before
    monkeypatch.undo()
    add(project, "mine", corpus)


def fail_to_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the last step of ``add``, the edit of params.yaml, fail."""

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(adding, "atomic_path", full)


def test_a_failure_leaves_a_corpus_in_its_place_alone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = write_ravdess(project.raw_dir / "mine")
    before = state(project.root)
    fail_to_enter(monkeypatch)
    with pytest.raises(DataError, match=r"params\.yaml: No space left on device"):
        add(project, "mine", there)
    assert state(project.root) == before


@pytest.mark.parametrize("ignored", [None, b"/other\n"], ids=["no file", "a file"])
def test_a_failure_restores_what_git_ignores(
    project: Project, corpus: Path, monkeypatch: pytest.MonkeyPatch, ignored: bytes | None
) -> None:
    (project.root / ".gitignore").unlink()  # so that DVC writes data/raw/.gitignore
    if ignored is not None:
        (project.raw_dir / ".gitignore").write_bytes(ignored)
    before = state(project.root)
    fail_to_enter(monkeypatch)
    with pytest.raises(DataError):
        add(project, "mine", corpus)
    assert state(project.root) == before
    monkeypatch.undo()
    add(project, "mine", corpus)
    assert b"/mine\n" in (project.raw_dir / ".gitignore").read_bytes()


def test_left_overs_of_a_killed_run_are_explained(project: Project, corpus: Path) -> None:
    shutil.copytree(corpus, project.raw_dir / "mine")
    with pytest.raises(CorpusError, match=r"`jmml data add mine data/raw/mine`"):
        add(project, "mine", corpus)
    add(project, "mine", project.raw_dir / "mine")


@pytest.mark.parametrize("place", ["data", "data/raw", "data/raw/mine"])
def test_a_symbolic_link_on_the_way_is_named_before_anything_is_written(
    project: Project, corpus: Path, tmp_path: Path, place: str
) -> None:
    link = project.root / place
    elsewhere = tmp_path / "disk"
    if link.exists():
        shutil.move(link, elsewhere)
    else:
        shutil.copytree(corpus, elsewhere)
    link.symlink_to(elsewhere)
    before = project.params_path.read_text()
    with pytest.raises(ProjectError) as caught:
        add(project, "mine", project.raw_dir / "mine" if place.endswith("mine") else corpus)
    message = str(caught.value)
    assert message.startswith(f"{link}: is a symbolic link")
    assert "dvc cache dir" in message
    assert "git init" not in message
    assert project.params_path.read_text() == before


def test_without_dvc_the_next_step_is_named(project: Project, corpus: Path) -> None:
    shutil.rmtree(project.root / ".dvc")
    before = state(project.root)
    with pytest.raises(ProjectError, match="`dvc init`"):
        add(project, "mine", corpus)
    assert state(project.root) == before


def test_a_folder_around_the_project_cannot_be_added(project: Project) -> None:
    with pytest.raises(CorpusError, match="contains the project"):
        add(project, "mine", project.root.parent)


def test_labels_for_which_we_have_no_emotion_are_left_out_of_the_task_and_told(
    project: Project, tmp_path: Path
) -> None:
    angry = ("Ses01F_impro01_M009", "fru", "Why not?")
    dialogs = {
        dialog: [*turns, angry] if "impro" in dialog else turns for dialog, turns in published.IEMOCAP.items()
    }
    result = add(project, "acted", published.make_iemocap(tmp_path / "iemocap", dialogs), use=True)
    assert result.notes[-1] == (
        "1 frustrated (fru): no task has them (unmapped: drop); corpora.acted.labels gives them a place"
    )
    assert load_params(project.params_path).corpora["acted"].unmapped == "drop"
    plain = add(project, "plain", published.make_iemocap(tmp_path / "other"))
    assert load_params(project.params_path).corpora["plain"].unmapped == "error"
    assert not any("frustrated" in note for note in plain.notes)


# Recordings that no adapter knows -------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Four recordings of two people in folders of their own, and what does not belong to them."""
    root = tmp_path / "own"
    for number, (person, emotion) in enumerate(
        (("ann", "joy"), ("ann", "sad"), ("bob", "joy"), ("bob", "sad"))
    ):
        file = root / person / f"{person}_{emotion}_{number}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, np.random.default_rng(number).uniform(-0.1, 0.1, 2400), 8000)
    (root / "notebook.ipynb").write_text("{}" * 1000)
    (root / "README.md").write_text("made by us")
    return root


def test_names_of_files_describe_a_corpus_and_only_what_is_used_is_copied(
    project: Project, own: Path
) -> None:
    described = Description(pattern="{speaker}_{label}_{}.wav")
    seen = preview("own", own, description=described)
    assert seen.lines()[1:4] == [
        "understood: person, label: file names ({speaker}_{label}_{}.wav)",
        "found: 4 recordings of 2 people; joy 2, sad 2",
        "row: path ann/ann_joy_0.wav, person ann, label joy",
    ]
    assert not (project.raw_dir / "own").exists()
    result = add(project, "own", own, description=described, use=True)
    assert (result.adapter, result.samples, result.groups) == ("files", 4, 2)
    there = project.raw_dir / "own"
    assert sorted(path.name for path in there.rglob("*") if path.is_file()) == [
        "README.md", "ann_joy_0.wav", "ann_sad_1.wav", "bob_joy_2.wav", "bob_sad_3.wav", "recordings.csv",
    ]  # fmt: skip
    assert (there / "recordings.csv").read_text().splitlines()[:2] == [
        "path,speaker,label", "ann/ann_joy_0.wav,ann,joy",
    ]  # fmt: skip
    fresh = Project(project.root)
    assert show(fresh, "own").classes == {"HVHA": 2, "LVLA": 2}
    ingest(fresh, "own")
    assert len(Manifest.load(fresh.manifest_path("own"))) == 4


def test_a_table_beside_them_is_found_and_said(project: Project, own: Path) -> None:
    rows = [
        f"{path.name};{path.parent.name};{path.stem.split('_')[1]};3,5" for path in sorted(own.rglob("*.wav"))
    ]
    (own / "labels.csv").write_text("\n".join(["Datei;Wer;Emotion;Dauer", *rows]))
    with pytest.raises(
        CorpusError, match=r"no adapter recognises 4 \.wav files.*, and no table here names these files"
    ):
        add(project, "own", own)
    described = Description(columns={"file": "Datei", "speaker": "Wer"})
    result = add(project, "own", own, description=described)
    assert "understood: person: column Wer; label: column Emotion" in result.lines()
    assert result.groups == 2


def test_guesses_alone_are_enough_where_they_fit(project: Project, own: Path) -> None:
    rows = [f"{path.relative_to(own)},{path.parent.name},joy" for path in sorted(own.rglob("*.wav"))]
    (own / "labels.csv").write_text("\n".join(["file,speaker,emotion", *rows]))
    assert add(project, "own", own).adapter == "files"


def test_described_where_it_lies(project: Project, own: Path) -> None:
    there = project.raw_dir / "own"
    shutil.copytree(own, there)
    add(project, "own", there, description=Description(pattern="{speaker}_{label}_{}.wav"))
    assert (there / "recordings.csv").exists()
    assert (there / "notebook.ipynb").exists()


@pytest.mark.parametrize(
    ("description", "adapter", "error"),
    [
        (Description(table=Path("gone.csv")), None, "gone.csv: no such table. Check --table"),
        (Description(pattern="{speaker}-{label}.wav"), None, "none of 4 files is named like"),
        (Description(pattern="{speaker}_{label}_{}.wav"), "emodb", "describe files, not 'emodb'"),
        (
            Description(),
            None,
            r"no adapter recognises 4 \.wav files, .*2 folders, and no table .*--pattern",
        ),
    ],
)
def test_a_description_that_does_not_fit_writes_nothing(
    project: Project, own: Path, description: Description, adapter: str | None, error: str
) -> None:
    before = state(project.root)
    with pytest.raises(DataError, match=error):
        add(project, "own", own, description=description, adapter=adapter)
    assert state(project.root) == before


def test_a_failure_takes_the_table_back(project: Project, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = project.raw_dir / "own"
    shutil.copytree(own, there)
    before = state(project.root)
    monkeypatch.setattr("pipelines.corpora.add.track", lambda *words, keep: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        add(project, "own", there, description=Description(pattern="{speaker}_{label}_{}.wav"))
    assert state(project.root) == before


# Copies ---------------------------------------------------------------------------------------------------------


def sound(seed: int, rate: int = 16000) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.3, 0.3, rate)


@pytest.mark.parametrize(
    "change", [lambda x: x, lambda x: 0.2 * x, lambda x: x[3000:]], ids=["bytes", "gain", "cut"]
)
def test_a_recording_of_two_people_is_refused_or_left_out_for_both(
    project: Project, tmp_path: Path, change
) -> None:
    root = tmp_path / "own"
    root.mkdir()
    for number, person in enumerate("abcd"):
        soundfile.write(root / f"{person}_joy.wav", sound(number), 16000)
    soundfile.write(root / "e_joy.wav", change(sound(0)), 16000)
    described = Description(pattern="{speaker}_{label}.wav")
    with pytest.raises(
        RecordingError,
        match=r"1 recordings are there again as another person or label: a_joy \(a, joy\) is e_joy \(e, joy\)",
    ):
        add(project, "own", root, description=described)
    result = add(project, "own", root, description=described, skip_bad=True)
    assert (result.samples, result.groups) == (3, 3)
    assert "left out a_joy (a, joy) is e_joy (e, joy)" in result.notes


def test_a_recording_twice_of_one_person_is_noted(project: Project, tmp_path: Path) -> None:
    root = tmp_path / "own"
    root.mkdir()
    for name, seed in (("a_joy_1", 0), ("a_joy_2", 0), ("b_joy_1", 1)):
        soundfile.write(root / f"{name}.wav", sound(seed), 16000)
    result = add(project, "own", root, description=Description(pattern="{speaker}_{label}_{}.wav"))
    assert result.samples == 3
    assert result.notes == ("1 recording there again as the same person and label",)


def test_equal_rows_of_a_table_under_two_names_are_refused(project: Project, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(6, 12)), columns=[f"f{n}" for n in range(12)])
    frame = pd.concat([frame, frame], ignore_index=True)
    frame.insert(0, "id", [f"u{n}" for n in range(12)])
    frame.insert(1, "group", list("aabbcc") + list("xxyyzz"))
    frame.insert(2, "label", ["anger", "calm"] * 6)
    frame.to_csv(tmp_path / "features.csv", index=False)
    with pytest.raises(
        DataError, match=r"6 rows are there again as another person or label: u6 \(x\) is u0 \(a\); "
    ):
        add(project, "lab", tmp_path / "features.csv", modality="speech")


@pytest.mark.parametrize(("people", "samples"), [("aa", 2), ("ab", 0)])
def test_overlapping_segments_may_differ_in_label_and_not_in_person(
    project: Project, tmp_path: Path, people: str, samples: int
) -> None:
    root = tmp_path / "own"
    root.mkdir()
    soundfile.write(root / "long.wav", sound(0, 64000), 16000)
    rows = [f"long.wav,{people[0]},joy,0,2", f"long.wav,{people[1]},calm,0.5,2.5"]
    (root / "recordings.csv").write_text("\n".join(["path,speaker,label,start_s,end_s", *rows]))
    if samples:
        assert add(project, "own", root).samples == samples
    else:
        with pytest.raises(RecordingError, match=r"long@0-2 \(a, joy\) is long@0\.5-2\.5 \(b, calm\)"):
            add(project, "own", root)


def test_verify_knows_what_was_left_out_as_a_copy(project: Project, tmp_path: Path) -> None:
    root = tmp_path / "own"
    root.mkdir()
    for person, seed in zip("abcd", (0, 0, 1, 2), strict=True):
        soundfile.write(root / f"{person}_joy.wav", sound(seed), 16000)
    add(project, "own", root, description=Description(pattern="{speaker}_{label}.wav"), skip_bad=True)
    fresh = Project(project.root)
    ingest(fresh, "own")
    verify(fresh, "own").raise_if_changed()


def test_columns_that_tell_the_answer_are_refused_and_named_in_the_settings(
    project: Project, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(12, 3)), columns=["f0 [Hz]", "f1", "f2"])
    frame.insert(0, "id", [f"u{n}" for n in range(12)])
    frame.insert(1, "group", list("aabbcc") * 2)
    frame.insert(2, "label", ["anger", "calm"] * 6)
    frame.to_csv(tmp_path / "t.csv")
    with pytest.raises(
        DataError, match=r"1 of 4 columns .*: 'Unnamed: 0' has no name. .*--leave-out 'Unnamed: 0'"
    ):
        add(project, "lab", tmp_path / "t.csv", modality="speech")
    result = add(
        project, "lab", tmp_path / "t.csv", modality="speech", columns=Columns(leave_out=["Unnamed: 0"])
    )
    assert result.features == ("f0 [Hz]", "f1", "f2")
    assert "3 features: 1 f0 [Hz], 2 f1, 3 f2" in result.lines()
    fresh = Project(project.root)
    assert fresh.corpus("lab").leave_out == ["Unnamed: 0"]
    assert show(fresh, "lab").features == result.features
    assert any("3: 1 f0 [Hz], 2 f1, 3 f2" in line for line in show(fresh, "lab").lines())
    ingest(fresh, "lab")
    assert len(features(fresh, "lab")[0].names) == 3


def test_settings_of_tables_are_of_tables(project: Project, corpus: Path) -> None:
    with pytest.raises(ConfigError, match="windows: is of tables of features, not of 'ravdess'"):
        add(project, "mine", corpus, columns=Columns(windows=True))


def test_faults_of_recordings_are_told_by_add_show_and_verify(project: Project, tmp_path: Path) -> None:
    root = tmp_path / "own"
    root.mkdir()
    for number, person in enumerate("abcd"):
        voice = sound(number)
        soundfile.write(root / f"{person}_joy.wav", voice, 16000)
    soundfile.write(root / "d_joy.wav", np.stack([voice, 0.1 * sound(9) - voice], axis=1), 16000)
    soundfile.write(root / "e_calm.wav", np.clip(sound(5), -0.05, 0.05), 16000)
    soundfile.write(root / "E_calm.wav", sound(6), 16000)
    result = add(project, "own", root, description=Description(pattern="{speaker}_{label}.wav"))
    assert result.checks["opposite channels"] == {"d_joy": "the channels cancel: 1 and 2"}
    assert list(result.checks["clipping"]) == ["e_calm"]
    told = "opposite channels in 1 of 6 recordings: d_joy (the channels cancel: 1 and 2)"
    fresh = Project(project.root)
    for step in range(2):  # before and after its stage has run
        shown = show(fresh, "own")
        assert shown.checks == result.checks
        assert told in shown.notes
        assert "people whose names differ in case or blanks only: 'E' and 'e'" in shown.notes
        if step == 0:
            ingest(fresh, "own")
    assert f"  note: {told}" in verify(fresh, "own").lines()
    soundfile.write(project.raw_dir / "own" / "a_joy.wav", sound(11), 16000)
    project.manifest_path("own").unlink()
    assert show(fresh, "own").checks == {}


def test_channels_that_cancel_are_refused_and_left_out(project: Project, tmp_path: Path) -> None:
    root = tmp_path / "own"
    root.mkdir()
    soundfile.write(root / "a_joy.wav", sound(0), 16000)
    soundfile.write(root / "b_joy.wav", np.stack([sound(1), -sound(1)], axis=1), 16000)
    described = Description(pattern="{speaker}_{label}.wav")
    with pytest.raises(RecordingError, match=r"b_joy\.wav: the channels cancel"):
        add(project, "own", root, description=described)
    assert add(project, "own", root, description=described, skip_bad=True).samples == 1


def test_names_that_are_no_text_are_left_out_of_the_table_too(project: Project, own: Path) -> None:
    strange = os.fsdecode(b"car\xe9_joy_9.wav")
    shutil.copyfile(next(own.rglob("*joy*.wav")), own / strange)
    described = Description(pattern="{speaker}_{label}_{}.wav")
    with pytest.raises(RecordingError, match="not UTF-8"):
        add(project, "own", own, description=described)
    result = add(project, "own", own, description=described, skip_bad=True)
    assert result.samples == 4
    assert "joy_9" not in (project.raw_dir / "own" / "recordings.csv").read_text()


def test_labels_that_say_nothing_are_told_when_they_are_added(project: Project, own: Path) -> None:
    names = [path.name for path in sorted(own.rglob("*.wav"))]
    table, words = own / "rated.csv", own / "words.csv"
    ratings = zip(names, (-0.5, 0.5, -1, 1), (0.1, 0.2, 0.3, 0.4), strict=True)
    rows = [f"{name},{name[:3]},{valence},{arousal}" for name, valence, arousal in ratings]
    table.write_text("\n".join(["file,speaker,valence,arousal", *rows]))
    result = add(project, "rated", own, description=Description(table=table))
    assert result.warnings[0] == (
        "no rating of valence is above 5; they go from -1 to 1: corpora.rated.rating_threshold is the middle of "
        "the scale"
    )
    table.unlink()
    words.write_text("\n".join(["file,speaker,label", *(f"{name},{name[:3]},frown" for name in names)]))
    told = add(project, "words", own, description=Description(table=words)).warnings
    assert told[0].startswith("4 of 4 rows have no place in label space 'quadrants': 'frown' (4); map them")
    assert show(Project(project.root), "rated").warnings[0] == result.warnings[0]
