"""Trials as rows of a terminal, with the settings that vary as far as there is room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import RenderableType

from pipelines.definitions.spaces import show
from pipelines.reporting.terminal import Column, fitted, plain_text
from pipelines.reporting.wording import duration, magnitude, many
from pipelines.sweep.record.state import SweepState, Trial
from pipelines.sweep.record.words import now_ms
from pipelines.sweep.show.words import STYLES, searched, short_names

_SHORT_HEADING = 5  # characters


def table(
    state: SweepState,
    trials: Sequence[Trial],
    *,
    width: int,
    now: int | None = None,
    hidden: int = 0,
    at_work: bool = True,
) -> RenderableType:
    """Trials as rows, with the settings that vary as far as ``width`` has room.

    Parameters
    ----------
    hidden : how many trials there are besides.
    at_work : whether somebody drives the sweep; what was running waits otherwise.
    """
    columns = _columns(state, trials, now_ms() if now is None else now, at_work)
    return fitted(columns, width, many(hidden, "more trial") if hidden else "")


def _columns(state: SweepState, trials: Sequence[Trial], now: int, at_work: bool) -> list[Column]:
    best = state.best
    uars = [_score(t.val_uar) for t in trials]
    states = ["waiting" if t.status == "running" and not at_work else t.status for t in trials]
    columns = [
        Column("trial", [f"{t.number}{'*' if t is best else ''}" for t in trials], 0),
        Column("state", [plain_text(text, style=STYLES[text]) for text in states], 0, "left"),
        Column("epoch", [f"{t.epoch}/{t.epochs}" if t.epoch else "stage 1" for t in trials], 2),
        Column("val_uar", uars, 3, short=Column("uar", uars, 3)),
        Column("best", [_score(t.best_score) for t in trials], 0),
    ]
    if any(trial.cost is not None for trial in trials):
        cells = ["" if t.cost is None else magnitude(t.cost) for t in trials]
        columns.append(Column("cost", cells, 1))
    times = [_time(t, now) if text != "waiting" else "" for t, text in zip(trials, states, strict=True)]
    columns.append(Column("time", times, 4))
    if any(trial.attempts > 1 for trial in trials):
        columns.append(Column("attempt", [str(trial.attempts) for trial in trials], 6))
    keys = searched(state, trials)
    names = short_names(keys)
    values = {key: [_value(trial, key) for trial in trials] for key in keys}
    brief = {key: _brief(state, key, values[key]) for key in keys}
    cut = {key: _cut(name, max(map(len, brief[key]), default=0)) for key, name in names.items()}
    cut = _distinct(cut, names)
    for key, heading in names.items():
        columns.append(Column(heading, values[key], 5, short=Column(cut[key], brief[key], 5)))
    return columns


def _cut(heading: str, room: int) -> str:
    """``hidden`` as ``hidd.``, ``stage1.lr`` as ``s1.lr``; ``room`` is what the cells need anyway."""
    for stage, short in (("stage1.", "s1."), ("stage2.", "s2.")):
        if heading.startswith(stage):
            return short + heading.removeprefix(stage)
    room = max(room, _SHORT_HEADING)
    return heading if len(heading) <= room else f"{heading[: room - 1]}."


def _distinct(short: Mapping[str, str], long: Mapping[str, str]) -> dict[str, str]:
    """The short ones where no other is the same, else the long ones."""
    taken = list(short.values())
    return {key: text if taken.count(text) == 1 else long[key] for key, text in short.items()}


def _brief(state: SweepState, key: str, cells: Sequence[str]) -> list[str]:
    """``logistic-regression`` as ``logistic`` where no other value of the setting begins so."""
    dimension = state.definition.space.get(key)
    choices = [] if dimension is None else [v for v in dimension.values if isinstance(v, str)]
    long = {value: value for value in [*choices, *cells]}
    short = _distinct({value: value.partition("-")[0] or value for value in long}, long)
    return [short[cell] for cell in cells]


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _time(trial: Trial, now: int) -> str:
    seconds = max(0.0, trial.seconds(now))
    return f"{seconds:.0f} s" if seconds < 600 else duration(seconds)


def _value(trial: Trial, key: str) -> str:
    return show(trial.configuration[key]) if key in trial.configuration else ""
