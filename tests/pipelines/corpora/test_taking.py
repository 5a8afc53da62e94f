"""What `jmml data add` takes of a folder: what its adapter uses, and nothing that leads out of it."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from dvc.exceptions import DvcException

from jmml.errors import CorpusError, DataError, ProjectError, RecordingError
from jmml.plugins import use_project
from pipelines.corpora import copying
from pipelines.corpora import dvc_record as dvc_module
from pipelines.corpora.add import add
from pipelines.corpora.copying import bring
from pipelines.corpora.describing import Description
from pipelines.corpora.verify import verify
from pipelines.stages.ingest import ingest
from pipelines.workspace.project import Project
from tests.jmml.data.corpora import make
from tests.jmml.data.corpora.speech import published
from tests.jmml.data.corpora.speech.make_audformat import make_audformat
from tests.pipelines.corpora.conftest import state, write_ravdess


def below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def sound(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.1, 0.1, 2400)


@pytest.mark.parametrize(
    ("name", "build", "companions"),
    [
        ("ravdess", lambda root: write_ravdess(root), set()),
        ("nemo", make.make_nemo, {"data.tsv"}),
        ("files", make.make_files, {"recordings.csv"}),
        ("deap", make.make_deap, set()),
        (
            "iemocap",
            published.make_iemocap,
            {
                f"Session{dialog[4]}/dialog/{place}.txt"
                for dialog in published.IEMOCAP
                for place in (f"EmoEvaluation/{dialog}", f"transcriptions/{dialog}")
            }
            | {
                f"Session{dialog[4]}/dialog/EmoEvaluation/Categorical/{dialog}_e2_cat.txt"
                for dialog in published.IEMOCAP
            },
        ),
        ("msp-podcast", published.make_msp_podcast, {"Labels/labels_consensus.csv"}),
        ("meld", published.make_meld, {"train/train_sent_emo.csv", "dev_sent_emo.csv", "test_sent_emo.csv"}),
        ("audformat", make_audformat, {"db.yaml", "db.emotion.csv", "db.files.csv"}),
    ],
)
def test_only_what_the_adapter_uses_is_copied(
    project: Project, tmp_path: Path, name: str, build: Callable[[Path], Path], companions: set[str]
) -> None:
    source = build(tmp_path / "source")
    recordings = {place for place in below(source) if Path(place).suffix in (".wav", ".dat")}
    for place in (
        "analysis.ipynb",
        "plots/a.png",
        "old.zip",
        ".DS_Store",
        "._README.md",
        "notes.csv",
        "x/y.py",
    ):
        (source / place).parent.mkdir(exist_ok=True)
        (source / place).write_bytes(b"litter")
    (source / "README.md").write_text("made by us")
    if name == "ravdess":
        (source / "Actor_01" / "._03-01-01-01-01-01-01.wav").write_bytes(b"resource fork")
    add(project, "mine", source, adapter=name)
    assert below(project.raw_dir / "mine") == recordings | companions | {"README.md"}


OWN = """
from jmml.data.corpora import Listing, SpeechCorpus, Utterance, register_corpus

@register_corpus("own")
class Own(SpeechCorpus):
    name, layout, native_labels = "own", "labels.dat beside *.wav", {"joy": "happiness"}
    companions = COMPANIONS

    def recognises(self, root):
        return (root / "labels.dat").is_file()

    def list_sources(self, root):
        lines = (root / "labels.dat").read_text().split()
        return Listing([Utterance(f"{line}.wav", line, line[0], "joy") for line in lines])
"""


@pytest.mark.parametrize("companions", ["None", "('*.dat',)"])
def test_an_own_adapter_that_reads_what_it_does_not_name_is_told_so(
    project: Project, tmp_path: Path, companions: str
) -> None:
    (project.root / "corpora").mkdir()
    (project.root / "corpora" / "own.py").write_text(OWN.replace("COMPANIONS", companions))
    own = Project(project.root)
    use_project(own.root)
    source = tmp_path / "source"
    source.mkdir()
    for number, name in enumerate(("a1", "b1")):
        soundfile.write(source / f"{name}.wav", sound(number), 8000)
    (source / "labels.dat").write_text("a1 b1")
    before = state(project.root)
    if companions == "None":
        with pytest.raises(
            CorpusError, match=r"adapter 'own' reads files that it does not name: .*`companions`"
        ):
            add(own, "mine", source)
        assert state(project.root) == before
    else:
        add(own, "mine", source)
        assert below(project.raw_dir / "mine") == {"a1.wav", "b1.wav", "labels.dat"}


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    key = tmp_path / "id_rsa"
    key.write_text("-----BEGIN PRIVATE KEY-----")
    return key


@pytest.mark.parametrize("described", [False, True], ids=["an adapter", "a pattern"])
def test_links_out_are_refused_and_never_copied(
    project: Project, tmp_path: Path, secret: Path, described: bool
) -> None:
    source = write_ravdess(tmp_path / "source")
    options = (
        {"description": Description(pattern="{}-{}-{label}-{}-{}-{}-{speaker}.wav")} if described else {}
    )
    (source / "Actor_01" / "03-01-08-01-01-01-01.wav").symlink_to(secret)
    elsewhere = tmp_path / "elsewhere.wav"
    soundfile.write(elsewhere, sound(9), 8000)
    (source / "Actor_02" / "03-01-08-01-01-01-02.wav").symlink_to(elsewhere)
    (source / "Actor_02" / "03-01-01-01-01-02-02.wav").symlink_to("03-01-01-01-01-01-02.wav")
    before = state(project.root)
    with pytest.raises(
        RecordingError, match=r"2 of 11 files lead out of it by links, such as .*id_rsa.*--follow-links"
    ):
        add(project, "mine", source, **options)
    assert state(project.root) == before
    left = add(project, "mine", source, skip_bad=True, **options)
    assert left.samples == 9
    notes = " ".join(left.notes)
    assert "03-01-08-01-01-01-01.wav" in notes
    assert "is a link out of the corpus, to" in notes
    kept = {path.name for path in (project.raw_dir / "mine").rglob("*.wav")}
    assert not kept & {"03-01-08-01-01-01-01.wav", "03-01-08-01-01-01-02.wav"}
    assert not any(b"PRIVATE" in content for content in state(project.root).values())
    (source / "Actor_01" / "03-01-08-01-01-01-01.wav").unlink()
    add(project, "all", source, follow_links=True, **options)
    taken = project.raw_dir / "all" / "Actor_02" / "03-01-08-01-01-01-02.wav"
    assert not taken.is_symlink()
    assert taken.read_bytes() == elsewhere.read_bytes()


def test_a_folder_behind_a_link_and_a_table_behind_one(project: Project, tmp_path: Path) -> None:
    source, far = write_ravdess(tmp_path / "source", actors=1), write_ravdess(tmp_path / "far")
    (source / "Actor_02").symlink_to(far / "Actor_02")
    with pytest.raises(RecordingError, match="4 of 8 files lead out of it by links"):
        add(project, "mine", source)
    nemo = make.make_nemo(tmp_path / "nemo")
    shutil.move(nemo / "data.tsv", tmp_path / "data.tsv")
    (nemo / "data.tsv").symlink_to(tmp_path / "data.tsv")
    with pytest.raises(RecordingError, match=r"data\.tsv: is a link out of the corpus"):
        add(project, "nemo", nemo, skip_bad=True)


def test_what_is_no_file_is_a_line_and_the_rest_goes_on(project: Project, tmp_path: Path) -> None:
    source = write_ravdess(tmp_path / "source")
    folder = source / "Actor_02"
    os.mkfifo(folder / "a-pipe.wav")
    (folder / "a-device.wav").symlink_to("/dev/zero")
    (folder / "a-circle.wav").symlink_to("a-circle.wav")
    (folder / "empty.wav").touch()
    (folder / "picture.wav").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    rows = ["path,speaker,label"]
    for path in sorted(source.rglob("*.wav")):
        rows.append(f"{path.relative_to(source)},{path.parent.name},joy")
    (source / "recordings.csv").write_text("\n".join(rows))
    result = add(project, "mine", source, skip_bad=True, follow_links=True)
    assert result.samples == 8
    said = "; ".join(result.notes)
    for words in (
        "named pipe",
        "device",
        "Too many levels of symbolic links",
        r"is empty (0 bytes)",
        "it is a picture",
    ):
        assert words in said
    assert {path.name for path in (project.raw_dir / "mine" / "Actor_02").iterdir()} == {
        *(path.name for path in folder.glob("03-*.wav")), "empty.wav", "picture.wav",
    }  # fmt: skip


def test_in_place_nothing_may_lie_that_dvc_would_wait_for(project: Project) -> None:
    there = write_ravdess(project.raw_dir / "mine")
    os.mkfifo(there / "pipe")
    with pytest.raises(CorpusError, match="1 entry that are no files, such as pipe"):
        add(project, "mine", there)
    (there / "pipe").unlink()
    (there / os.fsdecode(b"notes\xff.txt")).touch()
    with pytest.raises(CorpusError, match="1 name in another encoding than UTF-8"):
        add(project, "mine", there)


@pytest.mark.parametrize(
    "name", ["[brackets] {and} *?.wav", "line\nend.wav", "\x1b[2Jclear.wav", "n" * 251 + ".wav"]
)
def test_strange_names_are_copied_tracked_and_read(project: Project, tmp_path: Path, name: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    soundfile.write(source / "b.wav", sound(1), 8000)
    shutil.copy(source / "b.wav", source / "c.wav")
    soundfile.write(source / "c.wav", sound(2), 8000)
    (source / "c.wav").rename(source / name)
    quoted = '"' + name.replace('"', '""') + '"'
    (source / "recordings.csv").write_text(f"path,speaker,label\n{quoted},a,joy\nb.wav,b,joy\n")
    add(project, "mine", source)
    fresh = Project(project.root)
    ingest(fresh, "mine")
    verify(fresh, "mine").raise_if_changed()
    assert (project.raw_dir / "mine" / name).exists()


# --link ----------------------------------------------------------------------------------------------------------


def test_linked_files_are_not_copied_and_their_changes_seen(project: Project, corpus: Path) -> None:
    (corpus / "notes.ipynb").write_text("{}")
    result = add(project, "mine", corpus, link=True)
    assert any("linked, not copied" in note for note in result.notes)
    there = project.raw_dir / "mine"
    links = [path for path in there.rglob("*") if not path.is_dir()]
    assert len(links) == 8
    assert all(path.is_symlink() and path.resolve().is_relative_to(corpus) for path in links)
    assert not list((project.root / ".dvc" / "cache").rglob("*.dir"))
    fresh = Project(project.root)
    ingest(fresh, "mine")
    verify(fresh, "mine").raise_if_changed()
    status = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all"],
        cwd=project.root, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert [line for line in status.splitlines() if "data/" in line] == ["?? data/raw/mine.dvc"]
    changed = next(corpus.rglob("*.wav"))
    soundfile.write(changed, sound(99), 8000)
    with pytest.raises(DataError, match="mine: "):
        verify(Project(project.root), "mine").raise_if_changed()


def test_what_lies_in_its_place_is_not_linked(project: Project) -> None:
    there = write_ravdess(project.raw_dir / "mine")
    with pytest.raises(CorpusError, match="lies in its place already"):
        add(project, "mine", there, link=True)


# A full disk -----------------------------------------------------------------------------------------------------


def test_a_full_disk_is_one_short_line(
    project: Project, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path, report: object) -> None:
        raise OSError(28, "No space left on device", str(target))

    before = state(project.root)
    monkeypatch.setattr(copying, "_copy", full)
    with pytest.raises(DataError, match="No space left on device") as caught:
        add(project, "mine", corpus)
    assert len(str(caught.value)) < 300
    assert state(project.root) == before
    monkeypatch.undo()

    def said(*_: object, **__: object) -> None:
        raise DvcException("; ".join(f"failed to add file number {number}" for number in range(10_000)))

    monkeypatch.setattr(dvc_module.Repo, "add", said)
    with pytest.raises(ProjectError, match="DVC: failed to add") as longest:
        add(project, "mine", corpus)
    assert len(str(longest.value)) < 500
    assert state(project.root) == before


def test_where_the_disk_is_full_is_said(tmp_path: Path) -> None:
    """A disk with room for 50 bytes, in the size of files that this process may write."""
    (tmp_path / "a").write_bytes(b"x" * 100)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, limits[1]))
    try:
        with pytest.raises(OSError, match=rf"File too large: '{tmp_path / 'b'}'"):
            copying._copy(tmp_path / "a", tmp_path / "b", lambda done: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


# Copying ---------------------------------------------------------------------------------------------------------


def test_files_are_what_they_were_with_their_times(tmp_path: Path) -> None:
    source, folder = tmp_path / "source", tmp_path / "copy"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "a").write_bytes(bytes(range(256)) * 100)
    (source / "b").touch()
    os.utime(source / "b", (1, 2))
    bring(source, folder, ["b", "deep/a"])
    assert below(folder) == {"b", "deep/a"}
    assert (folder / "deep" / "a").read_bytes() == (source / "deep" / "a").read_bytes()
    assert (folder / "b").stat().st_mtime == 2
    bring(source, folder, ["b"])
    assert below(folder) == {"b"}


def test_a_changed_file_is_copied_again_and_a_link_not_written_through(tmp_path: Path) -> None:
    source, folder, kept = tmp_path / "source", tmp_path / "copy", tmp_path / "kept"
    source.mkdir()
    (source / "a").write_text("one")
    bring(source, folder, ["a"])
    (source / "a").write_text("two")
    os.utime(source / "a", (5, 5))
    kept.write_text("kept")
    (folder / "a").unlink()
    (folder / "a").symlink_to(kept)
    bring(source, folder, ["a"])
    assert (folder / "a").read_text() == "two"
    assert kept.read_text() == "kept"
