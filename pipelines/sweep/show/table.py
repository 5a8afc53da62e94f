"""A sweep on a terminal: summary, best-so-far curve, and a table of its trials."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipelines.definitions.spaces import describe, show
from pipelines.reporting.columns import LABEL, Column, fitted, labelled, magnitude
from pipelines.reporting.curve import curve
from pipelines.reporting.wording import duration, grouped, many
from pipelines.sweep.record.state import SweepState, Trial
from pipelines.sweep.record.tally import Tally

CURVE_HEIGHT = 5
MAX_ROWS = 24
_SHORT_HEADING = 5  # characters
CLOSING = "all trials are over; refitting the best, writing to MLflow"
_TABLE_FRAME = 5  # an empty line, the headings, what is said below, the line of the cursor
STYLES = {
    "running": "cyan",
    "search over": "cyan",
    "waiting": "blue",
    "finished": "green",
    "stopped": "yellow",
    "failed": "red",
    "interrupted": "red",
}


# One trial -----------------------------------------------------------------------------------------------


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


def score_name(state: SweepState) -> str:
    """What the search maximises."""
    return "lower bound" if state.definition.objective.score == "lower-bound" else "val_uar"


# The live view -------------------------------------------------------------------------------------------


def view(
    tally: Tally,
    *,
    width: int,
    height: int,
    status: str = "running",
    driver: str = "",
    note: str = "",
    now: int | None = None,
    below: Sequence[str] = (),
    plain: bool = False,
) -> RenderableType:
    """Summary, curve and table of a sweep, in at most ``height`` lines.

    Parameters
    ----------
    tally : up to date.
    driver : who drives the sweep, where that is not plain.
    note : what happens now, where that is not plain.
    now : ms since 1970.
    below : lines below the table.
    plain : characters of ASCII alone.
    """
    state, now = tally.state, now_ms() if now is None else now
    at_work = status == "running"
    if not at_work and state.sessions:
        now = state.sessions[-1].last
    elapsed = state.seconds + idle_seconds(state, now)
    closing = at_work and search_over(state, open_trials=bool(tally.open))
    parts: list[RenderableType] = [_progress(tally, "search over" if closing else status, width)]
    texts = summary(tally, at_work=at_work, elapsed=elapsed)
    if at_work and (doing := note or (CLOSING if closing else "")):
        texts.append(("now", doing))
    parts.append(labelled(texts))
    if driver:
        parts.append(Text(driver, style="dim"))
    room = max(20, width - LABEL)  # of a text, which is folded at spaces: now and then a line more
    left = height - 2 - len(below) - sum(1 + len(text) * 11 // (10 * room) for _, text in texts)
    if left > CURVE_HEIGHT + 8 and len(state.curve) > 1:
        parts += _curve(state, elapsed, min(width, 100), plain)
        left -= CURVE_HEIGHT + 1
    rows = tally.rows(max(0, min(MAX_ROWS, left - _TABLE_FRAME)))
    if rows:
        parts.append("")
        hidden = len(state.trials) - len(rows)
        parts.append(table(state, rows, width=width, now=now, hidden=hidden, at_work=at_work))
    parts += [Text(text, style="yellow") for text in below]
    return Group(*parts)


def _progress(tally: Tally, status: str, width: int) -> RenderableType:
    """``quick  ━━━━━━━━━━━━━━  14 of 50 trials  running``"""
    state = tally.state
    total = max(state.total, 1)
    grid = Table.grid(padding=(0, 2))
    grid.add_row(
        Text(state.name, style="bold", no_wrap=True, overflow="ellipsis"),
        ProgressBar(total=total, completed=tally.over, width=max(4, min(40, width - len(state.name) - 40))),
        Text(f"{grouped(tally.over)} of {grouped(state.total)} trials", no_wrap=True),
        Text(status, style=STYLES.get(status, ""), no_wrap=True),
    )
    return grid


def summary(tally: Tally, *, at_work: bool, elapsed: float) -> list[tuple[str, str]]:
    """Trials by state, speed, reuse of stage 1 and the best trial: a label and a text each."""
    state = tally.state
    speed = [f"{duration(elapsed)} at work"]
    if (rate := state.trials_per_hour()) is not None:
        speed.append(f"{rate:.3g} trials/h" if rate < 1000 else f"{grouped(rate)} trials/h")
    if at_work and (left := time_left(state, elapsed)) is not None and left > 0:
        speed.append(f"about {duration(left)} left")
    found = [("trials", counts_text(tally.counts(), at_work=at_work)), ("time", ", ".join(speed))]
    if reuse := memo_text(tally.memo(), tally.unsaved):
        found.append(("stage 1", reuse))
    if best := state.best:
        found.append(("best", f"{best_text(state, best)}, {describe(best.chosen)}"))
    return found


def counts_text(counts: Mapping[str, int], *, at_work: bool) -> str:
    """``2 running, 7 finished, 1 failed``; where nobody drives the sweep, what was running waits."""
    found = dict(counts)
    if not at_work and "running" in found:
        waiting = found.pop("running") + found.pop("waiting", 0)
        found = {"waiting": waiting} | found
    return ", ".join(f"{grouped(number)} {status}" for status, number in found.items()) or "none yet"


def kept(state: SweepState) -> str:
    """``7 of 12 trials are done and kept, best score 0.612 (trial 3)``"""
    text = f"{state.over} of {state.total} trials are done and kept"
    if state.best is not None:
        text += f", best score {state.best.best_score:.3f} (trial {state.best.number})"
    return text


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


def unsaved_text(count: int) -> str:
    """That stage-1 models are lost to other trials, and why."""
    return f"{grouped(count)} could not be kept: the folder is full, or not writable for you"


def time_left(state: SweepState, elapsed: float) -> float | None:
    """Seconds until the last trial at the present rate, or until the budget of hours is used up if that is sooner;
    None before the first trial has ended, as nobody knows then."""
    at_this_rate = state.eta_seconds()
    if at_this_rate is None or (hours := state.definition.budget.hours) is None:
        return at_this_rate
    return min(at_this_rate, max(0.0, 3600 * hours - elapsed))


def search_over(state: SweepState, *, open_trials: bool) -> bool:
    """Whether no trial will follow: all that were wanted are over, or a budget is used up and none is open."""
    if state.total and state.over >= state.total:
        return True
    if open_trials or not state.over:
        return False
    hours, epochs = state.definition.budget.hours, state.definition.budget.epochs
    return (hours is not None and state.seconds >= 3600 * hours) or (
        epochs is not None and state.epochs_done >= epochs
    )


def idle_seconds(state: SweepState, now: int) -> float:
    """Time since the last event; the driver's clock may be another one."""
    return max(0.0, (now - state.sessions[-1].last) / 1000) if state.sessions else 0.0


def _curve(state: SweepState, elapsed: float, width: int, plain: bool) -> list[RenderableType]:
    steps = [(seconds, score) for seconds, _, score in state.curve]
    drawn = curve(steps, elapsed, width=width, height=CURVE_HEIGHT, plain=plain)
    left = drawn[0].index(" ") + 2
    end = f"{duration(elapsed)}, {many(state.over, 'trial')}"
    foot = f"{'':{left}}best {score_name(state)} so far"
    foot += f"{end:>{max(len(end) + 2, width - len(foot))}}"
    return [*(Text(text, style="green", no_wrap=True) for text in drawn), Text(foot, style="dim")]


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
        Column("state", [Text(text, style=STYLES[text]) for text in states], 0, "left"),
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


def now_ms() -> int:
    """Now, as events have it."""
    return int(time.time() * 1000)


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _time(trial: Trial, now: int) -> str:
    seconds = max(0.0, trial.seconds(now))
    return f"{seconds:.0f} s" if seconds < 600 else duration(seconds)


def _value(trial: Trial, key: str) -> str:
    return show(trial.configuration[key]) if key in trial.configuration else ""
