"""The only writer of tracked runs: one run per sweep, one run below it per trial, one run per study.

Every failure of the store becomes one :class:`~jmml.errors.TrackingError`. Nothing is dropped on the way:
what MLflow would alter in silence (values that are not finite, texts that are too long) is refused.
Writing the same point, parameter or trial again changes nothing, so a resumed sweep may repeat itself.
"""

from __future__ import annotations

import json
import logging
import math
import tempfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import mlflow
import numpy as np
from mlflow.entities import (
    Dataset,
    DatasetInput,
    Experiment,
    InputTag,
    LoggedModelOutput,
    Metric,
    Param,
    RunTag,
)
from mlflow.entities import Run as Run  # named by modules that may not import mlflow
from mlflow.entities.model_registry import ModelVersion as ModelVersion
from mlflow.entities.model_registry import RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.models import Model

from jmml.errors import TrackingError
from pipelines.tracking import serving, store
from pipelines.tracking.private_mlflow import DATABASE_LOGGER
from pipelines.tracking.run_tags import (
    CHANGED,
    ERROR,
    INHERITED,
    KIND,
    PARENT,
    STUDY,
    STUDY_ID,
    SWEEP,
    SWEEP_ID,
    TRIAL,
    TRIAL_ID,
    provenance,
)
from pipelines.tracking.store import RunGoneError
from pipelines.tracking.store_errors import reported
from pipelines.workspace.lineage import DatasetRef, Lineage
from pipelines.workspace.project import Project
from pipelines.workspace.values import as_text, environment, flatten, refuse_long

EXPERIMENT = "jmml"
MODEL_NAME = "jmml"

Status = Literal["FINISHED", "FAILED", "KILLED"]
Point = tuple[str, float, int, int]

MAX_METRICS, MAX_PARAMS, MAX_TAGS = 1000, 100, 100  # per request
MAX_PARAM, MAX_TAG = 6000, 8000  # characters; MLflow would cut longer values off
PROBE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": str(store.PROBE_SECONDS), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}


def quiet() -> None:
    """Keep the notes of MLflow and Alembic off the terminal; their errors still show."""
    for name in ("mlflow", "alembic", "sqlalchemy.engine", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # What goes wrong in a database is raised as well, and said in one line by `reported`.
    logging.getLogger(DATABASE_LOGGER).setLevel(logging.CRITICAL)


class Tracker:
    """Writer and reader of the runs of one project; made by :meth:`connect`."""

    def __init__(self, project: Project, client: mlflow.MlflowClient, uri: str) -> None:
        self.project, self.client, self.uri = project, client, uri

    @classmethod
    def connect(cls, project: Project) -> Tracker:
        """A tracker for ``project.tracking_uri``, once the store has answered.

        A SQLite store is created when it is not there yet, under a file lock, and its paths are put right
        when the project was moved.

        Raises
        ------
        TrackingError : the store does not answer within a few seconds, or is not a store.
        """
        uri = project.tracking_uri
        store.check(uri)
        quiet()
        database = store.database_path(uri)
        with reported(uri, "opening the tracking store"), store.exclusive(uri):
            root = store.artifact_root(project, uri)
            if database is not None and root is not None:
                store.relocate(database, root)
            client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
            try:
                with environment(PROBE):
                    client.search_experiments(max_results=1)
            except MlflowException as error:
                if database is None:
                    raise store.unreachable(uri, str(error).strip().splitlines()[0]) from error
                raise
        return cls(project, client, uri)

    def experiment(self, name: str = EXPERIMENT) -> Experiment:
        """The experiment of that name, created when it is new."""
        with reported(self.uri, f"opening experiment '{name}'"), store.exclusive(self.uri):
            found = self.client.get_experiment_by_name(name)
            if found is None:
                root = store.artifact_root(self.project, self.uri)
                if root is not None:
                    root.mkdir(parents=True, exist_ok=True)
                location = None if root is None else store.artifact_address(root)
                identifier = self.client.create_experiment(name, location)
                found = self.client.get_experiment(identifier)
        if found.lifecycle_stage != "active":
            raise TrackingError(
                f"experiment '{name}' was deleted",
                where=store.redacted(self.uri),
                fix=f"restore it with `mlflow experiments restore -x {found.experiment_id}`",
            )
        return found

    def set_experiment_tag(self, key: str, value: str, experiment: str = EXPERIMENT) -> None:
        """Tag the experiment itself, unless it has that tag already."""
        found = self.experiment(experiment)
        if found.tags.get(key) != value:
            with reported(self.uri, f"tagging experiment '{experiment}'"):
                self.client.set_experiment_tag(found.experiment_id, key, value)

    # Runs --------------------------------------------------------------------------------------------

    def start_sweep(
        self,
        name: str,
        *,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        lineage: Lineage,
        sweep_id: str | None = None,
        experiment: str = EXPERIMENT,
    ) -> str:
        """Open the run of a sweep with its parameters, datasets and lineage; the run's identifier.

        Parameters
        ----------
        tags : they go before those that this method finds out itself, the user among them.
        sweep_id : a sweep has one run: when one with this identifier is there, it is opened again and gets what it
            lacks, and ``tags`` anew. Parameters with another value now are named in its tag ``jmml.changed_params``.
        """
        # With its kind: trials inherit the identifier.
        identity = {} if sweep_id is None else {KIND: SWEEP, SWEEP_ID: sweep_id}
        return self._start(SWEEP, name, params, {**tags, **identity}, lineage, experiment, identity)

    def start_study(
        self,
        name: str,
        *,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        lineage: Lineage,
        study_id: str | None = None,
        experiment: str = EXPERIMENT,
    ) -> str:
        """Open the run of a study, or the one with this identifier again, as :meth:`start_sweep` does for a sweep."""
        identity = {} if study_id is None else {KIND: STUDY, STUDY_ID: study_id}
        return self._start(STUDY, name, params, {**tags, **identity}, lineage, experiment, identity)

    def _start(
        self,
        kind: str,
        name: str,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        lineage: Lineage,
        experiment: str,
        identity: Mapping[str, str],
    ) -> str:
        own = {**provenance(kind, lineage), KIND: kind, f"jmml.{kind}": name, **lineage.tags(), **tags}
        parent = self.experiment(experiment)
        with reported(self.uri, f"opening the run of {kind} '{name}'"):
            run = self._only(parent.experiment_id, identity) if identity else None
            if run is not None:
                self.client.update_run(run.info.run_id, status="RUNNING")
                self.set_tags(run.info.run_id, tags)
                if ERROR in run.data.tags:  # why an earlier session ended
                    self.client.delete_tag(run.info.run_id, ERROR)
            else:
                run = self.client.create_run(parent.experiment_id, tags=own, run_name=name)
        run_id = str(run.info.run_id)
        try:
            if lineage.datasets:
                with reported(self.uri, f"writing the inputs of run {run_id}"):
                    self.client.log_inputs(run_id, [_dataset_input(ref) for ref in lineage.datasets])
            self._log_new_params(run, params)
            with reported(self.uri, f"listing the files of run {run_id}"):
                there = {file.path for file in self.client.list_artifacts(run_id, "lineage")}
            for file, text in lineage.files().items():
                if f"lineage/{file}" not in there:
                    self.log_text(run_id, text, f"lineage/{file}")
        except BaseException:
            with suppress(TrackingError):  # the store may be what failed
                self.finish(run_id, "FAILED")
            raise
        return run_id

    def _log_new_params(self, run: Run, params: Mapping[str, Any]) -> None:
        """Write the parameters that a run lacks; those that differ are named in a tag, as MLflow keeps the first."""
        known, run_id = run.data.params, run.info.run_id
        flat = {key: as_text(value) for key, value in flatten(params)}
        self.log_params(run_id, {key: text for key, text in flat.items() if key not in known})
        changed = [
            f"{key}: {known[key]} -> {text}" for key, text in flat.items() if known.get(key, text) != text
        ]
        if changed or CHANGED in run.data.tags:
            self.set_tags(run_id, {CHANGED: ", ".join(changed)[:MAX_TAG]})

    def start_trial(
        self, sweep_run_id: str, trial_id: str, params: Mapping[str, Any], *, started: int | None = None
    ) -> str:
        """The run of one trial below its sweep, RUNNING: a new one, or the one this trial already has.

        Parameters
        ----------
        started : ms since 1970; default: now.
        """
        with reported(self.uri, f"opening the run of trial '{trial_id}'"):
            sweep = self._sweep(sweep_run_id)
            identity = {PARENT: sweep_run_id, TRIAL_ID: trial_id}
            run = self._only(sweep.info.experiment_id, identity)
            if run is None:
                inherited = {key: value for key, value in sweep.data.tags.items() if key in INHERITED}
                run = self.client.create_run(
                    sweep.info.experiment_id,
                    start_time=started,
                    tags={KIND: TRIAL, **identity, **inherited},
                    run_name=f"{sweep.info.run_name} / {trial_id}",
                )
            elif run.info.status != "RUNNING":
                self.client.update_run(run.info.run_id, status="RUNNING")
        self.log_params(run.info.run_id, params)
        return str(run.info.run_id)

    def find_sweep(self, sweep_id: str, experiment: str = EXPERIMENT) -> str | None:
        """The run of a sweep by the sweep's own identifier; None when it has none."""
        with reported(self.uri, f"looking for the run of sweep {sweep_id}"):
            known = self.client.get_experiment_by_name(experiment)
            run = (
                None if known is None else self._only(known.experiment_id, {KIND: SWEEP, SWEEP_ID: sweep_id})
            )
        return None if run is None else str(run.info.run_id)

    def find_trial(self, sweep_run_id: str, trial_id: str) -> str | None:
        """The run of a trial; None when it has none."""
        with reported(self.uri, f"looking for the run of trial '{trial_id}'"):
            experiment = self._sweep(sweep_run_id).info.experiment_id
            run = self._only(experiment, {PARENT: sweep_run_id, TRIAL_ID: trial_id})
        return None if run is None else str(run.info.run_id)

    def _sweep(self, run_id: str) -> Run:
        """The run of a sweep, which must be there before its trials are."""
        run = self.client.get_run(run_id)
        if run.info.lifecycle_stage != "active":
            raise RunGoneError(f"run {run_id} was deleted", where=store.redacted(self.uri))
        return run

    def _only(self, experiment_id: str, tags: Mapping[str, str]) -> Run | None:
        """The one run with these tags.

        A request that the store carried out although its answer was lost may have left a second one: the run that
        holds most is kept, the others are deleted.
        """
        query = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        found = self.client.search_runs([experiment_id], query, max_results=10)
        if not found:
            return None
        first, *others = sorted(
            found, key=lambda run: (-len(run.data.metrics), -len(run.data.params), run.info.run_id)
        )
        for other in others:
            self.client.delete_run(other.info.run_id)
        return first

    def close_children(self, run_id: str, status: Status) -> int:
        """Close every trial of a sweep that is still open, however it came to be; how many there were."""
        open_runs = self.runs(kind=TRIAL, parent=run_id, status="RUNNING")
        for run in open_runs:
            self.finish(run.info.run_id, status)
        return len(open_runs)

    def trial_names(self, run_id: str, status: str) -> dict[str, str]:
        """Names of the trials of a sweep that have a status, by the identifiers of their runs."""
        found = self.runs(kind=TRIAL, parent=run_id, status=status)
        return {run.info.run_id: run.data.tags[TRIAL_ID] for run in found}

    def is_active(self, run_id: str) -> bool:
        """Whether a run is in the store and was not deleted."""
        try:
            return self.run(run_id).info.lifecycle_stage == "active"
        except RunGoneError:
            return False

    def finish(self, run_id: str, status: Status, *, ended: int | None = None) -> None:
        """Close a run, with the time (ms since 1970) at which it ended; default: now."""
        with reported(self.uri, f"closing run {run_id}"):
            self.client.set_terminated(run_id, status, ended)

    # Values ------------------------------------------------------------------------------------------

    def log_points(self, run_id: str, points: Sequence[Point]) -> None:
        """Write metric points ``(key, value, step, timestamp in ms)``; all are checked before any is sent.

        Raises
        ------
        TrackingError : a value is NaN or infinite (MLflow would store another value), or the store fails.
        """
        self.write(run_id, points=points)

    def write(
        self,
        run_id: str,
        *,
        points: Sequence[Point] = (),
        params: Mapping[str, Any] = MappingProxyType({}),
        tags: Mapping[str, object] = MappingProxyType({}),
        size: int = MAX_METRICS,
    ) -> None:
        """Write points, parameters and tags in as few requests as MLflow takes: one for up to ``size`` values.

        Raises
        ------
        TrackingError : see :meth:`log_points`, :meth:`log_params` and :meth:`set_tags`.
        """
        bad = [(key, value, step) for key, value, step, _ in points if not math.isfinite(value)]
        if bad:
            key, value, step = bad[0]
            raise TrackingError(
                f"metric '{key}' is {value} at step {step}"
                + (f", and {len(bad) - 1} other points are not finite" if len(bad) > 1 else ""),
                where=f"run {run_id}",
                expected="finite numbers",
            )
        flat = {key: as_text(value) for key, value in flatten(params)}
        texts = {key: str(value) for key, value in tags.items()}
        refuse_long(flat, MAX_PARAM, "parameter", run_id)
        refuse_long(texts, MAX_TAG, "tag", run_id)
        kinds = [
            kind for kind, given in (("metrics", points), ("parameters", flat), ("tags", texts)) if given
        ]
        waiting_params = [Param(key, text) for key, text in flat.items()]
        waiting_tags = [RunTag(key, text) for key, text in texts.items()]
        metrics = [Metric(key, float(value), int(time), int(step)) for key, value, step, time in points]
        with reported(self.uri, f"writing {' and '.join(kinds)} of run {run_id}"):
            while waiting_params or waiting_tags or metrics:
                some_params, waiting_params = waiting_params[:MAX_PARAMS], waiting_params[MAX_PARAMS:]
                some_tags, waiting_tags = waiting_tags[:MAX_TAGS], waiting_tags[MAX_TAGS:]
                room = max(0, size - len(some_params) - len(some_tags))
                some_metrics, metrics = metrics[:room], metrics[room:]
                self.client.log_batch(run_id, metrics=some_metrics, params=some_params, tags=some_tags)

    def log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Write parameters; nested mappings become dotted names. A parameter never changes its value."""
        self.write(run_id, params=params)

    def set_tags(self, run_id: str, tags: Mapping[str, object]) -> None:
        """Write tags; an existing tag takes the new value."""
        self.write(run_id, tags=tags)

    # Files -------------------------------------------------------------------------------------------

    def log_file(self, run_id: str, path: Path, artifact_folder: str | None = None) -> None:
        """Copy a file into the run's artifacts."""
        with reported(self.uri, f"storing {path.name} in run {run_id}"):
            self.client.log_artifact(run_id, str(path), artifact_folder)

    def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
        """Store ``text`` as ``artifact_file`` (a path below the run's artifacts)."""
        with reported(self.uri, f"storing {artifact_file} in run {run_id}"):
            self.client.log_text(run_id, text, artifact_file)

    def log_model(
        self, run_id: str, model_dir: Path, *, input_example: Mapping[str, np.ndarray], name: str = MODEL_NAME
    ) -> str:
        """Store a saved recogniser as a served model of the run; its address ``models:/m-...``.

        The model carries the ``jmml`` package, a signature and an input example (``pipelines.tracking.serving``).
        """
        with reported(self.uri, f"storing the model of run {run_id}"):
            run = self.client.get_run(run_id)
            logged = self.client.create_logged_model(
                run.info.experiment_id,
                name=name,
                source_run_id=run_id,
                model_type="speech emotion recognition",
            )
            status: Literal["READY", "FAILED"] = "FAILED"
            try:
                with tempfile.TemporaryDirectory() as temporary:
                    folder = Path(temporary) / "model"
                    description = Model(run_id=run_id, model_id=logged.model_id)
                    serving.save(folder, model_dir, input_example=input_example, model=description)
                    self.client.log_model_artifacts(logged.model_id, str(folder))
                status = "READY"
            finally:
                self.client.finalize_logged_model(logged.model_id, status)
            self.client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
        return f"models:/{logged.model_id}"

    def stale_models(self, run_id: str, *, keep: Collection[str] | None = None) -> int:
        """Delete the models that a run's broken-off attempts left behind; how many there were.

        Parameters
        ----------
        keep : addresses (``models:/m-...``) of the models that count; without it, every model that was stored
            completely counts.
        """
        doomed: list[str] = []
        token: str | None = None
        with reported(self.uri, f"deleting unfinished models of run {run_id}"):
            experiment = self.client.get_run(run_id).info.experiment_id
            while True:
                page = self.client.search_logged_models(
                    [experiment], f"source_run_id = '{run_id}'", page_token=token
                )
                for model in page:
                    complete = str(model.status) == "READY"
                    if not complete or (keep is not None and f"models:/{model.model_id}" not in keep):
                        doomed.append(model.model_id)
                token = page.token
                if not token:
                    break
            for model_id in doomed:
                self.client.delete_logged_model(model_id)
        return len(doomed)

    # Reading -----------------------------------------------------------------------------------------

    def run(self, run_id: str) -> Run:
        """One run, by identifier."""
        with reported(self.uri, f"reading run {run_id}"):
            return self.client.get_run(run_id)

    def runs(
        self,
        *,
        kind: str = SWEEP,
        parent: str | None = None,
        status: str | None = None,
        experiment: str = EXPERIMENT,
    ) -> list[Run]:
        """Runs of a kind, newest first; of one sweep or one status when these are given."""
        query = [f"tags.`{KIND}` = '{kind}'"]
        query += [f"tags.`{PARENT}` = '{parent}'"] if parent else []
        query += [f"attributes.status = '{status}'"] if status else []
        found: list[Run] = []
        with reported(self.uri, "reading runs"):
            known = self.client.get_experiment_by_name(experiment)
            token: str | None = None
            while known is not None:
                page = self.client.search_runs(
                    [known.experiment_id],
                    " and ".join(query),
                    order_by=["attributes.start_time DESC"],
                    page_token=token,
                )
                found += page
                token = page.token
                if not token:
                    break
        return found

    def registered_model(self, name: str) -> RegisteredModel | None:
        """A registered model, ``None`` before its first version."""
        with reported(self.uri, "reading the registry"):
            try:
                return self.client.get_registered_model(name)
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return None
                raise

    def model_versions(self, name: str) -> list[ModelVersion]:
        """Every version of a registered model."""
        found: list[ModelVersion] = []
        token: str | None = None
        with reported(self.uri, "reading the registry"):
            while True:
                page = self.client.search_model_versions(f"name = '{name}'", page_token=token)
                found += page
                token = page.token
                if not token:
                    return found

    def download(self, run_id: str, artifact_folder: str, target: Path) -> Path:
        """Copy an artifact folder of a run below ``target``; the folder's local path."""
        with reported(self.uri, f"fetching {artifact_folder} of run {run_id}"):
            return Path(self.client.download_artifacts(run_id, artifact_folder, str(target)))


def _dataset_input(ref: DatasetRef) -> DatasetInput:
    source = {"path": ref.path, "md5": ref.dvc_hash}
    if ref.revision is not None:
        source["rev"] = ref.revision
    profile = {"rows": ref.rows, "columns": ref.columns, "content_digest": ref.digest}
    dataset = Dataset(
        name=ref.name,
        digest=ref.dvc_hash,
        source_type="dvc",
        source=json.dumps(source),
        profile=json.dumps({key: value for key, value in profile.items() if value is not None}),
    )
    tags = [InputTag("mlflow.data.context", ref.context), InputTag("jmml.modality", ref.modality)]
    return DatasetInput(dataset, tags)
