"""Sweeps on a real cluster of several nodes on this machine: machines that join and die, shares, jobs, the head's end.

Drivers are processes of their own, as they are in life; what they must come to is computed beside them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import textwrap
from pathlib import Path

import psutil
import pytest
import yaml

from jmml.errors import SweepError
from pipelines.compute import jobs, nodes, started_nodes
from pipelines.compute import token as tokens
from pipelines.sweep.decide.search import build_search
from pipelines.sweep.definition.reading import check
from pipelines.sweep.execute.sweep_session import SweepSession
from pipelines.sweep.record import journal
from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.runner import resume_sweep
from tests import forked
from tests.cli.console import run
from tests.pipelines.sweep import fakes
from tests.pipelines.sweep.inline import without_ray
from tests.pipelines.sweep.projects import definition, write_project
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("cluster")
ROOT = Path(__file__).parents[3]
SPACE = {"stage1.p": {"int": [2, 40]}, "stage2.epochs": {"choice": [4]}}
LARGE = {"name": "large", "resources": {"cpus": 8}}
LIMIT_S = 120  # of a driver, on an idle machine
LOOK_S = 0.2

DRIVE = """
    import json, sys
    from pathlib import Path
    import ray
    from jmml.errors import JMMLError
    from pipelines.compute import ray_watch
    from pipelines.workspace.project import Project
    from pipelines.sweep.definition.reading import check
    from pipelines.sweep.runner import run_sweep
    from pipelines.sweep.execute.sweep_session import SweepSession
    from tests.pipelines.sweep import fakes

    root, folder, text, too_large = sys.argv[1:]
    ray_watch._PATIENCE_SECONDS = 2.0  # of what is dead for good
    put, large = ray.put, []
    def counted(value, *args, **options):
        large.append(type(value).__name__)
        return put(value, *args, **options)
    ray.put = counted
    SweepSession._refit = lambda *_: None  # the search is what matters here
    options = {"quiet": True, "address": "auto", "search": fakes.Places(Path(folder))}
    try:
        if too_large:
            try:
                run_sweep(Project(Path(root)), check(json.loads(too_large)), **options)
            except JMMLError as error:
                (Path(folder) / "refused").write_text(str(error))
        run_sweep(Project(Path(root)), check(json.loads(text)), **options)
    except JMMLError as error:
        sys.exit(f"error: {error}")
    print(json.dumps(large))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp("clustered") / "project", store=True)


class Drives:
    """A driver at work, a process of its own, for :func:`made` ``changes``; its trials wait until they are let go.

    With ``too_large`` it drives a sweep of these changes first, and keeps in ``refused`` why it could not.
    """

    def __init__(self, project, folder, *, too_large=None, **changes):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "hold").touch()
        first = json.dumps(made(**too_large)) if too_large else ""
        self.process = forked.script(
            textwrap.dedent(DRIVE),
            [str(project.root), str(folder), json.dumps(made(**changes)), first],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            out=folder / "out",
            err=folder / "err",
        )

    def let_go(self):
        (self.folder / "hold").unlink()

    def until(self, reached, what):
        """Wait for what this driver brings about."""
        until(reached, what, seconds=LIMIT_S, alive=lambda: self.process.poll() is None, poll_s=LOOK_S)

    def ends(self):
        """Exit code, standard output and error output."""
        until(lambda: self.process.poll() is not None, "the driver's end", seconds=LIMIT_S, poll_s=LOOK_S)
        return self.process.returncode, (self.folder / "out").read_text(), (self.folder / "err").read_text()

    @property
    def places(self):
        """Node by trial that was begun, the latest last."""
        files = sorted(self.folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
        return [json.loads(path.read_text()) for path in files if path.stat().st_size]


def made(**changes):
    return definition(**{"space": SPACE, "concurrent": None, "trials": 8} | changes)


def expected(**changes):
    """What must come of it: configurations by the seed, scores by the configuration."""
    planned = check(made(**changes))
    search, outcome = build_search(planned), {}
    for number in range(1, planned.n_trials() + 1):
        configuration = search.propose(number)
        scores = [
            configuration["stage1.p"] / 20 + 0.1 * min(e, 3) - 0.05 * max(0, e - 3) for e in (1, 2, 3, 4)
        ]
        outcome[number] = (configuration, pytest.approx(scores), "finished")
    return outcome


def outcome(project, name):
    trials = SweepFolder.of(project, name).state().trials
    return {n: (t.configuration, list(t.scores), t.status) for n, t in sorted(trials.items())}


def no_report_twice(project, name):
    reports = [
        (e["trial"], e["epoch"])
        for e in journal.read(SweepFolder.of(project, name).journal)
        if e["e"] == "report"
    ]
    return len(reports) == len(set(reports))


def cut_power(node):
    """Its raylet and all workers at once."""
    below = psutil.Process(node.pid).children(recursive=True)
    for process in below:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.name() == "raylet" or process.name().startswith("ray::"):
                process.send_signal(signal.SIGKILL)


def test_a_node_that_joins_is_used_and_one_that_dies_changes_nothing(project, tmp_path, capfd):
    changes = {"name": "moving", "trials": 6}
    driver = Drives(project, tmp_path / "seen", **changes)
    driver.until(lambda: driver.places, "a trial on the head")
    state = SweepFolder.of(project, "moving").state()
    assert state.sessions[-1].event["concurrent"] == 1  # the head alone
    _, joined = nodes.join("auto", cpus=1, gpus=0)
    driver.until(lambda: any(seen["node"] == joined.id for seen in driver.places), "a trial on the new node")

    code, out, _ = run(capfd, "cluster", "status", "--json")
    shown = json.loads(out)
    assert code == 0
    assert [entry["head"] for entry in shown["nodes"]] == [True, False]
    assert shown["token"] is True
    assert nodes.status().users == ("moving",)

    started = next(node for node in started_nodes.read() if node.role == "worker")
    cut_power(started)
    driver.let_go()
    code, out, err = driver.ends()
    nodes.end(started)
    assert (code, err) == (0, "")
    assert len({seen["node"] for seen in driver.places}) == 2
    assert outcome(project, "moving") == expected(**changes)
    assert no_report_twice(project, "moving")
    assert len(driver.places) > 6  # one was begun twice
    # Features go into the object store once, whatever trials and nodes there are; a node fetches an object once.
    assert json.loads(out).count("TaskData") == 1


def test_two_sweeps_share_a_cluster(project, tmp_path):
    """Each takes half a CPU for a trial, and half of the two places; before, one asks for more than there is."""
    names = ("left", "right")
    shared = {"share": 0.5, "trials": 3, "resources": {"cpus": 0.5}}
    drivers = [
        Drives(project, tmp_path / name, too_large=large, name=name, seed=seed, **shared)
        for seed, (name, large) in enumerate(zip(names, (LARGE, None), strict=True))
    ]
    for driver in drivers:
        driver.until(lambda driver=driver: driver.places, "a trial of either sweep")
    assert nodes.status().users == names
    refused = (drivers[0].folder / "refused").read_text()
    assert "a trial asks for 8 CPUs, the largest of 1 node has 1 CPU" in refused
    assert "\n" not in refused
    for driver in drivers:
        driver.let_go()
    for seed, (driver, name) in enumerate(zip(drivers, names, strict=True)):
        code, _, err = driver.ends()
        assert (code, err) == (0, "")
        assert outcome(project, name) == expected(name=name, seed=seed, **shared)
        assert SweepFolder.of(project, name).state().sessions[-1].event["concurrent"] == 1
        assert max(seen["together"] for seen in driver.places) == 1
    until(lambda: nodes.status().users == (), "the cluster is used by nobody")


def test_a_submitted_sweep_needs_no_terminal_and_can_be_stopped(project, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(project.root)
    file = tmp_path / "long.yaml"
    file.write_text(yaml.safe_dump(definition(name="long", trials=200)))
    code, out, err = run(capfd, "sweep", "run", str(file), "--address", "auto", "--submit")
    assert code == 0, err
    assert "this terminal may be closed" in out
    assert "sweep long has begun" in out
    job = next(word for word in out.replace(";", " ").split() if word.startswith("long-"))
    assert not jobs.status(job, address="auto").over
    folder = SweepFolder.of(project, "long")
    assert folder.held
    until(
        lambda: folder.state().over >= 2, "two trials of the job", seconds=LIMIT_S,
        alive=lambda: folder.held, poll_s=LOOK_S,
    )  # fmt: skip
    code, out, err = run(capfd, "sweep", "watch", "long", "--once")  # anyone's terminal will do
    assert code == 0, err
    assert "of 200 trials" in out
    assert "running" in out
    code, _, err = run(capfd, "sweep", "stop", "long")
    assert code == 0, err
    state = folder.state()
    assert state.closed["state"] == "stopped"
    assert 2 <= state.over < 200
    until(lambda: not folder.held, "the end of the driver")
    until(lambda: jobs.status(job, address="auto").over, "the end of the job", poll_s=LOOK_S)
    printed = jobs.logs(job, address="auto")
    assert "go on with `jmml sweep resume long`" in printed.lower()
    assert tokens.find().value not in printed
    with pytest.raises(SweepError, match="no such job"):
        jobs.status("other")


def test_the_end_of_the_head_is_one_line_and_the_sweep_goes_on_elsewhere(project, tmp_path, monkeypatch):
    changes = {"name": "beheaded", "trials": 4, "concurrent": 1}
    driver = Drives(project, tmp_path / "seen", **changes)
    driver.until(lambda: driver.places, "a trial on the head")
    head = next(node for node in started_nodes.read() if node.role == "head")
    members = [psutil.Process(head.pid), *psutil.Process(head.pid).children(recursive=True)]
    gcs = [p for p in members if p.name() == "gcs_server"]
    gcs[0].send_signal(signal.SIGKILL)
    code, _, err = driver.ends()
    assert code == SweepError.exit_code
    (line,) = err.splitlines()
    assert "jmml sweep resume beheaded" in line
    monkeypatch.setattr(nodes, "GRACE_SECONDS", 1)  # nothing is left that could end in order
    nodes.down()
    until(lambda: not any(process.is_running() for process in members), "the end of all processes")
    assert started_nodes.read() == []
    monkeypatch.setattr(SweepSession, "_refit", lambda *_: None)
    with without_ray():
        resume_sweep(project, "beheaded", quiet=True, search=fakes.plain)
    addresses = [session.event["address"] for session in SweepFolder.of(project, "beheaded").state().sessions]
    assert [address is None for address in addresses] == [False, True]
    assert outcome(project, "beheaded") == expected(**changes)
    assert no_report_twice(project, "beheaded")
