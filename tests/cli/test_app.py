from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.app import app
from tests.cli.console import run
from tests.jmml.tasks import small_params
from tests.pipelines.tracked import make_project

COMMANDS = [
    (),
    ("data",),
    ("data", "add"),
    ("data", "list"),
    ("data", "show"),
    ("data", "verify"),
    ("data", "utterance"),
    ("data", "adapters"),
    ("data", "check-adapter"),
    ("data", "new-adapter"),
    ("data", "update"),
    ("data", "remove"),
    ("data", "history"),
    ("data", "checkout"),
    ("data", "diff"),
    ("data", "withdraw"),
    ("protocol",),
    ("protocol", "audit"),
    ("sweep",),
    ("sweep", "run"),
    ("study",),
    ("study", "run"),
    ("study", "list"),
    ("study", "show"),
    ("model",),
    ("model", "register"),
    ("model", "list"),
    ("model", "promote"),
    ("model", "rollback"),
    ("results",),
    ("predict",),
    ("ui",),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: " ".join(c) or "jmml")
def test_every_command_explains_itself(command):
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_help_loads_no_heavy_module():
    code = (
        "import sys; sys.argv = ['jmml', '--help']\n"
        "from cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'ray', 'mlflow', 'librosa', 'sklearn', 'pandas', 'numpy', 'dvc', 'pydantic'}\n"
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "jmml" in done.stdout


def test_outside_a_project_one_line_and_an_exit_code(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capfd, "data", "list")
    assert code == 10
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "JMML_PROJECT" in err


@pytest.fixture
def project_folder(tmp_path, monkeypatch):
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "params.yaml").write_text(json.dumps(small_params().model_dump(mode="json")))
    monkeypatch.setenv("JMML_PROJECT", str(tmp_path))
    return tmp_path


def test_adapters_are_listed_inside_and_outside_a_project(capfd, project_folder, monkeypatch):
    (project_folder / "corpora").mkdir()
    (project_folder / "corpora" / "lab.py").write_text(
        "from jmml.data.corpora import register_corpus\n"
        "from jmml.data.corpora.speech.emodb import EmoDB\n"
        "@register_corpus('lab')\n"
        "class Lab(EmoDB):\n"
        "    layout = 'ours'\n"
    )
    rows = {row["name"]: row for row in json.loads(run(capfd, "data", "adapters", "--json")[1])}
    assert rows["lab"] == {
        "name": "lab", "modality": "speech", "layout": "ours", "added": True, "source": "corpora/lab.py",
        "problem": None,
    }  # fmt: skip
    assert rows["deap"]["modality"] == "eeg"
    assert not rows["deap"]["added"]
    monkeypatch.delenv("JMML_PROJECT")
    monkeypatch.chdir(project_folder.parent)
    assert "s01.dat" in run(capfd, "data", "adapters")[1]


def test_an_utterance_replaces_a_file_only_when_told_to(capfd, project_folder):
    target = project_folder / "a.wav"
    assert run(capfd, "data", "utterance", str(target), "--emotion", "sadness")[0] == 0
    before = target.read_bytes()
    code, _, err = run(capfd, "data", "utterance", str(target))
    assert (code, err.count("\n")) == (4, 1)
    assert "--force" in err
    assert target.read_bytes() == before
    assert run(capfd, "data", "utterance", str(target), "--force")[0] == 0
    assert target.read_bytes() != before


def test_a_place_that_cannot_be_written_is_one_line(capfd, project_folder):
    (project_folder / "file").write_text("")
    code, _, err = run(capfd, "data", "utterance", str(project_folder / "file" / "a.wav"))
    assert code != 0
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_wrong_usage_is_exit_code_2(capfd):
    assert run(capfd, "predict")[0] == 2
    assert run(capfd, "no-such-command")[0] == 2


def test_debug_shows_the_traceback(tmp_path):
    env = {k: v for k, v in os.environ.items() if k != "JMML_PROJECT"}
    done = subprocess.run(
        [sys.executable, "-m", "cli.app", "--debug", "data", "list"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=env,
    )
    assert done.returncode != 0
    assert "Traceback" in done.stderr


def test_version(capfd):
    code, out, _ = run(capfd, "--version")
    assert code == 0
    assert out.startswith("jmml ")


def test_an_empty_registry_says_where_it_looked_and_where_a_team_has_its_own(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(tmp_path / "project")
    monkeypatch.chdir(project.root)
    _, out, _ = run(capfd, "model", "list")
    assert out.splitlines() == [
        f"no versions yet in {project.tracking_uri}",
        "Where others have some: set MLFLOW_TRACKING_URI to your team's store",
        "Next: jmml sweep run demo, then jmml model register",
    ]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", project.tracking_uri)
    assert "set MLFLOW_TRACKING_URI" not in run(capfd, "model", "list")[1]
