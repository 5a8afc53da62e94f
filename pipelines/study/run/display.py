"""Progress of a study while it is computed: a bar on a terminal, one line per finished block elsewhere."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from jmml.cell import CellResult
from pipelines.cache.cells import Key
from pipelines.reporting.wording import rough_duration
from pipelines.study.define.plan import StudyPlan


class Display:
    """Shows how far a study is; used as a context manager around its computation.

    Parameters
    ----------
    console : where to; the bar needs a terminal. None shows nothing.
    address : of the cluster that is joined.
    clock : seconds, exchanged in tests.

    Attributes
    ----------
    last, left_text : the cell finished last, and how long the others will take, in words.
    """

    def __init__(
        self,
        plan: StudyPlan,
        console: Console | None,
        *,
        address: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plan, self.console, self.clock = plan, console, clock
        self.left = {key.digest: key for key in plan.missing}
        self.total = len(self.left)
        self.blocks = Counter((key.task, key.fold, key.seed) for key in self.left.values())
        self._took: defaultdict[str, list[float]] = defaultdict(list)
        self._began = clock()
        self.last = self.left_text = ""
        self._ray = f"joining Ray at {address}" if address else "starting Ray"
        self._bar: Progress | None = None
        if console is not None and console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[left]}", markup=False),
                TextColumn("{task.fields[last]}", style="dim", markup=False),
                console=console,
                transient=True,
            )
            self._bar.add_task(plan.definition.name, total=self.total, left=self._ray, last="")

    def __enter__(self) -> Display:
        self._began = self.clock()
        if self._bar is not None:
            self._bar.start()
        else:
            there = len(self.plan.cells) - self.total
            kept = (
                f"{there} of {len(self.plan.cells)} cells are kept, {self.total}"
                if there
                else f"{self.total} cells"
            )
            self.note(f"study {self.plan.definition.name}: {kept} to compute, {self._ray}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def finished(self, key: Key, result: CellResult) -> None:
        """A cell is computed and saved."""
        del self.left[key.digest]
        self._took[key.method].append(float(result.metrics.get("seconds", float("nan"))))
        done = self.total - len(self.left)
        place = (key.task, key.fold, key.seed)
        self.blocks[place] -= 1
        self.left_text = self._time_left()
        score = f"{key.task}, fold {key.fold}, seed {key.seed}, {key.method}"
        if "test_uar" in result.metrics:
            score += f": UAR {result.metrics['test_uar']:.3f}"
        self.last = score
        left = self.left_text
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, left=left, last=score)
        elif not self.blocks[place]:
            self.note(f"{done} of {self.total} cells{f', {left}' if left else ''}; last: {score}")

    def note(self, text: str) -> None:
        """One line, above the bar where there is one."""
        if self.console is not None:
            self.console.print(text, soft_wrap=True, highlight=False, markup=False)

    def _time_left(self) -> str:
        """``about 12 min left``: each cell as long as those of its method, the others as the mean so far."""
        if not self.left:
            return ""
        elapsed, done = self.clock() - self._began, self.total - len(self.left)
        mean = self.plan.workers * elapsed / done  # of one cell on one worker
        expected = (_mean(self._took.get(key.method, ()), mean) for key in self.left.values())
        busy = min(self.plan.workers, sum(count > 0 for count in self.blocks.values()))
        return f"about {rough_duration(sum(expected) / max(busy, 1))} left"


def _mean(values: Iterable[float], otherwise: float) -> float:
    known = [value for value in values if value == value]
    return sum(known) / len(known) if known else otherwise
