"""Words that terminals and pages use of a sweep and its trials."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jmml.evaluation.wording import DASH
from pipelines.definitions.spaces import Scalar, describe, show
from pipelines.reporting.wording import grouped, magnitude, many
from pipelines.sweep.record.state import SweepState, Trial
from pipelines.sweep.record.words import now_ms, score_name, unsaved_text

CLOSING = "all trials are over; refitting the best, writing to MLflow"
STYLES = {
    "running": "cyan",
    "search over": "cyan",
    "waiting": "blue",
    "finished": "green",
    "stopped": "yellow",
    "failed": "red",
    "interrupted": "red",
}
MAX_LISTED = 50  # trials of one error, trials with repeated epochs


def text(value: Any) -> str:
    """A setting in words; nothing for what is not set."""
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def setting_text(value: Scalar) -> str:
    """A setting's value as a definition would have it: ``true``, ``none``, four significant digits."""
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else show(value)


def moment(t: int) -> str:
    """``t`` (ms since 1970) in universal time."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(t / 1000)) if t else DASH


def resources(data: Mapping[str, Any]) -> str:
    """``4 CPUs, 0.5 GPUs``; what is not there is left out."""
    return ", ".join(
        many(data[key], name) for key, name in (("cpus", "CPU"), ("gpus", "GPU")) if data.get(key)
    )


def line(state: SweepState, trial: Trial) -> str:
    """``trial 3/8 finished: best val_uar 0.412 at epoch 7 of 10, 4.1 s; best so far 0.476 (trial 1)``

    Settings are named where they are new: of the best trial so far, and of one that failed.
    """
    head = f"trial {trial.number}/{state.total} {trial.status}: "
    if trial.error:
        head += trial.error
    elif trial.best_score is None:
        head += "no epoch reported"
    else:
        head += f"best {scores(state, trial)} at epoch {trial.best_epoch} of {trial.epochs}"
    head += f", {trial.seconds(now_ms()):.1f} s"
    best = state.best
    if trial is best or trial.error:
        varying = {
            key: trial.configuration[key] for key in searched(state, [trial]) if key in trial.configuration
        }
        head += f" ({describe(varying)})" if varying else ""
    if best is None:
        return head
    return head + (
        "; the best so far" if trial is best else f"; best so far {best.best_score:.3f} (trial {best.number})"
    )


def scores(state: SweepState, trial: Trial) -> str:
    """``val_uar 0.412``, with the lower bound and the cost where they are objectives."""
    uar = trial.best_val_uar if trial.best_val_uar is not None else trial.best_score
    text = "no score" if uar is None else f"val_uar {uar:.3f}"
    if score_name(state) != "val_uar" and trial.best_score is not None:
        text += f", {score_name(state)} {trial.best_score:.3f}"
    return text if trial.cost is None else f"{text}, {magnitude(trial.cost)} multiply-adds"


def counts_text(counts: Mapping[str, int], *, at_work: bool) -> str:
    """``2 running, 7 finished, 1 failed``; where nobody drives the sweep, what was running waits."""
    found = dict(counts)
    if not at_work and "running" in found:
        waiting = found.pop("running") + found.pop("waiting", 0)
        found = {"waiting": waiting} | found
    return ", ".join(f"{grouped(number)} {status}" for status, number in found.items()) or "none yet"


def best_text(state: SweepState, trial: Trial) -> str:
    """``val_uar 0.412: trial 3, epoch 7``"""
    return f"{scores(state, trial)}: trial {trial.number}, epoch {trial.best_epoch}"


def memo_text(memo: Mapping[str, int], unsaved: int = 0) -> str:
    """``73 % reused (40 computed, 90 loaded, 18 waited for)``, and how many could not be kept for others; nothing
    while none was needed."""
    needed = sum(memo.values())
    if not needed:
        return ""
    reused = 100 * (1 - memo["computed"] / needed)
    text = (
        f"{reused:.0f} % reused ({grouped(memo['computed'])} computed, {grouped(memo['loaded'])} loaded, "
        f"{grouped(memo['waited'])} waited for)"
    )
    return f"{text}; {unsaved_text(unsaved)}" if unsaved else text


def searched(state: SweepState, trials: Iterable[Trial]) -> list[str]:
    """Settings that vary, in the order of the definition."""
    space = state.definition.space
    fixed = {key for key, dimension in space.items() if dimension.size == 1}
    others = (key for trial in trials for key in trial.configuration)
    return [key for key in dict.fromkeys([*space, *others]) if key not in fixed]


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """``stage2.k`` as ``k`` where no other setting is called so; ``classifier.name`` as ``classifier``."""
    last = {
        key: key.removesuffix(".name") if key.endswith(".name") else key.rpartition(".")[2] for key in keys
    }
    taken = list(last.values())
    return {key: short if taken.count(short) == 1 else key for key, short in last.items()}
