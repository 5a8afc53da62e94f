"""Adapters of a project: a first version written from what lies in a folder, and tried."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from jmml import plugins
from jmml.data.corpora import get_corpus
from jmml.errors import CorpusError
from pipelines.corpora.check_adapter import FILL_IN, check_adapter
from pipelines.corpora.new_adapter import new_adapter
from pipelines.workspace.project import Project
from tests.cli.console import run
from tests.jmml.data.corpora.make import make_emodb, write_wav
from tests.jmml.data.eeg_files.make import brain, write_edf
from tests.jmml.plugins import own
from tests.jmml.tasks import small_params


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    before = plugins.project()
    root = tmp_path / "project"
    root.mkdir()
    (root / "dvc.yaml").write_text("stages: {}\n")
    (root / "params.yaml").write_text(json.dumps(small_params().model_dump(mode="json")))
    monkeypatch.setenv("JMML_PROJECT", str(root))
    yield Project.find()
    plugins.use_project(before)


def clips(root: Path, form: str = "{p}_{e}_{n}.wav") -> Path:
    for seed, (p, e, n) in enumerate(product(("ann", "bob"), ("anger", "joy", "sad"), (1, 2))):
        write_wav(root / form.format(p=p, e=e, n=n), seed=seed, seconds=0.3)
    return root


@pytest.mark.parametrize(
    "form", ["{p}_{e}_{n}.wav", "{p}/{n}/{e}.wav", "a/b/c/{p}-{e}-{n}.wav", "take {n} of '{p}' [{e}].WAV"]
)
def test_what_is_written_from_names_keeps_the_contract(project: Project, tmp_path: Path, form: str) -> None:
    written = new_adapter(project, "lab-clips", clips(tmp_path / "clips", form))
    assert written.path == "corpora/lab_clips.py"
    assert not written.report.broken, written.lines()
    assert not written.report.to_fill_in
    frame = get_corpus("lab-clips").scan(tmp_path / "clips").frame
    assert set(frame["group"]) == {"ann", "bob"}
    assert frame["label"].value_counts().to_dict() == {"anger": 4, "joy": 4, "sad": 4}
    assert set(frame["text"]) == {"1", "2"}
    assert get_corpus("lab-clips").native_labels["joy"] == "happiness"


def test_what_is_written_from_a_table_keeps_the_contract(project: Project, tmp_path: Path) -> None:
    root, rows = tmp_path / "clips", ["Clip;Who;Feeling;Prompt"]
    for seed, (p, e, n) in enumerate(product(("NA", "bob"), ("Wut", "Freude", "Trauer"), (1, 2))):
        write_wav(root / f"x{seed}.wav", seed=seed, seconds=0.3)
        rows.append(f"x{seed}.wav;{p};{e};s{n}")
    (root / "info.csv").write_text("\n".join(rows) + "\n")
    written = new_adapter(project, "tabled", root)
    assert not written.report.broken, written.lines()
    assert not written.report.to_fill_in
    frame = get_corpus("tabled").scan(root).frame
    assert set(frame["group"]) == {"NA", "bob"}
    assert set(frame["text"]) == {"s1", "s2"}
    (root / "x3.wav").unlink()
    assert "no file 'x3.wav'" in get_corpus("tabled").scan(root, skip_bad=True).skipped[0]


def test_what_is_not_known_is_left_to_fill_in_and_holds_once_it_is(project: Project, tmp_path: Path) -> None:
    root = clips(tmp_path / "clips", "{p}_{e}_{n}.wav")
    for file in root.glob("*sad*"):
        file.rename(root / file.name.replace("sad", "odd"))
    written = new_adapter(project, "lab", root)
    assert [line.partition(":")[0] for line in written.report.to_fill_in] == ["lab.py line 32"]
    assert any("fill in what is marked" in line for line in written.lines())
    with pytest.raises(CorpusError, match="1 of 40 clauses of the contract do not hold and 1 line left"):
        written.report.raise_if_broken()
    file = project.root / "corpora" / "lab.py"
    text = file.read_text()
    file.write_text(text.replace(f"'{FILL_IN}',  # {FILL_IN} the emotion, or delete the line", "'calm',"))
    plugins.use_project(None)
    report = check_adapter(str(file), root)
    report.raise_if_broken()
    assert report.as_dict()["holds"]


def test_names_that_say_nothing_leave_all_to_a_person(project: Project, tmp_path: Path) -> None:
    for seed in range(4):
        write_wav(tmp_path / "clips" / f"{'-+=x'[seed] * seed}{seed}.wav", seed=seed, seconds=0.3)
    written = new_adapter(project, "lab", tmp_path / "clips")
    assert len(written.report.to_fill_in) > 1
    assert any(clause.text == "the folder can be scanned" for clause in written.report.broken)
    assert [c.holds for c in written.report.clauses][-1] is None  # reading was not tried


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Lab", "cannot name an adapter"),
        ("lab/../x", "cannot name an adapter"),
        ("emodb", "jmml has an adapter 'emodb' already"),
        ("taken", "is there already"),
    ],
)
def test_a_name_that_cannot_be_taken(project: Project, tmp_path: Path, name: str, message: str) -> None:
    (project.root / "corpora").mkdir()
    (project.root / "corpora" / "taken.py").write_text("# mine\n")
    with pytest.raises(CorpusError, match=message):
        new_adapter(project, name, clips(tmp_path / "clips"))
    assert [*(project.root / "corpora").iterdir()] == [project.root / "corpora" / "taken.py"]
    assert (project.root / "corpora" / "taken.py").read_text() == "# mine\n"


def test_eeg_is_read_by_what_is_written(project: Project, tmp_path: Path) -> None:
    for seed, (p, e, n) in enumerate(product(("sub-01", "sub-02"), ("joy", "sad"), (1, 2))):
        (tmp_path / "eeg" / p).mkdir(parents=True, exist_ok=True)
        write_edf(tmp_path / "eeg" / p / f"{e}_{n}.edf", brain(seed=seed))
    written = new_adapter(project, "caps", tmp_path / "eeg")
    assert not written.report.broken, written.lines()
    assert not written.report.to_fill_in
    corpus = get_corpus("caps")
    frame = corpus.scan(tmp_path / "eeg").frame
    assert (corpus.modality, set(frame["group"]), set(frame["label"])) == (
        "eeg",
        {"sub-01", "sub-02"},
        {"joy", "sad"},
    )
    assert corpus.read(tmp_path / "eeg", frame.iloc[0]).signal.shape[0] == 3


def test_a_folder_without_recordings_is_one_line(project: Project, tmp_path: Path) -> None:
    (tmp_path / "eeg").mkdir()
    (tmp_path / "eeg" / "s1.dat").write_bytes(b"0")
    with pytest.raises(CorpusError, match=r"holds no recordings, but 1 \.dat file"):
        new_adapter(project, "lab", tmp_path / "eeg")
    with pytest.raises(CorpusError, match="no such folder"):
        new_adapter(project, "lab", tmp_path / "gone")


def test_every_adapter_of_a_project_is_found_by_name_and_by_file(project: Project, tmp_path: Path) -> None:
    own.write(project.root, "corpora/lab_speech.py")
    root = tmp_path / "lab"
    for seed, name in enumerate(("01_anger_1", "01_calm_1", "02_joy_1", "02_sad_1")):
        write_wav(root / f"{name}.wav", seed=seed)
    loose = tmp_path / "lab_speech.py"
    loose.write_text((project.root / "corpora" / "lab_speech.py").read_text())
    for given in ("lab-speech", str(project.root / "corpora" / "lab_speech.py"), str(loose)):
        report = check_adapter(given, root)
        assert not report.broken, given
        assert len(report.clauses) > 30
    assert plugins.project() == project.root.resolve()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"happiness"', '"elation"', "native_labels lead to emotions"),
        (
            "        return Listing(",
            "        1 / 0\n        return Listing(",
            "fails at line 20: ZeroDivisionError",
        ),
        ("import Listing", "import Nothing, Listing", "cannot be loaded at line 3: ImportError"),
    ],
)
def test_what_does_not_hold_is_said(project: Project, tmp_path: Path, old: str, new: str, said: str) -> None:
    own.write(project.root, "corpora/lab_speech.py")
    file = project.root / "corpora" / "lab_speech.py"
    file.write_text(file.read_text().replace(old, new))
    for seed, name in enumerate(("01_anger_1", "02_joy_1")):
        write_wav(tmp_path / "lab" / f"{name}.wav", seed=seed)
    report = check_adapter("lab-speech", tmp_path / "lab")
    assert any(said in f"{clause.text} {clause.found}" for clause in report.broken), "\n".join(report.lines())
    with pytest.raises(CorpusError, match="do not hold"):
        report.raise_if_broken()


def test_our_own_are_tried_alike_and_without_a_folder_in_part(tmp_path: Path) -> None:
    assert not check_adapter("emodb", make_emodb(tmp_path / "emodb")).broken
    report = check_adapter("emodb")
    assert [clause.text for clause in report.clauses if clause.holds is None] == [
        "recordings are listed, recognised and read (no folder was named)"
    ]
    report.raise_if_broken()


@pytest.mark.parametrize(
    ("given", "message"),
    [("emobd", "did you mean 'emodb'"), ("gone.py", "no such file"), ("1-x.py", "cannot be a module")],
)
def test_what_is_no_adapter_is_one_line(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "1-x.py").write_text("")
    with pytest.raises(CorpusError, match=message):
        check_adapter(given)


def test_the_commands(capfd: pytest.CaptureFixture[str], project: Project, tmp_path: Path) -> None:
    root = str(clips(tmp_path / "clips"))
    code, out, _ = run(capfd, "data", "new-adapter", "lab", root)
    assert code == 0
    assert "it does all that an adapter must" in out
    code, out, err = run(capfd, "data", "check-adapter", "lab", root)
    assert (code, err) == (0, "")
    assert "holds: no other adapter recognises the layout first\n" in out
    file = project.root / "corpora" / "lab.py"
    found = json.loads(run(capfd, "data", "check-adapter", str(file), root, "--json")[1])
    assert found["holds"]
    file.write_text(file.read_text().replace("'anger': 'anger'", "'anger': 'rage'"))
    plugins.use_project(None)
    code, out, err = run(capfd, "data", "check-adapter", "lab", root)
    assert code == 4
    assert "FAILS: native_labels lead to emotions" in out
    assert err == "error: adapter 'lab': 1 of 40 clauses of the contract do not hold\n"
    file.write_text("raise OSError('gone')\n")
    plugins.use_project(None)
    rows = {row["name"]: row for row in json.loads(run(capfd, "data", "adapters", "--json")[1])}
    assert rows["lab"]["source"] == "corpora/lab.py"
    assert rows["lab"]["problem"].endswith("cannot be loaded at line 1: OSError: gone")
    assert rows["emodb"] == {
        "name": "emodb", "modality": "speech", "layout": rows["emodb"]["layout"], "added": False, "source": "jmml",
        "problem": None,
    }  # fmt: skip
