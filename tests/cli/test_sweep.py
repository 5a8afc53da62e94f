from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import yaml
from typer.testing import CliRunner

from cli.app import app
from cli.sweep.arguments import definitions, settings, sweeps
from jmml.config import MethodConfig
from jmml.errors import ConfigError, SweepError
from pipelines.compute import jobs
from pipelines.compute.cluster_info import Cluster, NodeState
from pipelines.sweep import runner
from pipelines.sweep.definition.plan import plan
from pipelines.sweep.definition.reading import check
from pipelines.sweep.execute import stopping
from pipelines.sweep.execute.fingerprint import fingerprint
from pipelines.sweep.record.folder import SweepFolder
from tests.cli import console
from tests.pipelines.sweep.projects import definition, write_project
from tests.pipelines.sweep.scripts import Script, bare_project, long_sweep

COMMANDS = ("run", "list", "show", "watch", "stop", "resume", "extend", "best", "export", "report")


def run(capfd, *args: str) -> tuple[int, str, str]:
    return console.run(capfd, "sweep", *args)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with a sweep that was stopped, and one whose trials have costs."""
    project = write_project(tmp_path_factory.mktemp("sweep") / "project")
    (project.root / "tiny.yaml").write_text(yaml.safe_dump(definition()))
    checked = check(definition(trials=6))
    planned = plan(project, checked)
    script = Script(total=6, **checked.plain())
    script.events[0]["fingerprint"] = fingerprint(planned)
    script.trial(1, [0.3, 0.5, 0.4], configuration={"stage1.p": 3, "stage2.lam_c": 0.25})
    script.trial(
        2, [0.2], "failed", configuration={"stage1.p": 4, "stage2.lam_c": 1.5}, error="ModelError: x"
    )
    script.start(3, configuration={"stage1.p": 4, "stage2.lam_c": 0.5})
    script("break", trial=3)
    script("close", state="stopped", reason="asked to by anna")
    script.write(project)
    costly = Script(name="costly", objective={"score": "mean", "cost": "inference"})
    for number, (score, cost) in enumerate([(0.5, 9e3), (0.4, 4e3), (0.3, 6e3)], 1):
        costly.start(number)
        costly.report(number, score, cost=cost)
        costly.end(number)
    costly.write(project)
    return project


@pytest.fixture
def here(project, monkeypatch):
    monkeypatch.setenv("JMML_PROJECT", str(project.root))
    return project


@pytest.fixture
def done(here):
    """A sweep that is finished."""
    script = Script(total=1, name="done")
    script.trial(1, [0.4])
    script("close", state="finished", reason="")
    folder = script.write(here)
    yield folder
    shutil.rmtree(folder.path)


@pytest.fixture
def called(monkeypatch):
    """What the runner is asked for; nothing runs."""
    calls = []
    result = SimpleNamespace(
        table=SimpleNamespace(terminal=lambda: (["method", "UAR"], [["jmml", "0.5"]])),
        title="Best",
        lines=lambda: ["Next: jmml model register"],
        as_dict=lambda: {"name": "tiny"},
    )

    def stand_in(module, name, value):
        def call(project, *args, **options):
            calls.append((name, args, options))
            return value

        monkeypatch.setattr(module, name, call)

    for name in ("run_sweep", "resume_sweep", "extend_sweep"):
        stand_in(runner, name, result)
    stand_in(stopping, "stop_sweep", "stopped; 2 trials are kept")
    return calls


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_explains_itself(command):
    result = CliRunner().invoke(app, ["sweep", *command.split(), "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output
    for word in COMMANDS if not command else ["Examples", f"jmml sweep {command}"]:
        assert word in result.output


def test_help_and_completion_of_definitions_load_nothing_heavy():
    code = (
        "import sys; sys.argv = ['jmml', 'sweep', 'run', '--help']\n"
        "from cli.app import main\n"
        "from cli.sweep.arguments import definitions\n"
        "assert 'quick' in definitions('qu')\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'ray', 'mlflow', 'optuna', 'sklearn', 'pandas', 'numpy'} & set(sys.modules)\n"
        "sys.exit(repr(heavy) if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def run_light(words, cwd):
    """`jmml sweep WORDS` in a process of its own, which fails where it loads what takes seconds."""
    code = (
        f"import sys; sys.argv = ['jmml', 'sweep', *{words.split()!r}]\n"
        "from cli.app import main\n"
        "try: main()\n"
        "except SystemExit as end: code = end.code\n"
        "heavy = {'torch', 'ray', 'mlflow', 'optuna', 'sklearn', 'pandas'} & set(sys.modules)\n"
        "sys.exit(repr(heavy) if heavy else code)\n"
    )
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", ["list", "show tiny", "watch tiny --once"])
def test_looking_loads_neither_ray_nor_mlflow_nor_torch(here, words):
    done = run_light(words, here.root)
    assert done.returncode == 0, done.stderr
    assert "tiny" in done.stdout


@pytest.mark.parametrize("words", ["resume tiny", "extend tiny --trials 2", "run tiny.yaml"])
def test_what_someone_drives_is_refused_before_anything_heavy_is_loaded(here, words):
    with SweepFolder.of(here, "tiny").hold():
        done = run_light(words, here.root)
    assert done.returncode == SweepError.exit_code, done.stderr
    assert "is being driven by" in done.stderr


def test_a_name_in_use_is_refused_before_anything_heavy_is_loaded(here):
    done = run_light("run tiny.yaml", here.root)
    assert done.returncode == SweepError.exit_code, done.stderr
    assert "was begun and is not finished" in done.stderr


def test_completion(here, monkeypatch):
    assert definitions("") >= ["demo", "quick"]
    assert definitions("qu") == ["quick"]
    monkeypatch.chdir(here.root)
    assert definitions("ti") == ["tiny.yaml"]
    assert settings("stage2.l") == [
        "stage2.lam_c=",
        "stage2.lam_r=",
        "stage2.lam_x=",
        "stage2.lam_y=",
        "stage2.lr=",
    ]
    assert settings("budget.t") == ["budget.trials="]
    assert settings("space") == []
    assert sweeps("") == ["costly", "tiny"]
    assert sweeps("ti") == ["tiny"]
    monkeypatch.setenv("JMML_PROJECT", "/nowhere")
    assert sweeps("") == []


# Starting --------------------------------------------------------------------------------------------------


def test_run_hands_over_what_was_said(capfd, here, called, monkeypatch):
    monkeypatch.setenv("JMML_TEAM", "lab")
    path = str(here.root / "tiny.yaml")
    code, out, err = run(capfd, "run", path, "-s", "trials=5", "--name", "mine", "--address", "h:1")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "Next: jmml model register"
    ((name, (loaded,), options),) = called
    assert (name, loaded.name, loaded.budget.trials) == ("run_sweep", "mine", 5)
    assert options == {"team": "lab", "address": "h:1", "quiet": False}
    code, out, _ = run(capfd, "run", path, "--name", "other", "--json")
    assert json.loads(out) == {"name": "tiny"}
    assert called[1][2]["quiet"] is True


def test_a_dry_run_prints_the_plan_and_writes_nothing(capfd, here, called):
    before = sorted(here.root.rglob("*"))
    words = ("run", str(here.root / "tiny.yaml"), "--name", "new", "--dry-run")
    code, out, _ = run(capfd, *words)
    assert (code, called) == (0, [])
    assert "stage2.lam_c" in out
    assert "refused" not in out
    code, out, _ = run(capfd, *words, "--json")
    planned = json.loads(out)
    assert (planned["trials"], planned["name"], planned["refused"]) == (3, "new", None)
    assert sorted(here.root.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "sweep tiny: was begun and is not finished. Go on with `jmml sweep resume tiny`"),
        (["--name", "done"], "sweep done: exists already: 1 of 1 trial is done and kept"),
        (["--name", "new", "-s", "resources.cpus=640"], "a trial takes 640 CPUs, and there are"),
        (["--name", "new", "-s", "resources.gpus=1"], "a trial takes 1 GPU, and there are 0"),
        (["--name", "new", "--address", "127.0.0.1:1"], "cannot reach the Ray cluster"),
    ],
)
def test_a_dry_run_of_what_would_be_refused_says_so_and_fails_as_the_run_would(
    capfd, here, done, called, monkeypatch, words, reason
):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    path = str(here.root / "tiny.yaml")
    code, out, err = run(capfd, "run", path, "--dry-run", *words)
    assert (code, err, called) == (SweepError.exit_code, "", [])
    assert "held out" in out  # the plan all the same
    assert out.splitlines()[-1].startswith("it would fail: ")
    assert reason in out.splitlines()[-1]
    code, out, _ = run(capfd, "run", path, "--dry-run", "--json", *words)
    assert code == SweepError.exit_code
    assert reason in json.loads(out)["refused"]


def test_a_dry_run_says_which_name_it_gets(capfd, here, done):
    words = ("run", str(here.root / "tiny.yaml"), "-s", "name=done", "--dry-run")
    code, out, _ = run(capfd, *words)
    assert code == 0
    assert out.splitlines()[-1] == "there is a sweep done already, this one becomes done-2"
    assert json.loads(run(capfd, *words, "--json")[1])["name"] == "done-2"


def test_what_a_cluster_has_room_for_is_known_without_joining_it(capfd, here, called, monkeypatch):
    node = NodeState("a", "10.0.0.5", 1, "lab", True, 8, 0, 8, 0, {})
    cluster = Cluster("10.0.0.5:6379", True, "2", "3", None, (node, replace(node, id="b")), ())
    monkeypatch.setattr("pipelines.sweep.execute.capacity.ask", lambda *args, **options: cluster)
    monkeypatch.setattr("pipelines.compute.ray_session.admitted", lambda address, where: {})
    words = ("run", str(here.root / "tiny.yaml"), "--name", "new", "--dry-run", "--address", "10.0.0.5:6379")
    assert run(capfd, *words, "-s", "resources.cpus=8")[0] == 0
    code, out, _ = run(capfd, *words, "-s", "resources.cpus=9")
    assert code == SweepError.exit_code
    assert "a trial asks for 9 CPUs, the largest of 2 nodes has 8 CPUs" in out
    assert run(capfd, *words, "-s", "resources.cpus=9", "--submit")[0] == 0  # the head is asked then


def test_resume_and_extend_and_stop_hand_over_what_was_said(capfd, here, called, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "h:1")
    assert run(capfd, "resume", "tiny", "other.yaml", "-s", "seed=1", "--accept-changes")[0] == 0
    assert run(capfd, "extend", "tiny", "--trials", "50", "--json")[0] == 0
    code, out, _ = run(capfd, "stop", "tiny", "--wait", "5")
    assert (code, out) == (0, "stopped; 2 trials are kept\n")
    _, out, _ = run(capfd, "stop", "tiny", "--json")
    assert json.loads(out) == {"name": "tiny", "status": "stopped", "message": "stopped; 2 trials are kept"}
    changes = {"source": "other.yaml", "overrides": ["seed=1"], "accept_changes": True}
    assert called == [
        ("resume_sweep", ("tiny",), changes | {"address": "h:1", "quiet": False}),
        ("extend_sweep", ("tiny",), {"trials": 50, "address": "h:1", "quiet": True}),
        ("stop_sweep", ("tiny",), {"wait_s": 5.0}),
        ("stop_sweep", ("tiny",), {"wait_s": 30.0}),
    ]


def test_a_dry_run_of_resume_says_what_is_left_and_what_changed(capfd, here, called):
    code, out, err = run(capfd, "resume", "tiny", "--dry-run")
    assert (code, err, called) == (0, "", [])
    assert out.splitlines() == [
        "sweep tiny: 2 of 6 trials are over and stay as they are",
        "to run: 4 trials, of which trial 3 began before",
    ]
    code, out, _ = run(capfd, "resume", "tiny", "--dry-run", "-s", "stage1.p=3,4,5", "-s", "trials=8")
    assert code == ConfigError.exit_code
    lines = out.splitlines()
    assert lines[0].startswith("sweep tiny: 2 of 8 trials")
    assert any("stage1.p: choice [3, 4] -> choice [3, 4, 5]" in text for text in lines)
    assert lines[-1].startswith("it would fail")
    changed = ["-s", "trials=8", "--json"]
    code, out, _ = run(capfd, "resume", "tiny", "--dry-run", *changed)
    assert code == ConfigError.exit_code
    assert "--accept-changes" in json.loads(out)["refused"]
    code, out, _ = run(capfd, "resume", "tiny", "--dry-run", *changed, "--accept-changes")
    assert code == 0
    assert json.loads(out) == {
        "name": "tiny",
        "total": 8,
        "over": 2,
        "to_run": 6,
        "began_before": [3],
        "changes": ["budget.trials: 6 -> 8"],
        "refused": None,
    }
    with SweepFolder.of(here, "tiny").hold():
        code, out, _ = run(capfd, "resume", "tiny", "--dry-run")
    assert code == SweepError.exit_code
    assert "it would fail: " in out
    assert f"(process {os.getpid()})" in out


def test_a_dry_run_of_extend(capfd, here, called):
    code, out, _ = run(capfd, "extend", "tiny", "-n", "10", "--dry-run")
    assert (code, called) == (0, [])
    assert "to run: 14 trials, so that there are 16; random goes on" in out
    _, out, _ = run(capfd, "extend", "tiny", "-n", "10", "--dry-run", "--json")
    found = json.loads(out)
    assert (found["to_run"], found["total"], found["refused"]) == (14, 16, None)
    with SweepFolder.of(here, "tiny").hold():
        assert run(capfd, "extend", "tiny", "-n", "10", "--dry-run")[0] == SweepError.exit_code
    assert run(capfd, "extend", "tiny", "--trials", "0")[0] == 2
    assert run(capfd, "extend", "tiny")[0] == 2


def test_stop_says_at_once_whom_it_asks(capfd, here, called):
    with SweepFolder.of(here, "tiny").hold():
        code, out, _ = run(capfd, "stop", "tiny")
        assert json.loads(run(capfd, "stop", "tiny", "--json")[1])["status"] == "running"
    first, last = out.splitlines()
    with SweepFolder.of(here, "starting").hold():
        code, out, _ = run(capfd, "stop", "starting", "--json")
        assert (code, json.loads(out)["status"]) == (0, "stopped")
    assert code == 0
    assert first.startswith("asking ")
    assert f"(process {os.getpid()})" in first
    assert first.endswith(" to stop sweep tiny; waiting")
    assert last == "stopped; 2 trials are kept"


def test_submit_hands_the_command_to_the_cluster(capfd, here, called, monkeypatch):
    submitted = []

    def submit(root, argv, *, name, address):
        submitted.append((root, argv, name, address))
        return "tiny-0123abcd"

    waited = []

    def await_start(job, begun, *, what, address):
        assert what == "sweep"
        folder = begun.func.__self__
        waited.append((job, folder.name, *begun.args, address))
        if folder.name == "mine":
            Script(total=1, name="mine").write(here)
        return len(waited) < 3

    monkeypatch.setattr(jobs, "submit", submit)
    monkeypatch.setattr(jobs, "await_start", await_start)
    monkeypatch.chdir(here.root)
    words = ["-s", "trials=5", "--name", "mine", "--team", "lab", "--address", "h:1", "--submit"]
    code, out, err = run(capfd, "run", "tiny.yaml", *words)
    assert (code, err, called) == (0, "", [])
    assert "job tiny-0123abcd" in out
    assert "sweep mine has begun" in out
    assert "jmml sweep watch mine" in out
    assert "jmml sweep stop mine" in out
    shutil.rmtree(SweepFolder.of(here, "mine").path)
    run(capfd, "resume", "tiny", "-s", "seed=1", "--accept-changes", "--submit")
    _, out, _ = run(capfd, "extend", "tiny", "-n", "5", "--submit", "--json")
    assert json.loads(out) == {"job": "tiny-0123abcd", "name": "tiny", "begun": False}
    length = SweepFolder.of(here, "tiny").length
    assert waited == [
        ("tiny-0123abcd", "mine", 0, "h:1"),
        ("tiny-0123abcd", "tiny", length, None),
        ("tiny-0123abcd", "tiny", length, None),
    ]
    full = str(here.root / "tiny.yaml")
    assert submitted == [
        (
            here.root,
            ["sweep", "run", full, "-s", "trials=5", "--name", "mine", "--team", "lab"],
            "mine",
            "h:1",
        ),
        (here.root, ["sweep", "resume", "tiny", "-s", "seed=1", "--accept-changes"], "tiny", None),
        (here.root, ["sweep", "extend", "tiny", "--trials", "5"], "tiny", None),
    ]
    # What is wrong is said at once, and not by the job.
    assert run(capfd, "run", "tiny.yaml", "-s", "protocol.outer_fold=9", "--name", "new", "--submit")[0] == 3
    assert run(capfd, "run", "tiny.yaml", "--submit")[0] == SweepError.exit_code  # it is there, unfinished
    assert len(submitted) == 3


# Looking ---------------------------------------------------------------------------------------------------


def test_list(capfd, here):
    code, out, err = run(capfd, "list")
    assert (code, err) == (0, "")
    rows = [" ".join(row.split()) for row in out.splitlines()]
    assert rows[0].startswith("sweep status user team trials best")
    assert any(
        row.startswith("tiny stopped eva lab 2/6 (1 waiting, 1 failed) 0.500 (trial 1) 20") for row in rows
    )
    _, out, _ = run(capfd, "list", "--json")
    assert [sweep["name"] for sweep in json.loads(out)["sweeps"]] == ["tiny", "costly"]
    _, out, _ = run(capfd, "list", "--team", "nobody")
    assert "no sweep of team nobody" in out
    assert run(capfd, "list", "--mine")[0] == 0


def test_no_sweep_yet_says_where_it_looked_and_what_to_do(capfd, tmp_path, monkeypatch):
    project = bare_project(tmp_path)
    monkeypatch.chdir(project.root)
    code, out, err = run(capfd, "list")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"no sweep yet in {project.mlruns_dir / 'sweeps'}",
        "Where others have some: set JMML_SHARED to your team's folder",
        "Next: jmml sweep run quick --dry-run",
    ]
    monkeypatch.setenv("JMML_SHARED", str(tmp_path))
    assert run(capfd, "list")[1].splitlines() == [
        f"no sweep yet in {tmp_path / 'sweeps'}",
        "Next: jmml sweep run quick --dry-run",
    ]


def test_show(capfd, here):
    code, out, err = run(capfd, "show", "tiny")
    assert (code, err) == (0, "")
    for text in (
        "stopped: asked to by anna",
        "trial 2 (stage1.p=4 stage2.lam_c=1.5): ModelError: x",
        "jmml sweep resume tiny",
        "2 at a time, 2 CPUs",
        "bytes of the journal not yet written",
    ):
        assert text in out
    _, out, _ = run(capfd, "show", "tiny", "--trials", "1", "--json")
    data = json.loads(out)
    assert [trial["trial"] for trial in data["trials"]] == [1]
    assert len(json.loads(run(capfd, "show", "tiny", "--trials", "all", "--json")[1])["trials"]) == 3
    code, _, err = run(capfd, "show", "tiny", "--trials", "many")
    assert code == 2
    assert "expected a number or all" in err


def test_watch_once(capfd, here):
    code, out, err = run(capfd, "watch", "tiny", "--once")
    assert (code, err) == (0, "")
    assert "2 of 6 trials" in out
    assert "stopped" in out


def test_ctrl_c_ends_the_watching_alone(capfd, here, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.sweep.show.watch.watch", interrupted)
    code, _, err = run(capfd, "watch", "tiny")
    assert code == 0
    assert "the sweep is not touched; end it with `jmml sweep stop tiny`" in err


def test_best_is_a_section_of_the_settings(capfd, here):
    code, out, err = run(capfd, "best", "tiny")
    assert (code, err) == (0, "")
    assert "val_uar 0.500: trial 1, epoch 2" in out
    method = MethodConfig.model_validate(yaml.safe_load(out)["method"])
    assert (method.stage1.p, method.stage2.lam_c, method.stage2.epochs) == (3, 0.25, 2)
    _, out, _ = run(capfd, "best", "tiny", "--yaml")
    assert MethodConfig.model_validate(yaml.safe_load(out)["method"]) == method
    _, out, _ = run(capfd, "best", "tiny", "--json")
    assert json.loads(out)["method"] == method.model_dump(mode="json")
    assert json.loads(out)["front"] == []
    code, out, err = run(capfd, "best", "tiny", "--yaml", "--json")
    assert (code, out) == (2, "")
    assert "one of --json and --yaml" in " ".join(err.replace("│", " ").split())


def test_best_with_costs_shows_the_front(capfd, here):
    _, out, _ = run(capfd, "best", "costly")
    assert "2 trials of which none is both better and cheaper" in out
    assert "9.0k" in out
    front = json.loads(run(capfd, "best", "costly", "--json")[1])["front"]
    assert [entry["trial"] for entry in front] == [2, 1]
    assert front[0]["method"]["stage2"]["epochs"] == 1


@pytest.mark.parametrize("command", [("show",), ("watch",), ("stop",), ("best",), ("export",), ("report",)])
def test_an_unknown_name_has_the_nearest_one(capfd, here, command):
    code, out, err = run(capfd, *command, "tinny")
    assert (code, out, err.count("\n")) == (9, "", 1)
    assert "did you mean 'tiny'?" in err


@pytest.mark.parametrize("width", [80, 140])
def test_a_long_sweep_on_a_narrow_terminal(capfd, here, monkeypatch, width):
    long_sweep(60).write(here)
    wide = __import__("rich.console", fromlist=["Console"]).Console
    monkeypatch.setattr("cli.sweep.look.console", lambda: wide(width=width, highlight=False))
    try:
        for words in (["list"], ["show", "long"], ["watch", "long", "--once"]):
            _, out, _ = run(capfd, *words)
            assert max(map(len, out.splitlines())) <= width
            assert "…" not in out
    finally:
        folder = SweepFolder.of(here, "long")
        folder.journal.unlink()


# Writing ---------------------------------------------------------------------------------------------------


def test_export_takes_the_format_from_the_name(capfd, here, monkeypatch, tmp_path):
    written = []

    def write(folder, path, **how):
        written.append((folder.name, path.name, how))
        return 3

    module = SimpleNamespace(export=write)
    monkeypatch.setitem(sys.modules, "pipelines.sweep.record.export", module)
    assert run(capfd, "export", "tiny")[:2] == (0, "wrote 3 rows to tiny.csv\n")
    assert run(capfd, "export", "tiny", "-o", str(tmp_path / "a.parquet"), "--epochs")[0] == 0
    assert run(capfd, "export", "tiny", "-o", str(tmp_path / "table"), "--format", "json", "--json")[0] == 0
    assert written == [
        ("tiny", "tiny.csv", {"format": "csv", "epochs": False}),
        ("tiny", "a.parquet", {"format": "parquet", "epochs": True}),
        ("tiny", "table", {"format": "json", "epochs": False}),
    ]
    code, _, err = run(capfd, "export", "tiny", "-o", "params.yaml")
    assert code == 2
    assert "does not say which format" in " ".join(err.split())
    code, _, err = run(capfd, "export", "tiny", "-f", "parquet", "-o", "m.csv")
    assert code == 2
    assert "m.csv is the name of a csv file" in " ".join(err.replace("│", " ").split())
    assert len(written) == 3


def test_report_says_where_it_is(capfd, here, monkeypatch, tmp_path):
    module = SimpleNamespace(
        write_report=lambda project, name, output=None: output or tmp_path / f"{name}.html"
    )
    monkeypatch.setitem(sys.modules, "pipelines.sweep.show.report", module)
    assert run(capfd, "report", "tiny")[1] == f"report: {tmp_path / 'tiny.html'}\n"
    _, out, _ = run(capfd, "report", "tiny", "--output", "x.html", "--json")
    assert json.loads(out) == {"name": "tiny", "file": "x.html"}
