"""What goes along with a command handed to a cluster, how its start is followed; on a real one: test_on_cluster."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from jmml.errors import SweepError
from pipelines.compute import jobs


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in jobs.PASSED_ON:
        monkeypatch.delenv(name, raising=False)


def test_places_go_along_and_nothing_else(monkeypatch):
    monkeypatch.setenv("JMML_SHARED", "/shared")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.lab")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret-123")
    assert jobs._environment() == {"JMML_SHARED": "/shared", "MLFLOW_TRACKING_URI": "https://mlflow.lab"}


@pytest.mark.parametrize(
    "address", ["https://eva:secret-123@mlflow.lab", "postgresql+psycopg://eva:secret-123@db.lab/mlflow"]
)
def test_a_password_does_not_go_along(monkeypatch, tmp_path, address):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setattr(jobs, "_call", lambda *args: pytest.fail("something was sent"))
    with pytest.raises(SweepError, match="everybody with the cluster's token") as caught:
        jobs.submit(tmp_path, ["sweep", "run", "quick"], name="quick")
    assert "secret-123" not in str(caught.value)


@pytest.fixture
def cluster(monkeypatch):
    """A cluster that answers what the test says, and counts how often it was asked."""
    answer = SimpleNamespace(state="RUNNING", message="", log="", asked=0, then=lambda: None)

    def status(job, *, address):
        answer.asked += 1
        answer.then()
        return jobs.Job(job, answer.state, answer.message)

    monkeypatch.setattr(jobs, "LOOK_S", 0.01)
    monkeypatch.setattr(jobs, "status", status)
    monkeypatch.setattr(jobs, "logs", lambda job, *, address: answer.log)
    return answer


def test_a_start_is_waited_for_until_the_first_entry(cluster):
    assert jobs.await_start("j", lambda: cluster.asked == 3)
    assert cluster.asked == 3


def test_an_entry_counts_though_the_job_is_over(cluster):
    cluster.state = "FAILED"
    assert jobs.await_start("j", lambda: True)


def test_a_job_that_ends_first_is_an_error_with_its_own_words(cluster):
    cluster.state, cluster.message = "FAILED", "command failed"
    with pytest.raises(SweepError, match=r"^job j: ended before the sweep began: command failed$"):
        jobs.await_start("j", lambda: False)
    cluster.log = "sweep quick: starting Ray\nerror: lr: expected a number\n"
    with pytest.raises(SweepError, match=r"^job j: ended before the study began: lr: expected a number$"):
        jobs.await_start("j", lambda: False, what="study")


def test_an_entry_made_just_before_the_end_of_the_job_counts(cluster):
    entries = []
    cluster.state, cluster.then = "FAILED", lambda: entries.append("sweep")
    assert jobs.await_start("j", lambda: bool(entries))


def test_a_job_that_found_nothing_left_to_do_has_begun(cluster):
    cluster.state = "SUCCEEDED"
    assert jobs.await_start("j", lambda: False)


def test_a_start_is_not_waited_for_without_end(cluster, monkeypatch):
    clock = [0.0]
    passing = SimpleNamespace(
        monotonic=lambda: clock[0], sleep=lambda seconds: clock.append(clock.pop() + seconds)
    )
    monkeypatch.setattr(jobs, "time", passing)
    monkeypatch.setattr(jobs, "START_S", 0.05)
    assert not jobs.await_start("j", lambda: False)
    assert cluster.asked == 5
