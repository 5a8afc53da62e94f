"""The live view of a sweep on a terminal: summary, best-so-far curve, and a table of its trials."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table

from pipelines.definitions.spaces import describe
from pipelines.reporting.terminal import LABEL, curve, labelled, plain_text
from pipelines.reporting.wording import duration, grouped, many
from pipelines.sweep.record.overview import TrialOverview
from pipelines.sweep.record.state import SweepState
from pipelines.sweep.record.words import now_ms, score_name, search_over
from pipelines.sweep.show.table import table
from pipelines.sweep.show.words import CLOSING, STYLES, best_text, counts_text, memo_text

CURVE_HEIGHT = 5
MAX_ROWS = 24
_TABLE_FRAME = 5  # an empty line, the headings, what is said below, the line of the cursor


def view(
    overview: TrialOverview,
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
    overview : up to date.
    driver : who drives the sweep, where that is not plain.
    note : what happens now, where that is not plain.
    now : ms since 1970.
    below : lines below the table.
    plain : characters of ASCII alone.
    """
    state, now = overview.state, now_ms() if now is None else now
    at_work = status == "running"
    if not at_work and state.sessions:
        now = state.sessions[-1].last
    elapsed = state.seconds + idle_seconds(state, now)
    closing = at_work and search_over(state, open_trials=bool(overview.open))
    parts: list[RenderableType] = [_progress(overview, "search over" if closing else status, width)]
    texts = summary(overview, at_work=at_work, elapsed=elapsed)
    if at_work and (doing := note or (CLOSING if closing else "")):
        texts.append(("now", doing))
    parts.append(labelled(texts))
    if driver:
        parts.append(plain_text(driver, style="dim"))
    room = max(20, width - LABEL)  # of a text, which is folded at spaces: now and then a line more
    left = height - 2 - len(below) - sum(1 + len(text) * 11 // (10 * room) for _, text in texts)
    if left > CURVE_HEIGHT + 8 and len(state.curve) > 1:
        parts += _curve(state, elapsed, min(width, 100), plain)
        left -= CURVE_HEIGHT + 1
    rows = overview.rows(max(0, min(MAX_ROWS, left - _TABLE_FRAME)))
    if rows:
        parts.append("")
        hidden = len(state.trials) - len(rows)
        parts.append(table(state, rows, width=width, now=now, hidden=hidden, at_work=at_work))
    parts += [plain_text(text, style="yellow") for text in below]
    return Group(*parts)


def _progress(overview: TrialOverview, status: str, width: int) -> RenderableType:
    """``quick  ━━━━━━━━━━━━━━  14 of 50 trials  running``"""
    state = overview.state
    total = max(state.total, 1)
    grid = Table.grid(padding=(0, 2))
    grid.add_row(
        plain_text(state.name, style="bold", no_wrap=True, overflow="ellipsis"),
        ProgressBar(
            total=total, completed=overview.over, width=max(4, min(40, width - len(state.name) - 40))
        ),
        plain_text(f"{grouped(overview.over)} of {many(state.total, 'trial')}", no_wrap=True),
        plain_text(status, style=STYLES.get(status, ""), no_wrap=True),
    )
    return grid


def summary(overview: TrialOverview, *, at_work: bool, elapsed: float) -> list[tuple[str, str]]:
    """Trials by state, speed, reuse of stage 1 and the best trial: a label and a text each."""
    state = overview.state
    speed = [f"{duration(elapsed)} at work"]
    if (rate := state.trials_per_hour()) is not None:
        speed.append(f"{rate:.3g} trials/h" if rate < 1000 else f"{grouped(rate)} trials/h")
    if at_work and (left := time_left(state, elapsed)) is not None and left > 0:
        speed.append(f"about {duration(left)} left")
    found = [("trials", counts_text(overview.counts(), at_work=at_work)), ("time", ", ".join(speed))]
    if reuse := memo_text(overview.memo(), overview.unsaved):
        found.append(("stage 1", reuse))
    if best := state.best:
        found.append(("best", f"{best_text(state, best)}, {describe(best.chosen)}"))
    return found


def time_left(state: SweepState, elapsed: float) -> float | None:
    """Seconds until the last trial at the present rate, or until the budget of hours is used up if that is sooner;
    None before the first trial has ended, as nobody knows then."""
    at_this_rate = state.eta_seconds()
    if at_this_rate is None or (hours := state.definition.budget.hours) is None:
        return at_this_rate
    return min(at_this_rate, max(0.0, 3600 * hours - elapsed))


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
    return [*(plain_text(text, style="green", no_wrap=True) for text in drawn), plain_text(foot, style="dim")]
