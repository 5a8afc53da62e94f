"""Versions of the registered model ``jmml``: `challenger` is the newest, `champion` the one in use.

register      run of a finished sweep -> version, alias challenger
promote       alias champion -> a version that passes every gate (``pipelines.registry.gates``)
rollback      alias champion -> the champion before
resolve       ``models:/jmml@champion``, ``models:/jmml/3`` or a folder -> a folder with the weights

Nothing is deleted or overwritten. MLflow keeps no history of aliases; ours is a JSON list in the tag
``jmml.champion_history`` of the registered model, which only grows.
"""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import mlflow
from mlflow.entities import LoggedModelOutput, Run
from mlflow.exceptions import MlflowException

from jmml.errors import RegistryError, TrackingError
from jmml.evaluation.wording import NO_INTERVAL
from jmml.files import atomic_folder
from pipelines.corpora.confounding import of_corpora, refuse
from pipelines.registry import gates
from pipelines.registry import versions as registered
from pipelines.registry.versions import (
    CHALLENGER,
    CHAMPION,
    HISTORY,
    SHOWN_METRICS,
    Version,
    aliases,
    by_alias,
    find,
    history,
    interval_text,
    versions,
)
from pipelines.tracking import store
from pipelines.tracking.run_tags import KIND, SWEEP
from pipelines.tracking.serving import weights_folder
from pipelines.tracking.store_errors import reported
from pipelines.tracking.tracker import MODEL_NAME, Tracker
from pipelines.workspace.project import Project
from pipelines.workspace.values import redacted
from pipelines.workspace.withdrawn import withdrawals

ADDRESS = re.compile(rf"models:/{MODEL_NAME}(?:@(?P<alias>[\w-]+)|/(?P<number>\d+))")


@dataclass(frozen=True)
class Promotion:
    """The champion's version as it is now, the one before, and the verdicts that allowed it."""

    version: int
    previous: int | None
    verdicts: tuple[gates.Verdict, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Plain values, for JSON."""
        return {**vars(self), "verdicts": [vars(verdict) for verdict in self.verdicts]}


@dataclass(frozen=True)
class Resolved:
    """Where the weights of a model lie, and what to call it."""

    folder: Path
    label: str
    version: Version | None = None


def register(project: Project, run_id: str | None = None) -> Version:
    """Register the model of a finished sweep and make it the challenger.

    A run that is registered already keeps its version, and the champion is nobody's challenger.

    Parameters
    ----------
    run_id : identifier or name of the sweep's run (of several with one name, the newest); default: the newest
        finished sweep.

    Raises
    ------
    RegistryError : there is no such run, it is not a finished sweep, or it has no model.
    """
    tracker = Tracker.connect(project)
    run = _sweep_run(tracker, run_id)
    model_id = _newest_model(tracker, run)
    with reported(tracker.uri, "registering the model"), store.exclusive(tracker.uri):
        if tracker.registered_model(MODEL_NAME) is None:
            tracker.client.create_registered_model(
                MODEL_NAME, description="Emotion recognition from speech, trained with EEG (JMML)."
            )
        known = {registered.model_id(item): item for item in tracker.model_versions(MODEL_NAME)}
        raw = known.get(model_id) or tracker.client.create_model_version(
            MODEL_NAME,
            source=_source(tracker, model_id),
            run_id=run.info.run_id,
            model_id=model_id,
            tags=_version_tags(run),
            description=_describe(run),
        )
        if CHAMPION not in find(tracker, int(raw.version)).aliases:
            tracker.client.set_registered_model_alias(MODEL_NAME, CHALLENGER, raw.version)
    return find(tracker, int(raw.version))


def list_versions(project: Project) -> list[Version]:
    """All versions, newest first; empty before the first registration."""
    return versions(Tracker.connect(project))


def promote(project: Project, version: int | None = None, *, accept_confound: bool = False) -> Promotion:
    """Make a version (default: the challenger) the champion, if every gate passes.

    Raises
    ------
    RegistryError : nothing to promote, or one line with every gate that refuses.
    ProtocolError : in the corpora of the model, labels go along with something else, and nobody accepts it.
    """
    tracker = Tracker.connect(project)
    if version is None:
        challenger = aliases(tracker).get(CHALLENGER)
        if challenger is None:
            raise RegistryError(
                "there is no challenger to promote",
                fix="register a finished sweep with `jmml model register`, or name a version from "
                "`jmml model list`",
            )
        version = challenger
    candidate = find(tracker, version)
    champion = aliases(tracker).get(CHAMPION)
    if champion == version:
        raise RegistryError(f"version {version} is the champion already")
    verdicts, corpora = _judge(tracker, candidate)
    failed: dict[str, list[str]] = {}  # by reason, as one missing file fails several gates
    for verdict in verdicts:
        if not verdict.passed:
            failed.setdefault(verdict.reason, []).append(verdict.name)
    if failed:
        count = sum(map(len, failed.values()))
        reasons = " | ".join(f"{', '.join(names)}: {reason}" for reason, names in failed.items())
        raise RegistryError(
            f"promotion refused by {count} of {len(verdicts)} gates: {reasons}",
            where=f"version {version}",
            fix="run the sweep again and register it",
        )
    task = project.params.task
    told = of_corpora(project, corpora or (task.speech, task.eeg))
    refuse(told, accepted=accept_confound, where=f"version {version}")
    _move(tracker, "promote", version, champion)
    return Promotion(version, champion, verdicts)


def rollback(project: Project) -> Promotion:
    """Make the previous champion the champion again; once more goes one further back.

    Raises
    ------
    RegistryError : there was no champion before the present one, or somebody it was trained on has withdrawn.
    """
    tracker = Tracker.connect(project)
    champion = aliases(tracker).get(CHAMPION)
    if champion is None:
        raise RegistryError("there is no champion yet", fix="run `jmml model promote`")
    line: list[int] = []  # of succession, as it stands after every recorded move
    for event in history(tracker):
        number = int(event["version"])
        back = event["action"] == "rollback" and number in line
        line = line[: line.index(number) + 1] if back else [*line, number]
    while line and line[-1] == champion:
        line.pop()
    if not line:
        raise RegistryError(f"there was no champion before version {champion}", fix="see `jmml model list`")
    target = find(tracker, line[-1])
    _refuse_withdrawn(tracker, target)
    _move(tracker, "rollback", target.version, champion)
    return Promotion(target.version, champion)


def resolve(project: Project, uri: str) -> Resolved:
    """The weights behind ``models:/jmml@<alias>``, ``models:/jmml/<version>`` or the folder of a model.

    Models on a server are fetched once, into ``mlruns/downloads``.

    Raises
    ------
    RegistryError : no such alias, version or folder.
    """
    if not uri.startswith("models:"):
        weights = weights_folder(Path(uri))
        if weights is None:
            raise RegistryError(
                "is not a model",
                where=uri,
                expected=f"models:/{MODEL_NAME}@{CHAMPION}, models:/{MODEL_NAME}/1 or a model's folder",
            )
        return Resolved(weights, str(Path(uri)))
    match = ADDRESS.fullmatch(uri)
    if match is None:
        raise RegistryError(
            "is not a model address",
            where=uri,
            expected=f"models:/{MODEL_NAME}@{CHAMPION} or models:/{MODEL_NAME}/1",
        )
    tracker = Tracker.connect(project)
    if match["number"]:
        version = find(tracker, int(match["number"]))
    else:
        version = find(tracker, by_alias(tracker, match["alias"]))
    return Resolved(
        _fetch(tracker, version, tracker.project.mlruns_dir / "downloads" / version.model_id),
        uri if match["number"] else f"{uri} (version {version.version})",
        version,
    )


# Registering ---------------------------------------------------------------------------------------------


def _sweep_run(tracker: Tracker, run_id: str | None) -> Run:
    """The run to register, after checking that it is a finished sweep with a model."""
    sweeps = tracker.runs(kind=SWEEP)
    if run_id is None:
        for run in sweeps:
            if run.info.status == "FINISHED" and _outputs(run):
                return run
        raise RegistryError(
            "there is no finished sweep with a model", fix="run `jmml sweep run DEFINITION.yaml` first"
        )
    named = [run.info.run_id for run in sweeps if run.info.run_name == run_id]
    run_id = named[0] if named else run_id  # newest first
    try:
        run = tracker.run(run_id)
    except TrackingError as error:
        if isinstance(error.__cause__, MlflowException):
            raise RegistryError(
                "no such run", where=f"run {run_id}", fix="leave it out for the newest finished sweep"
            ) from error
        raise
    if run.data.tags.get(KIND) != SWEEP:
        kind = run.data.tags.get(KIND, "unknown")
        raise RegistryError(
            f"the run is not a sweep (kind: {kind})", where=f"run {run_id}", fix="give the run of its sweep"
        )
    if run.info.status != "FINISHED":
        raise RegistryError(
            f"the run is {run.info.status}",
            where=f"run {run_id}",
            expected="FINISHED",
            fix="finish the sweep first",
        )
    if not _outputs(run):
        raise RegistryError("the run has no model", where=f"run {run_id}", fix="run the sweep again")
    return run


def _outputs(run: Run) -> list[LoggedModelOutput]:
    return run.outputs.model_outputs if run.outputs else []


def _newest_model(tracker: Tracker, run: Run) -> str:
    with reported(tracker.uri, f"reading the models of run {run.info.run_id}"):
        models = [tracker.client.get_logged_model(item.model_id) for item in _outputs(run)]
    return str(max(models, key=lambda model: model.creation_timestamp).model_id)


def _version_tags(run: Run) -> dict[str, str]:
    copied = ("jmml.sweep", "jmml.git_sha", "jmml.outer_fold", gates.EVIDENCE_DIGEST)
    tags = {key: run.data.tags[key] for key in copied if key in run.data.tags}
    return tags | {key: repr(run.data.metrics[key]) for key in SHOWN_METRICS if key in run.data.metrics}


def _describe(run: Run) -> str:
    metrics, tags = run.data.metrics, run.data.tags
    text = f"Best configuration of sweep {tags.get('jmml.sweep', run.info.run_name)}"
    if "jmml.outer_fold" in tags:
        text += f", outer fold {tags['jmml.outer_fold']}"
    if all(key in metrics for key in gates.REQUIRED):
        text += f": UAR {metrics['test_uar']:.3f} on unseen speakers"
        span = interval_text(metrics)
        text += f" ({span})" if span else f" ({NO_INTERVAL})"
        text += f"; one-hot control {metrics['one_hot_uar']:.3f}"
    return text + "."


def _source(tracker: Tracker, model_id: str) -> str:
    """Source of a version: the model's address on a server, its folder in a local store.

    A server refuses folders; a client that writes to the database itself would look the address up in
    whatever store the process happens to have as its default.
    """
    if store.is_server(tracker.uri):
        return f"models:/{model_id}"
    return str(tracker.client.get_logged_model(model_id).artifact_location)


# Promoting -----------------------------------------------------------------------------------------------


def _judge(tracker: Tracker, version: Version) -> tuple[tuple[gates.Verdict, ...], tuple[str, ...]]:
    """The verdicts of all gates, and the corpora that the model was made of, where it says so."""
    if not version.run_id:
        return (gates.Verdict("run finished", False, "the version has no run"),), ()
    run = tracker.run(version.run_id)
    with tempfile.TemporaryDirectory() as temporary:
        with reported(tracker.uri, "looking for evidence"):
            present = tracker.client.list_artifacts(version.run_id, "evidence")
        folder = Path(temporary) / "evidence"
        if present:
            folder = tracker.download(version.run_id, "evidence", Path(temporary))
        try:  # a copy of its own: what was fetched earlier may not be what the server has now
            model = _fetch(tracker, version, Path(temporary) / "model")
        except RegistryError:
            model = Path(temporary) / "absent"
        gone = tuple(withdrawals(tracker.project))
        candidate = gates.Candidate(run.info.status, run.data.tags, run.data.metrics, folder, model, gone)
        context = candidate.card["context"] if isinstance(candidate.card, dict) else {}
        corpora = [str(context[key]) for key in ("speech_corpus", "eeg_corpus") if context.get(key)]
        return gates.judge(candidate), tuple(corpora)


def _refuse_withdrawn(tracker: Tracker, version: Version) -> None:
    """:class:`RegistryError` where a version that once passed every gate was trained on who has withdrawn since."""
    gone = tuple(withdrawals(tracker.project))
    if not gone:
        return
    with tempfile.TemporaryDirectory() as temporary:
        model = _fetch(tracker, version, Path(temporary) / "model")
        verdict = gates.nobody_withdrawn(gates.Candidate("", {}, {}, Path(temporary), model, gone))
    if not verdict.passed:
        raise RegistryError(
            f"cannot be the champion again: {verdict.reason}",
            where=f"version {version.version}",
            fix="promote a version that was trained without them",
        )


def _move(tracker: Tracker, action: str, version: int, previous: int | None) -> None:
    """Point the champion at ``version`` and write it down."""
    event = {
        "action": action,
        "version": version,
        "previous": previous,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with reported(tracker.uri, "moving the champion"), store.exclusive(tracker.uri):
        events = [*history(tracker), event]
        tracker.client.set_registered_model_alias(MODEL_NAME, CHAMPION, str(version))
        tracker.client.set_registered_model_tag(MODEL_NAME, HISTORY, json.dumps(events))
        if aliases(tracker).get(CHALLENGER) == version:
            tracker.client.delete_registered_model_alias(MODEL_NAME, CHALLENGER)


def _fetch(tracker: Tracker, version: Version, cached: Path) -> Path:
    """The weights folder of a version: in place where the store is local, else the copy ``cached``."""
    with reported(tracker.uri, f"fetching version {version.version}"):
        location = tracker.client.get_logged_model(version.model_id).artifact_location
        folder = store.local_folder(location)
        if folder is None:
            folder = cached
            if not cached.is_dir():
                with atomic_folder(cached) as target:
                    mlflow.artifacts.download_artifacts(
                        artifact_uri=location, dst_path=str(target), tracking_uri=tracker.uri
                    )
    weights = weights_folder(folder) or next(
        (found for child in sorted(folder.glob("*")) if (found := weights_folder(child))), None
    )
    if weights is None:
        raise RegistryError(
            "the model's files are missing",
            where=f"{version.uri} at {redacted(location)}",
            fix="restore mlruns/artifacts, or promote another version",
        )
    return weights
