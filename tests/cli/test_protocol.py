from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from cli.app import app
from jmml.errors import ProjectError


@pytest.fixture
def lists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no project is needed
    path = tmp_path / "folds.csv"
    path.write_text("clip,who,usage\ns1_joy.wav,s1,train\ns1_fear.wav,s1,test\n")
    return path


MAPPED = ["--map", "speaker=who", "--map", "part=usage"]


def run(*words):
    done = CliRunner().invoke(app, ["protocol", "audit", *map(str, words)])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.exit_code, done.output


def test_a_leak_is_printed_and_is_the_exit_code(lists) -> None:
    code, out = run(lists, *MAPPED)
    assert code == 1
    assert "1 of 1 (100%)" in out
    assert (
        "leak: fold 1: 1 of 1 person of the test part is in the training part too (100.0% of its samples): s1"
        in out
    )


def test_json_holds_every_overlap(lists) -> None:
    code, out = run(lists, *MAPPED, "--json")
    found = json.loads(out)
    assert (code, found["leak"], found["disjoint"]) == (1, True, ["person", "recording", "path", "content"])
    assert {one["key"]: one["shared"] for one in found["overlaps"]} == {"person": 1, "path": 0}


def test_no_leak_is_exit_code_0(lists) -> None:
    lists.write_text("clip,who,usage\na.wav,s1,train\nb.wav,s2,test\n")
    assert run(lists, *MAPPED)[0] == 0


def test_names_of_files_by_a_pattern_or_an_adapter(lists) -> None:
    lists.write_text("file,part\n03a01Fa.wav,train\n08a01Wa.wav,test\n")
    assert run(lists)[0] == run(lists, "--corpus", "emodb")[0] == 0
    assert run(lists, "--pattern", "{:2}{text:3}{label:1}{}.wav", "--disjoint", "text")[0] == 1


def test_a_column_without_its_field_is_wrong_usage(lists) -> None:
    code, out = run(lists, "--map", "who")
    assert code == 2
    assert "is not FIELD=COLUMN" in out


def test_what_cannot_be_told_is_no_pass(lists) -> None:
    lists.write_text("clip,who,usage\na.wav,s1,train\nb.wav,,test\n")
    code, out = run(lists, *MAPPED)
    assert code == 1
    assert "no leak was found, and none can be ruled out" in out
    assert json.loads(run(lists, *MAPPED, "--json")[1])["passed"] is False


def test_without_lists_the_folds_of_the_project_are_meant(lists) -> None:
    done = CliRunner().invoke(app, ["protocol", "audit"])
    assert isinstance(done.exception, ProjectError)  # there is none here
    code, out = run("--corpus", "nemo")
    assert code == 2
    assert "describes lists, and none is named" in out
