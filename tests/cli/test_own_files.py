"""A project's own method, control and gate through the command line, in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from jmml.fingerprint import forget
from pipelines.stages import code
from pipelines.study.define.plan import plan
from pipelines.study.define.reading import load_definition
from pipelines.study.publish import record
from pipelines.study.run import workers
from pipelines.workspace.project import Project
from tests.cli import console
from tests.jmml.plugins import own
from tests.pipelines.study.inline import Inline
from tests.pipelines.study.studies import study
from tests.pipelines.sweep.projects import write_project

METHODS = ["raw", "doubtful-mlp", "ones"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with files of its own, a study of its methods, and no Ray."""
    root = own.write(write_project(tmp_path / "project", store=True).root)
    definition = study(
        methods=METHODS, claim="doubtful-mlp", seeds=[0], groups_per_fold=3, tuning={"inner_folds": 2}
    )
    (root / "own.yaml").write_text(yaml.safe_dump(definition))
    monkeypatch.setenv("JMML_PROJECT", str(root))
    monkeypatch.setattr(
        record, "write_report", lambda folder, results: (folder / "report.html").write_text("")
    )
    Inline().replace(monkeypatch, workers)
    return Project(root)


def digests(root: Path) -> dict[str, str]:
    forget()  # as another process would read the files
    project = Project(root)
    return {
        f"{key.method} {key.fold}": key.digest
        for key in plan(project, load_definition(root / "own.yaml")).cells
    }


def test_a_study_of_a_projects_own_methods(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    status, _, err = console.run(capfd, "study", "run", str(project.root / "own.yaml"))
    assert status == 0, err
    status, out, _ = console.run(capfd, "study", "show", "tiny", "--json")
    task = json.loads(out)["tasks"][0]
    assert [row["method"] for row in task["rows"]] == [*METHODS, "label-only"]
    assert {row["reference"] for row in task["rows"]} <= {"label-only", None}


def test_an_unknown_method_is_one_line_with_the_nearest(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    override = ("-s", "methods=raw,doubtful-mpl")
    status, _, err = console.run(
        capfd, "study", "run", str(project.root / "own.yaml"), *override, "--dry-run"
    )
    assert status == 3
    assert "unknown method 'doubtful-mpl'; did you mean 'doubtful-mlp'" in err


def test_a_file_that_fails_is_one_line(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    (project.root / "methods" / "ones.py").write_text("raise RuntimeError('[bold]no')\n")
    status, _, err = console.run(capfd, "study", "run", str(project.root / "own.yaml"), "--dry-run")
    assert status == 3
    assert "methods/ones.py: cannot be loaded at line 1: RuntimeError: [bold]no" in err.replace("\n", " ")
    assert "Traceback" not in err


def test_cells_know_the_methods_that_made_them_and_no_other_file(project: Project) -> None:
    before = digests(project.root)
    for name in ("gates/on_a_weekday.py", "corpora/lab_speech.py"):
        (project.root / name).write_text(own.FILES[name] + "\nOTHER = 1\n")
    assert digests(project.root) == before
    name = "methods/doubtful_mlp.py"
    (project.root / name).write_text(own.FILES[name].replace("0.5 * value", "0.25 * value"))
    after = digests(project.root)
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())


def test_dvc_reruns_the_stages_that_a_projects_file_has_a_part_in(project: Project) -> None:
    def read() -> dict[str, str]:
        forget()
        return {stage: code.of_stage(stage).code for stage in code.STAGES}

    def changed(name: str) -> set[str]:
        before = dict(now)
        (project.root / name).write_text(own.FILES[name] + "\nOTHER = 1\n")
        now.update(read())
        return {stage for stage in code.STAGES if now[stage] != before[stage]}

    now = read()
    assert changed("corpora/lab_speech.py") == {"ingest", "featurize", "split"}
    assert changed("features/energy.py") == {"featurize"}
    assert changed("methods/ones.py") == {"train", "evaluate"}
    assert changed("gates/on_a_weekday.py") == set()
