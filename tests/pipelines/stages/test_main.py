from __future__ import annotations

from pathlib import Path

import pytest

from jmml.errors import ConfigError, DataError, ProtocolError
from pipelines.stages._main import main
from pipelines.workspace.project import Project


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    (tmp_path / "params.yaml").touch()
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.setenv("JMML_PROJECT", str(tmp_path))
    return Project(tmp_path)


def failing(error: BaseException):
    def stage(project: Project) -> str:
        raise error

    return stage


def test_prints_one_line_of_summary(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    def split(found: Project) -> str:
        assert found.root == project.root
        return "4 folds"

    assert main(split, []) == 0
    assert capsys.readouterr().out == "split: 4 folds\n"


def test_a_stage_of_one_corpus_takes_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    def ingest(project: Project, corpus: str) -> str:
        return corpus

    assert main(ingest, ["--corpus", "nemo"]) == 0
    assert capsys.readouterr().out == "ingest: nemo\n"
    with pytest.raises(SystemExit) as usage:
        main(ingest, [])
    assert usage.value.code == 2


def test_a_failure_is_one_line_and_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(failing(DataError("no rows", where="a.csv", fix="add some")), []) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: a.csv: no rows. Add some\n"


def test_every_configuration_problem_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(failing(ConfigError(["k: missing", "p: unknown key"], where="params.yaml")), []) == 3
    assert capsys.readouterr().err == "error: params.yaml: k: missing\nerror: params.yaml: p: unknown key\n"


def test_notes_say_where_in_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    error = ProtocolError("class 'a' is absent")
    error.add_note("fold 1")
    assert main(failing(error), []) == 5
    assert capsys.readouterr().err == "error: class 'a' is absent (fold 1)\n"


HOSTILE = "take \x1b[31m\nerror: forged"
SHOWN = "take \N{SYMBOL FOR ESCAPE}[31m\N{SYMBOL FOR LINE FEED}error: forged"


def test_escape_sequences_from_outside_reach_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    def split(project: Project) -> str:
        return HOSTILE

    noted = DataError("no rows")
    noted.add_note(HOSTILE)
    settings = ConfigError([f"{HOSTILE}: unknown key"], where=HOSTILE)
    in_error = SHOWN.replace("\N{SYMBOL FOR LINE FEED}", " ")
    for stage, code, shown in (
        (split, 0, SHOWN),
        (failing(noted), 4, SHOWN),
        (failing(settings), 3, in_error),
    ):
        assert main(stage, []) == code
        out, err = capsys.readouterr()
        assert "\x1b" not in out + err
        assert (out + err).count("\n") == 1
        assert shown in out + err


def test_the_system_refusing_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(failing(OSError(28, "No space left on device", "data/x")), []) == 10
    assert capsys.readouterr().err.startswith("error: data/x: No space left on device. ")


def test_an_interruption_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(failing(KeyboardInterrupt()), []) == 130
    assert "interrupted" in capsys.readouterr().err


def test_debugging_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JMML_DEBUG", "1")
    with pytest.raises(DataError):
        main(failing(DataError("no rows")), [])


def test_a_mistake_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        main(failing(ZeroDivisionError()), [])


def test_outside_of_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("JMML_PROJECT")
    (tmp_path / "params.yaml").unlink()
    monkeypatch.chdir(tmp_path)
    assert main(failing(AssertionError()), []) == 10
    assert "not inside a project" in capsys.readouterr().err
