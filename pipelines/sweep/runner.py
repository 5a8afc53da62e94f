"""A sweep from start to end: search on inner folds, refit of the best, evidence in the tracking store.

Whatever happens, no run is left open: a failure closes the sweep's run FAILED, Ctrl-C and a termination
signal close it KILLED, and what was finished before stays in the store.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from ray import tune
from rich.console import Console

from jmml.errors import JMMLError, SweepError, TrackingError
from jmml.experiment import search_trial
from pipelines import lineage
from pipelines.project import Project
from pipelines.sweep import results
from pipelines.sweep.board import Board, Trial
from pipelines.sweep.callback import SweepCallback, name
from pipelines.sweep.definition import SweepDefinition
from pipelines.sweep.outcome import SweepResult
from pipelines.sweep.plan import Plan, data_bytes, plan
from pipelines.sweep.refit import refit
from pipelines.sweep.search import ALGORITHMS, SCHEDULERS
from pipelines.sweep.session import first_interrupt, gpu_count, ray_session
from pipelines.sweep.spaces import configure, describe
from pipelines.sweep.table import Display
from pipelines.sweep.trainable import Points, TrialSettings, run_trial
from pipelines.sweep.writer import TrialWriter
from pipelines.tracking import Tracker


class InterruptedSweepError(SweepError):
    """Stopped by Ctrl-C or a termination signal; what was finished is kept."""

    exit_code = 130  # 128 + SIGINT, as shells have it


def run_sweep(
    project: Project,
    source: str | Path | SweepDefinition,
    *,
    overrides: Sequence[str] = (),
    quiet: bool = False,
    console: Console | None = None,
    search: Callable[..., Points] = search_trial,
) -> SweepResult:
    """Run a sweep and evaluate its best configuration on the outer fold, once.

    Parameters
    ----------
    source, overrides : see :func:`pipelines.sweep.plan.plan`.
    quiet : show no progress.
    console : where progress is shown; default: the standard error output.
    search : scores one configuration; exchanged in tests.

    Raises
    ------
    ConfigError, DataError, ProtocolError : before anything starts, see :func:`pipelines.sweep.plan.plan`.
    ProjectError : the stages have not been run, or their outputs were changed since.
    TrackingError : the tracking store cannot be reached or written.
    SweepError : Ray cannot start, or every trial failed; :class:`InterruptedSweepError` after Ctrl-C.
    """
    began = time.monotonic()
    planned = plan(project, source, overrides=overrides)
    definition, task = planned.definition, planned.params.task
    tracker = Tracker.connect(project)
    origin = lineage.collect(project, [corpus for corpus in (task.speech, task.eeg) if corpus])
    gpus = gpu_count(planned.params.device)
    shown = None if quiet else console or Console(stderr=True)
    if shown is not None:
        shown.print(f"sweep {definition.name}: starting Ray", highlight=False)
    with ray_session(cpus=planned.concurrent, gpus=gpus, data_bytes=data_bytes(planned.task)):
        run_id = tracker.start_sweep(
            definition.name,
            params=results.sweep_params(planned),
            tags={
                "jmml.split_digest": planned.split.digest,
                "jmml.outer_fold": str(definition.outer_fold),
                "jmml.seed": str(definition.seed),
            },
            lineage=origin,
        )
        board = Board(definition.name, planned.trials)
        writer = TrialWriter(tracker, run_id)
        with _closing(tracker, writer, board, run_id):
            tracker.log_text(run_id, definition.to_yaml(), "definition.yaml")
            with Display(board, shown) as display:
                share = min(1.0, gpus / planned.concurrent)
                _search(project, planned, board, writer, display, run_id, search, share)
                writer.close()
                best = _best(board, run_id)
                config = configure(
                    planned.params.method, {**best.configuration, "stage2.epochs": best.best_epoch}
                )
                display.note(
                    f"refitting trial {best.number} ({describe(best.configuration)}) and its controls, "
                    f"{len(planned.params.protocol.seeds)} seeds"
                )
                fitted = refit(
                    planned.task,
                    planned.split,
                    definition.outer_fold,
                    config,
                    seeds=planned.params.protocol.seeds,
                    device=planned.params.device,
                    evaluation=planned.params.evaluation,
                    gpus=share,
                )
            model_uri = results.log(
                tracker,
                run_id,
                planned,
                board,
                best,
                config,
                fitted,
                best_run_id=writer.run_id(name(best.number)),
            )
            tracker.finish(run_id, "FINISHED")
    return SweepResult(
        run_id=run_id,
        plan=planned,
        trials=sorted(board.trials.values(), key=lambda trial: trial.number),
        best=best,
        config=config,
        comparison=fitted.comparison,
        metrics=fitted.metrics,
        model_uri=model_uri,
        seconds=time.monotonic() - began,
    )


def _search(
    project: Project,
    planned: Plan,
    board: Board,
    writer: TrialWriter,
    display: Display,
    run_id: str,
    search: Callable[..., Points],
    gpus: float,
) -> None:
    """Run all trials; returns when they are over, however they ended.

    Raises
    ------
    KeyboardInterrupt : Ctrl-C, raised between two steps of Tune's loop.
    """
    definition, params = planned.definition, planned.params
    chosen = ALGORITHMS[definition.algorithm].build(definition.space, planned.trials, definition.seed)
    scheduler = SCHEDULERS[definition.scheduler.name](
        definition.max_epochs(params.method),
        definition.scheduler.grace_epochs,
        definition.scheduler.reduction,
    )
    settings = TrialSettings(
        search=search,
        base=params.method,
        n_folds=params.protocol.inner_folds,
        seed=definition.seed,
        device="cuda" if gpus else params.device,  # a worker sees its own GPU alone, as the first
        code=version("jmml"),
    )
    common = {"seed": definition.seed, "outer_fold": definition.outer_fold, "inner_folds": settings.n_folds}
    # Only `training` goes into the object store: workers cannot see the outer fold's groups.
    trainable = tune.with_parameters(run_trial, training=planned.training, settings=settings)
    with first_interrupt() as interrupted:
        tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1, "gpu": gpus} if gpus else {"cpu": 1}),
            param_space=chosen.param_space,
            tune_config=tune.TuneConfig(
                search_alg=chosen.searcher,
                scheduler=scheduler,
                num_samples=chosen.num_samples,
                max_concurrent_trials=planned.concurrent,
                reuse_actors=True,
                trial_name_creator=lambda trial: trial.trial_id,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name=run_id,
                storage_path=str(project.mlruns_dir / "sweeps" / definition.name),
                verbose=0,
                callbacks=[SweepCallback(board, writer, display, params.method, common, interrupted)],
            ),
        ).fit()
    if len(board.over) < planned.trials:
        raise SweepError(f"Ray Tune ended after {len(board.over)} of {planned.trials} trials")


def _best(board: Board, run_id: str) -> Trial:
    if board.best is None:
        first = min(board.failed, key=lambda trial: trial.number)
        raise SweepError(
            f"all {len(board.failed)} trials failed; trial {first.number} "
            f"({describe(first.configuration)}): {first.error}",
            where=f"sweep {board.name}, run {run_id}",
        )
    return board.best


@contextlib.contextmanager
def _closing(tracker: Tracker, writer: TrialWriter, board: Board, run_id: str) -> Iterator[None]:
    """Close every run when the block fails; the first error is the one that is raised."""
    try:
        yield
    except BaseException as error:
        killed = not isinstance(error, Exception)
        for trial in board.running:
            board.end(trial.id, "killed")
        with contextlib.suppress(TrackingError):  # the store may be what failed
            writer.close()
            tracker.set_tags(run_id, {"jmml.error": "interrupted" if killed else str(error)[:2000]})
            tracker.finish(run_id, "KILLED" if killed else "FAILED")
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise InterruptedSweepError(_so_far(board), where=f"sweep {board.name}, run {run_id}") from None
        if isinstance(error, JMMLError) or killed:
            raise
        line = next(iter(str(error).strip().splitlines()), "no message")
        raise SweepError(
            f"{type(error).__name__}: {line}", where=f"sweep {board.name}, run {run_id}"
        ) from error


def _so_far(board: Board) -> str:
    done = sum(trial.state in ("finished", "stopped") for trial in board.over)
    text = f"interrupted after {done} of {board.total} trials, whose results are kept"
    if board.best is not None:
        text += f"; best val_uar {board.best.best_val_uar:.3f} (trial {board.best.number})"
    return text
