"""What is said of a command that was handed to a cluster."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from cli.driving import submit
from pipelines.compute import jobs


@pytest.mark.parametrize(
    ("waited", "entered", "said"),
    [
        (True, True, "sweep wide has begun"),
        (False, False, "sweep wide has not begun yet, as far as is seen from here; the job goes on"),
        (True, False, "sweep wide: nothing was left to do"),
    ],
)
def test_what_is_said_is_what_has_happened(monkeypatch, capsys, waited, entered, said):
    class Folder(SimpleNamespace):
        def __str__(self) -> str:
            return f"{self.kind} {self.name}"

    monkeypatch.setattr(jobs, "submit", lambda *words, **options: "job-1")
    monkeypatch.setattr(jobs, "await_start", lambda *words, **options: waited)
    folder, project = Folder(kind="sweep", name="wide"), SimpleNamespace(root=Path())
    submit(project, ["resume", "wide"], folder, lambda: entered, None, json=False)
    first, second, *rest = capsys.readouterr().out.splitlines()
    assert (first, second) == ("submitted as job job-1; this terminal may be closed", said)
    assert bool(rest) == (waited == entered)  # how to watch and end it, unless it is over
    submit(project, ["resume", "wide"], folder, lambda: entered, None, json=True)
    assert json.loads(capsys.readouterr().out) == {"job": "job-1", "name": "wide", "begun": entered}
