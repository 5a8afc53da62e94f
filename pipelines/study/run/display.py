"""Progress of a study while it is computed: a bar on a terminal; elsewhere a line per finished block or minute."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from jmml.cell import CellResult
from jmml.printable import printable
from pipelines.cache.cells import Key
from pipelines.reporting.progress import LATEST_S
from pipelines.reporting.terminal import plain_text
from pipelines.reporting.wording import many, rough_duration
from pipelines.study.define.plan import StudyPlan

_NAMED = 4  # cells at work that are named; more are counted


class _Bar(Progress):
    """A bar with a line below it."""

    below = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self.below:
            yield plain_text(self.below, style="dim", no_wrap=True, overflow="ellipsis")


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
        self._began_work = False
        self._said = self._began  # when the last line was
        self._bar: _Bar | None = None
        if console is not None and console.is_terminal:
            self._bar = _Bar(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[left]}", markup=False),
                TextColumn("{task.fields[last]}", style="dim", markup=False),
                console=console,
                transient=True,
            )
            self._bar.add_task(plan.definition.name, total=self.total, left=printable(self._ray), last="")

    def __enter__(self) -> Display:
        self._began = self._said = self.clock()
        there = len({key.digest for key in self.plan.cells}) - self.total
        cells = many(there + self.total, "cell")
        counts = f"{there} of {cells} {'is' if there == 1 else 'are'} kept, {self.total}" if there else cells
        begins = f"study {self.plan.definition.name}: {counts} to compute"
        if self._bar is not None:
            self.note(begins)
            self._bar.start()
        else:
            self.note(f"{begins}, {self._ray}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def at_work(self, keys: Sequence[Key]) -> None:
        """Which cells are being computed now."""
        if not keys:
            return
        if not self._began_work:
            self._began = self.clock()  # the start of Ray is no measure of what follows
        more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
        named = f"{'; '.join(map(_place, keys[:_NAMED]))}{more}"
        if self._bar is not None:
            self._bar.below = f"at work: {named}"
            if not self.last:
                self._bar.update(self._bar.task_ids[0], left=f"{many(len(keys), 'worker')} at work")
        elif not self._began_work:
            self.note(f"{many(len(keys), 'worker')} at work, on {named}")
        self._began_work = True

    def finished(self, key: Key, result: CellResult) -> None:
        """A cell is computed and saved."""
        del self.left[key.digest]
        self._took[key.method].append(float(result.metrics.get("seconds", float("nan"))))
        done = self.total - len(self.left)
        place = (key.task, key.fold, key.seed)
        self.blocks[place] -= 1
        self.left_text = self._time_left()
        score = _place(key)
        if "test_uar" in result.metrics:
            score += f": UAR {result.metrics['test_uar']:.3f}"
        self.last = score
        left = self.left_text
        if self._bar is not None:
            self._bar.below = self._bar.below if self.left else ""
            self._bar.update(self._bar.task_ids[0], completed=done, left=left, last=score)
        elif not self.blocks[place] or self.clock() - self._said >= LATEST_S:
            self._said = self.clock()
            self.note(f"{done} of {many(self.total, 'cell')}{f', {left}' if left else ''}; last: {score}")

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


def _place(key: Key) -> str:
    return f"{key.task}, fold {key.fold}, seed {key.seed}, {key.method}"


def _mean(values: Iterable[float], otherwise: float) -> float:
    known = [value for value in values if value == value]
    return sum(known) / len(known) if known else otherwise
