"""What goes along with a command that is handed to a cluster; the rest is tried on a real one."""

from __future__ import annotations

import pytest

from jmml.errors import SweepError
from pipelines.sweep import jobs


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
