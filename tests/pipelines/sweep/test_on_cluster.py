"""Sweeps on a real cluster of several nodes on this machine: machines that join and die, shares, jobs, the head's end.

Drivers are processes of their own, as they are in life; what they must come to is computed beside them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
import yaml

from jmml.errors import SweepError
from pipelines.cluster import nodes, record
from pipelines.sweep import journal
from pipelines.sweep.folder import SweepFolder
from pipelines.sweep.reading import check
from pipelines.sweep.search import build_search
from tests.pipelines.sweep.projects import definition, write_project

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster")]
ROOT = Path(__file__).parents[3]
SPACE = {"stage1.p": {"int": [2, 40]}, "stage2.epochs": {"choice": [4]}}

DRIVE = """
    import json, sys
    from pathlib import Path
    import ray
    from jmml.errors import JMMLError
    from pipelines.project import Project
    from pipelines.sweep.reading import check
    from pipelines.sweep.runner import resume_sweep, run_sweep
    from pipelines.sweep.turn import Turn
    from tests.pipelines.sweep import fakes

    what, root, address, folder, text = sys.argv[1:]
    put, large = ray.put, []
    def counted(value, *args, **options):
        large.append(type(value).__name__)
        return put(value, *args, **options)
    ray.put = counted
    Turn._refit = lambda *_: None  # the search is what matters here
    options = {"quiet": True, "address": address or None, "search": fakes.Places(Path(folder))}
    try:
        if what == "run":
            run_sweep(Project(Path(root)), check(json.loads(text)), **options)
        else:
            resume_sweep(Project(Path(root)), text, **options)
    except JMMLError as error:
        sys.exit(f"error: {error}")
    print(json.dumps(large))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp("clustered") / "project")


def start(project, folder, *, address="auto", resume=None, hold=False, **changes):
    """A driver at work, for :func:`made` ``changes``; with ``hold`` its trials wait until :func:`let_go`."""
    what, text = ("resume", resume) if resume else ("run", json.dumps(made(**changes)))
    folder.mkdir(exist_ok=True)
    if hold:
        (folder / "hold").touch()
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(DRIVE), what, str(project.root), address, str(folder), text],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def let_go(folder):
    (folder / "hold").unlink()


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


def until(what, seconds=180.0):
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, what
        time.sleep(0.1)
    return found


def places(folder):
    """Node by trial that was begun, the latest last."""
    files = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
    return [json.loads(path.read_text()) for path in files if path.stat().st_size]


def cut_power(node):
    """Its raylet and all workers at once."""
    raylet = next(p for p in psutil.Process(node.pid).children(recursive=True) if p.name() == "raylet")
    for process in (raylet, *raylet.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)


def test_a_node_that_joins_is_used_and_one_that_dies_changes_nothing(project, tmp_path):
    changes = {"name": "moving", "trials": 12}
    driver = start(project, tmp_path / "seen", hold=True, **changes)
    until(lambda: places(tmp_path / "seen"))
    state = SweepFolder.of(project, "moving").state()
    assert state.sessions[-1].event["concurrent"] == 1  # the head alone
    _, joined = nodes.join("auto", cpus=1, gpus=0)
    until(lambda: any(seen["node"] == joined.id for seen in places(tmp_path / "seen")))
    started = next(node for node in record.read() if node.role == "worker")
    cut_power(started)
    let_go(tmp_path / "seen")
    out, err = driver.communicate(timeout=120)
    nodes.end(started)
    assert (driver.returncode, err) == (0, "")
    assert len({seen["node"] for seen in places(tmp_path / "seen")}) == 2
    assert outcome(project, "moving") == expected(**changes)
    assert no_report_twice(project, "moving")
    assert len(places(tmp_path / "seen")) > 12  # one was begun twice
    # Features go into the object store once, whatever trials and nodes there are; a node fetches an object once.
    assert json.loads(out).count("TaskData") == 1


def test_two_sweeps_share_a_cluster(project, tmp_path):
    nodes.join("auto", cpus=1, gpus=0)
    until(lambda: sum(node.cpus for node in nodes.status().nodes) == 2)
    names = ("left", "right")
    drivers = [
        start(project, tmp_path / name, hold=True, name=name, share=0.5, trials=4, seed=seed)
        for seed, name in enumerate(names)
    ]
    both = until(lambda: len(nodes.status().users) == 2 and nodes.status().users)
    assert both == names
    until(lambda: all(places(tmp_path / name) for name in names))
    for name in names:
        let_go(tmp_path / name)
    for seed, (driver, name) in enumerate(zip(drivers, names, strict=True)):
        _, err = driver.communicate(timeout=120)
        assert (driver.returncode, err) == (0, "")
        assert outcome(project, name) == expected(name=name, share=0.5, trials=4, seed=seed)
        assert max(seen["together"] for seen in places(tmp_path / name)) == 1


def test_a_trial_that_is_too_large_is_refused_at_once(project, tmp_path):
    driver = start(project, tmp_path / "seen", name="large", resources={"cpus": 8})
    _, err = driver.communicate(timeout=60)
    assert driver.returncode != 0
    assert "8 CPUs" in err
    assert err.count("\n") == 1
    assert not places(tmp_path / "seen")


def jmml(project, *words, seconds=240):
    command = [str(Path(sys.executable).with_name("jmml")), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, cwd=project.root)


def test_a_submitted_sweep_needs_no_terminal_and_can_be_stopped(project, tmp_path):
    file = tmp_path / "long.yaml"
    file.write_text(yaml.safe_dump(definition(name="long", trials=200)))
    done = jmml(project, "sweep", "run", str(file), "--address", "auto", "--submit")
    assert done.returncode == 0, done.stderr
    assert "this terminal may be closed" in done.stdout
    assert "sweep long has begun" in done.stdout
    folder = SweepFolder.of(project, "long")
    assert folder.held
    until(lambda: folder.journal.exists() and folder.state().over >= 2)
    seen = jmml(project, "sweep", "watch", "long", "--once")  # its driver has no terminal; anyone's will do
    assert seen.returncode == 0, seen.stderr
    assert "of 200 trials" in seen.stdout
    assert "running" in seen.stdout
    stopped = jmml(project, "sweep", "stop", "long")
    assert stopped.returncode == 0, stopped.stderr
    state = folder.state()
    assert state.closed["state"] == "stopped"
    assert 2 <= state.over < 200
    assert not folder.held
    resumed = ["sweep", "resume", "long", "--address", "auto", "--submit"]
    refused = jmml(project, *resumed, "-s", "resources.cpus=64", "--accept-changes")
    assert refused.returncode == SweepError.exit_code
    assert "ended before the sweep began" in refused.stderr
    assert "a trial asks for 64 CPUs" in refused.stderr


def test_the_end_of_the_head_is_one_line_and_the_sweep_goes_on_where_there_is_ray(
    cluster, project, tmp_path, monkeypatch
):
    changes = {"name": "beheaded", "trials": 8}
    driver = start(project, tmp_path / "seen", **changes)
    until(lambda: SweepFolder.of(project, "beheaded").journal.exists())
    until(lambda: SweepFolder.of(project, "beheaded").state().over >= 2)
    head = next(node for node in record.read() if node.role == "head")
    gcs = [p for p in psutil.Process(head.pid).children(recursive=True) if p.name() == "gcs_server"]
    gcs[0].send_signal(signal.SIGKILL)
    _, err = driver.communicate(timeout=60)
    assert driver.returncode == SweepError.exit_code
    (line,) = err.splitlines()
    assert "jmml sweep resume beheaded" in line
    monkeypatch.setattr(nodes, "GRACE_SECONDS", 1)  # nothing is left that could end in order
    nodes.down()
    seen = tmp_path / "elsewhere"
    alone = start(project, seen, address="", resume="beheaded", hold=True)
    until(lambda: places(seen))
    alone.send_signal(signal.SIGINT)
    _, err = alone.communicate(timeout=120)
    assert "interrupted" in err
    nodes.up(port=int(cluster["port"]), dashboard_port=int(cluster["dashboard"]), cpus=1, gpus=0)
    let_go(seen)
    again = start(project, seen, resume="beheaded")
    _, err = again.communicate(timeout=120)
    assert (again.returncode, err) == (0, "")
    addresses = [session.event["address"] for session in SweepFolder.of(project, "beheaded").state().sessions]
    assert [address is None for address in addresses] == [False, True, False]
    assert outcome(project, "beheaded") == expected(**changes)
    assert no_report_twice(project, "beheaded")
