"""A folder that no adapter reads is answered with what leads on: the corpus inside, what fetches it, the next step."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from jmml.errors import CorpusError
from pipelines.corpora.add import add
from pipelines.corpora.choosing import DEPTH, choose_adapter
from pipelines.workspace.project import Project
from tests.jmml.data.corpora import make
from tests.pipelines.corpora.conftest import state, write_ravdess

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def refused(project: Project, name: str, source: Path, match: str, **options: str) -> str:
    before = state(project.root)
    with pytest.raises(CorpusError, match=match) as caught:
        add(project, name, source, **options)
    assert len(caught.value.lines) == 1
    assert state(project.root) == before
    return str(caught.value)


@pytest.mark.parametrize("levels", range(1, DEPTH + 1))
@pytest.mark.parametrize("name", ["mine", "ravdess"])
def test_a_folder_around_a_corpus_names_it_and_the_command(
    project: Project, tmp_path: Path, name: str, levels: int
) -> None:
    inner = tmp_path.joinpath("source", *["my folder"] * levels)
    write_ravdess(inner)
    (tmp_path / "source" / "README.txt").write_text("unpacked")
    message = refused(
        project, name, tmp_path / "source", r"holds a corpus in the layout of 'ravdess', in my folder"
    )
    assert f"`jmml data add {name} '{inner}'`" in message
    assert add(project, name, inner).samples == 8


def test_several_corpora_and_one_too_deep(project: Project, tmp_path: Path) -> None:
    make.make_nemo(tmp_path / "source" / "pl")
    write_ravdess(tmp_path / "source" / "en")
    refused(project, "mine", tmp_path / "source", r"of 'ravdess', in en \(and 1 more: pl\)")
    write_ravdess(tmp_path.joinpath("deep", *"abcd"))
    refused(project, "mine", tmp_path / "deep", "no adapter recognises 8 .wav files")


def test_an_adapter_that_was_asked_for_stays(project: Project, tmp_path: Path) -> None:
    make.make_nemo(tmp_path / "source" / "pl")
    message = refused(project, "mine", tmp_path / "source", "in pl", adapter="nemo")
    assert message.endswith("--adapter nemo`")


def test_what_no_adapter_reads_is_counted_and_two_commands_lead_on(project: Project, tmp_path: Path) -> None:
    source = tmp_path / "my clips"
    for number in range(5):
        make.write_wav(source / f"clip {number}.wav", seed=number)
    message = refused(
        project, "mine", source, r"no adapter recognises 5 \.wav files, and no table here names these files"
    )
    assert f"`jmml data add mine '{source}' --pattern '{{speaker}}_{{text}}_{{label}}.wav'`" in message
    assert f"`jmml data new-adapter mine '{source}'`" in message
    assert len(message) < 600


def test_the_nearest_adapter_is_named(project: Project, tmp_path: Path) -> None:
    source = tmp_path / "clips"
    for number, name in enumerate(("1001_DFA_ANG_XX", "1002_IEO_SAD_LO", "else")):
        make.write_wav(source / f"{name}.wav", seed=number)
        (source / f"{name}.wav").rename(source / f"{name}.aiff")
    refused(
        project,
        "mine",
        source,
        r"no adapter recognises 3 \.aiff files \(nearest: 'cremad', by 2 of 3 names\)",
    )


@pytest.mark.parametrize("table", [False, True], ids=["recordings", "table"])
def test_pointers_of_git_lfs_say_what_fetches_the_data(project: Project, tmp_path: Path, table: bool) -> None:
    source = make.make_nemo(tmp_path / "source")
    for file in [source / "data.tsv"] if table else sorted((source / "samples").iterdir()):
        file.write_text(LFS)
    what = r"data\.tsv is a Git LFS pointer, not the data\." if table else (
        r"samples/AA0_anger_0\.wav is a Git LFS pointer, not the data, and so are 3 more of 5 files"
    )  # fmt: skip
    assert "`git lfs pull`" in refused(project, "nemo", source, what)


def test_pointers_of_what_is_not_used_do_not_matter(project: Project, tmp_path: Path) -> None:
    source = write_ravdess(tmp_path / "source")
    (source / "video.mp4").write_text(LFS)
    assert add(project, "mine", source).samples == 8


@pytest.mark.parametrize(
    ("make_pointer", "command"),
    [
        (lambda root: (root / "clips.dvc").write_text("outs:\n- md5: 1.dir\n  path: clips\n"), "`dvc pull`"),
        (lambda root: (root / "a.wav").symlink_to("../.git/annex/objects/a/b/SHA256E-s1"), "`git annex get`"),
    ],
    ids=["dvc", "annex"],
)
def test_other_pointers(project: Project, tmp_path: Path, make_pointer, command: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    make_pointer(source)
    assert command in refused(project, "mine", source, "pointer|link")


def test_one_pointer_is_left_out_and_the_rest_goes_on(project: Project, tmp_path: Path) -> None:
    source = write_ravdess(tmp_path / "source")
    next(source.rglob("*.wav")).write_text(LFS)
    result = add(project, "mine", source, skip_bad=True)
    assert result.samples == 7
    assert any("`git lfs pull`" in note for note in result.notes)


def test_an_archive_is_a_file_and_no_corpus(project: Project, tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "corpus"), "zip", write_ravdess(tmp_path / "source"))
    refused(project, "mine", tmp_path / "corpus.zip", r"no adapter recognises a \.zip file")


def test_a_list_of_recordings_is_answered_with_the_folder_and_the_list(tmp_path: Path) -> None:
    table = tmp_path / "plain.csv"
    table.write_text("path;speaker;emotion\nclips\\a.wav;ann;joy\n")
    with pytest.raises(CorpusError, match=r"lists recordings, such as clips/a\.wav") as caught:
        choose_adapter("lab", table, None)
    assert f"`jmml data add lab FOLDER --table {table}`" in str(caught.value)
    table.write_text("id,group,label,f0\na.wav,ann,joy,210\n")
    assert choose_adapter("lab", table, None) == "table"
