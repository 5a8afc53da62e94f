from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from pipelines.study.define.plan import plan
from pipelines.study.run.display import Display
from tests.pipelines.study import fakes
from tests.pipelines.study.studies import CELLS, METHODS, make
from tests.pipelines.sweep.projects import write_project


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    return plan(write_project(tmp_path_factory.mktemp("study") / "project"), make(), workers=2)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def finish(display, planned, keys):
    for key in keys:
        task = planned.tasks[key.task]
        display.finished(
            key, fakes.quick(task.data, task.split, key.fold, key.method, task.candidates, seed=key.seed)
        )


def test_the_time_left_is_that_of_the_cells_left(planned):
    console = Console(file=io.StringIO(), width=200)
    clock = Clock()
    with Display(planned, console, clock=clock) as display:
        clock.now += 30
        finish(display, planned, planned.missing[: len(METHODS)])
        # Every cell of the stand-in takes 2 s: 20 cells on two workers.
        assert (
            console.file.getvalue()
            .splitlines()[-1]
            .startswith(f"4 of {CELLS} cells, about 20 s left; last: lab")
        )
        finish(display, planned, planned.missing[len(METHODS) : -1])
        assert len(console.file.getvalue().splitlines()) == 1 + 5
        finish(display, planned, planned.missing[-1:])
    assert console.file.getvalue().splitlines()[-1].startswith(f"{CELLS} of {CELLS} cells; last: lab")


def test_methods_not_seen_yet_count_as_the_mean_so_far(planned):
    console = Console(file=io.StringIO(), width=200)
    clock = Clock()
    with Display(planned, console, clock=clock) as display:
        clock.now += 10  # two cells by two workers: 10 s each
        finish(display, planned, [key for key in planned.missing if key.method == "raw"][:2])
        # 4 of raw take 2 s each, 18 others 10 s, on two workers.
        assert display._time_left() == "about 2 min left"


def test_where_a_study_begins_is_said_before_its_first_cell_is_finished(planned):
    console, clock = Console(file=io.StringIO(), width=200), Clock()
    partly = replace(planned, cached=frozenset(key.digest for key in planned.cells[:5]))
    with Display(partly, console, clock=clock) as display:
        assert (
            console.file.getvalue()
            == f"study tiny: 5 of {CELLS} cells are kept, 19 to compute, starting Ray\n"
        )
        display.at_work([])
        display.at_work(partly.missing[:2])
        display.at_work(partly.missing[1:3])  # a line now and then is enough
        *_, line = console.file.getvalue().splitlines()
        assert line == "2 workers at work, on lab, fold 1, seed 0, jec-ssl; lab, fold 1, seed 0, jmml"
        finish(display, partly, partly.missing[:1])
        assert len(console.file.getvalue().splitlines()) == 2
        clock.now += 60
        finish(display, partly, partly.missing[1:2])  # the block goes on, and one wonders
        *_, line = console.file.getvalue().splitlines()
        assert line.startswith("2 of 19 cells, about ")
        assert "; last: lab, fold 1, seed 0, jmml: UAR 0." in line


def test_the_start_of_ray_is_not_taken_for_work(planned):
    clock = Clock()
    with Display(planned, Console(file=io.StringIO()), clock=clock) as display:
        clock.now += 1000
        display.at_work(planned.missing[:2])
        clock.now += 10  # two cells by two workers: 10 s each
        finish(display, planned, [key for key in planned.missing if key.method == "raw"][:2])
        assert display._time_left() == "about 2 min left"


def test_cells_at_work_stand_below_the_bar(planned):
    console = Console(file=io.StringIO(), width=200, force_terminal=True)
    with Display(planned, console, clock=Clock()) as display:
        display.at_work(planned.missing[:6])
        assert display._bar is not None
        display._bar.refresh()
    text = console.file.getvalue()
    assert f"study tiny: {CELLS} cells to compute" in text
    assert "6 workers at work" in text
    assert "at work: lab, fold 0, seed 0, raw; " in text
    assert "; lab, fold 0, seed 0, one-hot and 2 more" in text


def test_a_bar_on_a_terminal(planned):
    console = Console(file=io.StringIO(), width=200, force_terminal=True)
    with Display(planned, console, clock=Clock()) as display:
        finish(display, planned, planned.missing[:4])
        display.note("a worker died")
    text = console.file.getvalue()
    assert f"4/{CELLS}" in text
    assert "a worker died" in text
    assert "one-hot: UAR 0." in text


def test_silence(planned):
    with Display(planned, None) as display:
        display.note("nothing")
        finish(display, planned, planned.missing)
