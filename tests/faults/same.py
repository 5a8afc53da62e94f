"""What must hold of a sweep that is through, whatever was done to it: all as in an undisturbed one, once."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from mlflow import MlflowClient

from pipelines.registry.gates import EVIDENCE_DIGEST, MODEL_DIGEST
from pipelines.sweep.record.journal import Event
from pipelines.tracking.run_tags import ERROR, SWEEP, SWEEP_ID, TRIAL, TRIAL_ID
from pipelines.tracking.tracker import Run, Tracker
from tests.faults.sweeps import Sweep

RUN_STATUS = {"finished": "FINISHED", "stopped": "FINISHED", "failed": "FAILED"}
_WHEN = ("e", "t", "memo", "host")  # what may differ: times, and who trained stage 1


@dataclass(frozen=True)
class Outcome:
    """What an undisturbed sweep and a disturbed one have in common, as their journals have it.

    Attributes
    ----------
    ends : state and configuration, the last one, by trial.
    changes : of a population, what was taken over from whom by (trial, epoch).
    reports : everything reported by (trial, epoch), to the last bit.
    refit : best trial and epoch, configuration, metrics and the table of methods.
    digests : of predictions and model, from the tags of the sweep's run.
    """

    ends: dict[int, Any]
    changes: dict[tuple[int, int], Any]
    reports: dict[tuple[int, int], Any]
    refit: Any
    digests: tuple[str, str]


def outcome(sweep: Sweep) -> Outcome:
    """What has come of a sweep.

    Raises
    ------
    AssertionError : a trial ended or an epoch was reported more than once, or the refit is not there exactly once.
    """
    events = sweep.events()
    only = {kind: [event for event in events if event["e"] == kind] for kind in {e["e"] for e in events}}
    assert not only.get("differs"), only["differs"]
    configurations: dict[int, Any] = {}
    for event in events:
        if event["e"] == "mutate":
            configurations[event["trial"]] = event["configuration"]
        elif event["e"] == "start":
            known = configurations.setdefault(event["trial"], event["configuration"])
            assert event["configuration"] == known, event
    changes = only.get("mutate", [])
    _once(((event["trial"], event["epoch"]) for event in changes), "changes")
    _once((event["trial"] for event in only["end"]), "ends")
    _once(((event["trial"], event["epoch"]) for event in only["report"]), "reports")
    (refit,) = only["refit"]
    run = _tracker(sweep).run(only["run"][-1]["run_id"])
    return Outcome(
        {event["trial"]: (event["state"], configurations[event["trial"]]) for event in only["end"]},
        {(event["trial"], event["epoch"]): (event["source"], event["configuration"]) for event in changes},
        {(event["trial"], event["epoch"]): _bare(event) for event in only["report"]},
        {key: refit[key] for key in ("trial", "epoch", "configuration", "metrics", "comparison", "opened")},
        (run.data.tags[EVIDENCE_DIGEST], run.data.tags[MODEL_DIGEST]),
    )


def assert_same(sweep: Sweep, expected: Outcome) -> None:
    """The sweep is through, equals the undisturbed one, and MLflow has exactly what its journal has."""
    found = outcome(sweep)
    assert found.ends == expected.ends
    assert found.changes == expected.changes
    assert found.reports.keys() == expected.reports.keys()
    differing = [key for key in found.reports if found.reports[key] != expected.reports[key]]
    assert not differing, differing
    assert json.dumps(found.refit) == json.dumps(expected.refit)
    assert found.digests == expected.digests
    events = sweep.events()
    assert events[-1]["e"] == "close", events[-1]
    assert events[-1]["state"] == "finished", events[-1]
    assert_tracked(sweep)
    left = {path.name for path in sweep.folder.path.iterdir()} - {"journal", "shipped.json", "lock"}
    assert not left, left
    for child in sweep.children:
        child.leaves_nothing()
        assert "Traceback" not in str(child), str(child)


def assert_tracked(sweep: Sweep) -> None:
    """MLflow has one run of the sweep and one of each trial, closed, with the journal's values and no others."""
    events = sweep.events()
    tracker = _tracker(sweep)
    parent, children = runs_of(sweep)
    assert parent.info.status == "FINISHED"
    assert ERROR not in parent.data.tags
    expected = points_of(events)
    names = [run.data.tags[TRIAL_ID] for run in children]
    assert sorted(names) == sorted(f"{number:03d}" for number in expected)
    ends = {event["trial"]: event for event in events if event["e"] == "end"}
    for run in children:
        number = int(run.data.tags[TRIAL_ID])
        assert run.info.status == RUN_STATUS[ends[number]["state"]], (number, run.info.status)
        assert run.data.tags["jmml.state"] == ends[number]["state"], number
        assert run.info.end_time == ends[number]["t"], number
        found = history(tracker.client, run.info.run_id, run.data.metrics)
        assert found == expected[number], (number, found - expected[number], expected[number] - found)
    (refit,) = (event for event in events if event["e"] == "refit")
    found = history(tracker.client, parent.info.run_id, parent.data.metrics)
    once = dict.fromkeys(parent.data.metrics, 1)
    assert Counter(key for key, _, _ in found.elements()) == once, found
    assert {key: parent.data.metrics[key] for key in refit["metrics"]} == refit["metrics"]
    models = tracker.client.search_logged_models(
        [parent.info.experiment_id], f"source_run_id = '{parent.info.run_id}'"
    )
    assert [(f"models:/{model.model_id}", str(model.status)) for model in models] == [
        (refit["model_uri"], "READY")
    ]


def runs_of(sweep: Sweep) -> tuple[Run, list[Run]]:
    """The one run that MLflow has of a sweep, and those of its trials."""
    tracker = _tracker(sweep)
    identity = sweep.events()[0]["id"]
    (parent,) = (run for run in tracker.runs(kind=SWEEP) if run.data.tags.get(SWEEP_ID) == identity)
    return parent, tracker.runs(kind=TRIAL, parent=parent.info.run_id)


def points_of(events: list[Event]) -> dict[int, Counter[tuple[str, int, float]]]:
    """``(metric, step, value)`` of each trial, as the journal has them; memo counts are metrics ``stage1_...``."""
    found: dict[int, Counter[tuple[str, int, float]]] = {}
    best: dict[int, tuple[float, int]] = {}
    for event in events:
        if event["e"] == "report":
            number, epoch = event["trial"], event["epoch"]
            points = found.setdefault(number, Counter())
            values = event["points"] | {f"stage1_{k}": v for k, v in event.get("memo", {}).items()}
            points.update((key, epoch, float(value)) for key, value in values.items())
            for key, series in event.get("history", {}).items():
                points.update((key, step, float(value)) for step, value in enumerate(series, 1))
            if number not in best or event["score"] > best[number][0]:
                best[number] = event["score"], epoch
        elif event["e"] == "end":
            uar, epoch = best[event["trial"]]
            found[event["trial"]]["best_val_uar", epoch, uar] += 1
    return found


def history(client: MlflowClient, run_id: str, keys: Any) -> Counter[tuple[str, int, float]]:
    """Every point of a run with how often it is there."""
    return Counter(
        (key, point.step, point.value) for key in keys for point in client.get_metric_history(run_id, key)
    )


def _tracker(sweep: Sweep) -> Tracker:
    project = sweep.project
    uri = sweep.environment.get("MLFLOW_TRACKING_URI") or project.tracking_uri
    return Tracker(project, MlflowClient(tracking_uri=uri, registry_uri=uri), uri)


def _once(keys: Any, what: str) -> None:
    doubled = {key: count for key, count in Counter(keys).items() if count > 1}
    assert not doubled, f"{what} more than once: {doubled}"


def _bare(event: Event) -> str:
    return json.dumps({key: value for key, value in event.items() if key not in _WHEN}, sort_keys=True)
