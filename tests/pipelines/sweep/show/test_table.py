from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from pipelines.sweep.record.overview import KEPT, TrialOverview
from pipelines.sweep.record.state import SweepState
from pipelines.sweep.record.words import now_ms, search_over
from pipelines.sweep.show.display import Display
from pipelines.sweep.show.table import table
from pipelines.sweep.show.view import time_left, view
from pipelines.sweep.show.words import CLOSING, line, short_names
from tests.pipelines.sweep.scripts import Script, long_sweep


def printed(what, width=100, height=40) -> str:
    console = Console(file=io.StringIO(), width=width, height=height)
    console.print(what)
    return console.file.getvalue()


def overview_of(script: Script) -> TrialOverview:
    overview = TrialOverview(script.state)
    overview.update()
    return overview


def shown(script: Script, width=100, height=40, **how) -> str:
    return printed(
        view(overview_of(script), width=width, height=height, now=script.now, **how), width, height
    )


def busy() -> Script:
    script = Script()
    script.trial(1, [0.3, 0.5, 0.4])
    script.start(2)
    script.report(2, 0.1)
    script.start(3)
    return script


# One line per ended trial ---------------------------------------------------------------------------------


def test_one_line_per_ended_trial_without_a_terminal():
    script, file = Script(), io.StringIO()
    with Display(script.state, Console(file=file, width=40)) as display:
        script.trial(1, [0.3, 0.5, 0.4])
        display.ended(script.state.trials[1])
        script.trial(2, [0.1], "failed", error="ModelError: k is 9; expected at most 4")
        display.ended(script.state.trials[2])
        script.trial(3, [], "stopped")
        display.ended(script.state.trials[3])
        display.note("refitting trial 1")
    assert file.getvalue().splitlines() == [
        "trial 1/4 finished: best val_uar 0.500 at epoch 2 of 3, 3.0 s (stage1.p=3 stage2.k=1); "
        "the best so far",
        "trial 2/4 failed: ModelError: k is 9; expected at most 4, 1.0 s (stage1.p=3 stage2.k=2); "
        "best so far 0.500 (trial 1)",
        "trial 3/4 stopped: no epoch reported, 0.0 s; best so far 0.500 (trial 1)",
        "refitting trial 1",
    ]


def test_a_line_of_a_sweep_in_which_nothing_varies_names_no_settings():
    script = Script(space={"stage1.p": {"choice": [3]}})
    script.trial(1, [0.3], configuration={"stage1.p": 3})
    expected = "trial 1/4 finished: best val_uar 0.300 at epoch 1 of 3, 1.0 s; the best so far"
    assert line(script.state, script.state.trials[1]) == expected


def test_other_objectives_are_named():
    script = Script(objective={"score": "lower-bound", "cost": "inference"})
    script.start(1)
    script.report(1, 0.31, points={"val_uar": 0.42}, cost=12_345.0)
    script.end(1)
    assert "finished: best val_uar 0.420, lower bound 0.310, 12.3k multiply-adds at epoch 1 of 3" in line(
        script.state, script.state.trials[1]
    )
    assert " cost " in shown(script)


def test_a_trial_that_starts_after_later_ones_is_counted_once_and_so_are_they():
    script = Script()
    overview = TrialOverview(script.state)
    script.start(1)
    script.start(3)
    overview.update()
    script.start(2)  # its worker took longer
    overview.update()
    assert sorted(trial.number for trial in overview.open) == [1, 2, 3]
    for number in (3, 2, 1):
        script.report(number, number / 10)
        script.end(number)
    assert [trial.number for trial in overview.update()] == [3, 2, 1]  # as they ended
    assert [trial.number for trial in overview.leaders(5)] == [3, 2, 1]
    assert (overview.over, overview.open) == (3, [])


def test_trouble_is_told_once_until_it_is_over():
    script, file, trouble = Script(), io.StringIO(), []
    script.trial(1, [0.3])
    trial = script.state.trials[1]
    with Display(
        script.state, Console(file=file), trouble=lambda: trouble[0] if trouble else None
    ) as display:
        display.ended(trial)
        trouble.append("MLflow cannot be reached")
        display.ended(trial)
        trouble[0] = "MLflow cannot be reached; more waits"
        display.ended(trial)
        trouble.clear()
        display.ended(trial)
        trouble.append("MLflow is away again")
        display.ended(trial)
    lines = file.getvalue().splitlines()
    assert [text for text in lines if not text.startswith("trial")] == [
        "MLflow cannot be reached",
        "MLflow is away again",
    ]


def test_nothing_is_shown_without_a_console(capfd):
    script = Script()
    script.trial(1, [0.1])
    with Display(script.state, None) as display:
        display.note("starting")
        display.ended(script.state.trials[1])
    assert capfd.readouterr() == ("", "")


def test_a_live_view_on_a_terminal():
    script = busy()
    console = Console(file=io.StringIO(), width=100, height=30, force_terminal=True, legacy_windows=False)
    with Display(script.state, console, trouble=lambda: "MLflow cannot be reached") as display:
        display.note("refitting")
        display._live.refresh()
        display.ended(script.state.trials[1])
    text = console.file.getvalue()
    for part in ("tiny", "1 of 4 trials", "refitting", "MLflow cannot be reached", "stage 1"):
        assert part in text
    assert "trial 1/4 finished" not in text


def test_the_refit_is_seen_and_the_last_frame_says_how_it_ended():
    script = Script(total=1, budget={"trials": 1, "hours": 2.0})
    script.trial(1, [0.3, 0.5])
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True, legacy_windows=False)
    note = f"refitting trial 1 ({'stage2.lam_x=1.25 ' * 5}) and its controls, 3 seeds"  # several lines
    with Display(script.state, console) as display:
        display.note(note)
        display._live.refresh()
        seen = console.file.getvalue()
        script("refit", trial=1, epoch=2)
        script("close", state="finished", reason="")
    for part in ("1 of 1 trial ", "search over", "now ", "refitting trial 1", "3 seeds"):
        assert part in seen
    assert " left" not in seen
    assert "running" not in seen
    last = console.file.getvalue()[len(seen) :]
    assert "finished" in last
    assert "refitting" not in last
    assert "search over" not in last


def test_a_display_that_ends_without_a_close_was_interrupted():
    script = busy()
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True, legacy_windows=False)
    with Display(script.state, console):
        seen = len(console.file.getvalue())
    assert "interrupted" in console.file.getvalue()[seen:]


# The view of the end ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "over"),
    [
        ({"trials": 9}, False),
        ({"trials": 9, "hours": 0.0001}, True),
        ({"trials": 9, "epochs": 2}, True),
        ({"trials": 1}, True),
    ],
)
def test_no_trial_follows_when_all_are_over_or_a_budget_is_used_up(budget, over):
    script = Script(total=budget["trials"], budget=budget)
    assert not search_over(script.state, open_trials=False)
    script.start(1)
    script.report(1, 0.1, 0.2)
    assert not search_over(script.state, open_trials=True)
    script.end(1)
    assert search_over(script.state, open_trials=False) is over
    assert (CLOSING in shown(script)) is over
    assert CLOSING not in shown(script, status="stopped")


# The view ---------------------------------------------------------------------------------------------------


def test_the_view_shows_progress_speed_the_best_and_running_trials_first():
    text = shown(busy(), driver="driven by eva on lab3")
    lines = [" ".join(row.split()) for row in text.splitlines()]
    assert lines[0].startswith("tiny ")
    assert lines[0].endswith("1 of 4 trials running")
    assert "trials 2 running, 1 finished" in lines
    assert "time 4.0 s at work, 900 trials/h, about 12 s left" in lines
    assert "best val_uar 0.500: trial 1, epoch 2, stage1.p=3 stage2.k=1" in lines
    assert "driven by eva on lab3" in lines
    rows = lines[lines.index("trial state epoch val_uar best time p k") + 2 :]
    assert rows == [
        "2 running 1/3 0.100 0.100 1 s 3 2",
        "3 running stage 1 0 s 3 3",
        "1* finished 3/3 0.400 0.500 3 s 3 1",
    ]


def test_what_ran_waits_where_nobody_drives_the_sweep():
    text = shown(busy(), status="interrupted")
    assert "2 waiting, 1 finished" in text
    assert "left" not in text
    assert "running" not in text
    assert "2  waiting" in text


def test_a_sweep_without_trials():
    text = shown(Script(session=False))
    assert "0 of 4 trials" in text
    assert "none yet" in text


def test_reuse_of_stage_1_is_shown():
    script = Script()
    script.start(1)
    script.report(1, 0.2, memo={"computed": 1, "loaded": 2, "waited": 1})
    assert "75 % reused (1 computed, 2 loaded, 1 waited for)" in shown(script)


def test_the_budget_of_hours_limits_the_time_left():
    script = Script(total=1000, budget={"trials": 1000, "hours": 0.01})
    assert time_left(script.state, 2.0) is None  # nobody knows before the first trial has ended
    assert "left" not in shown(script)
    script.trial(1, [0.1, 0.2])
    assert time_left(script.state, 2.0) == pytest.approx(34)
    few = Script(total=5, budget={"trials": 5, "hours": 2.0})
    few.trial(1, [0.1, 0.2])
    assert time_left(few.state, 2.0) == pytest.approx(8)  # two seconds each
    assert time_left(Script().state, 2.0) is None


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140, 200])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_cut(width):
    script = long_sweep(40)
    for text in (
        shown(script, width=width),
        printed(table(script.state, overview_of(script).rows(10), width=width, now=script.now), width),
    ):
        assert max(map(len, text.splitlines())) <= width
        assert "…" not in text.replace(script.state.name, "")
    settings = ("hidden|hidd.", "lam_x", "classifier|classif.")
    for names in settings:  # as a column, or named as one there is no room for
        assert any(name in shown(script, width=width) for name in names.split("|"))


def test_columns_become_shorter_before_they_go():
    script = long_sweep(40)
    wide, narrow = shown(script, width=140), shown(script, width=80)
    assert "logistic-regression" in wide.partition("classifier")[2]
    assert "no room for" not in narrow
    heading = next(row for row in narrow.splitlines() if row.startswith("trial "))
    assert " ".join(heading.split()) == "trial state epoch uar best time p k hidd. lr lam_x classif."
    assert any(row.endswith(" logistic") for row in narrow.splitlines())
    assert any(row.endswith(" linear") for row in narrow.splitlines())
    assert "no room for lam_x, classifier" in shown(script, width=60)  # by their full names


def test_short_forms_never_make_two_the_same():
    values = ["linear-svm", "linear-ridge", "logistic-regression"]
    space = {"classifier.name": {"choice": values}} | {
        f"stage2.lambda_{name}": {"uniform": [0, 1]} for name in "xyz"
    }
    script = Script(space=space)
    for number, value in enumerate(values, 1):
        configuration = {key: value if key == "classifier.name" else 0.5 for key in space}
        script.trial(number, [0.1], configuration=configuration)
    text = printed(table(script.state, overview_of(script).rows(3), width=80, now=script.now), 80)
    assert "linear-svm" in text
    assert "linear-ridge" in text
    assert " logistic " in text.replace("\n", " ")
    assert "lamb." not in text


@pytest.mark.parametrize("height", [15, 24, 40, 80])
@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_view_fits_into_the_terminal(width, height):
    script = long_sweep(100)
    text = shown(script, width=width, height=height, driver="driven by eva", below=["MLflow is away"])
    assert len(text.splitlines()) < height


def test_plain_terminals_get_ascii():
    text = shown(long_sweep(30), plain=True)
    drawn = [row for row in text.splitlines() if " |" in row]
    assert len(drawn) == 5
    assert all(row.isascii() for row in drawn)


def test_short_names_stay_distinct():
    keys = ["stage1.lr", "stage2.lr", "stage2.k", "classifier.name", "classifier.options.C"]
    assert list(short_names(keys).values()) == ["stage1.lr", "stage2.lr", "k", "classifier", "C"]


def test_settings_that_do_not_vary_are_no_columns():
    script = Script()
    script.trial(1, [0.2], configuration={"stage1.p": 3, "stage2.k": 1, "stage2.hidden": 8})
    assert "hidden" not in printed(table(script.state, overview_of(script).rows(5), width=100))


# Costs ---------------------------------------------------------------------------------------------------------


def test_a_tally_says_what_the_state_says():
    script = long_sweep(300, seed=3)
    state = SweepState()
    overview = TrialOverview(state)
    ended = []
    for number, event in enumerate(script.events):
        state.apply(event)
        if number % 37 == 0:
            ended += overview.update()
    ended += overview.update()
    assert overview.counts() == state.counts()
    assert overview.memo() == state.memo()
    assert overview.over == state.over
    assert sorted(t.number for t in ended) == sorted(t.number for t in state.trials.values() if t.over)
    assert [t.ended for t in ended] == sorted(t.ended for t in ended)
    scored = [
        t for t in state.trials.values() if t.over and t.best_score is not None and t.status != "failed"
    ]
    best = sorted(scored, key=lambda t: (-t.best_score, t.number))
    assert overview.leaders(KEPT) == best[:KEPT]
    assert [t.number for t in overview.open] == [297, 298, 299, 300]


def test_many_running_trials_leave_room_for_the_best():
    script = Script(total=200)
    for number in range(1, 11):
        script.trial(number, [number / 20])
    for number in range(11, 101):
        script.start(number)
    rows = overview_of(script).rows(12)
    assert [t.number for t in rows] == [*range(11, 19), 10, 9, 8, 7]


def test_a_refresh_costs_the_same_in_a_long_sweep():
    """Counted, not timed: a refresh looks at trials that are not over, at new ones, and at the rows."""
    script = long_sweep(2000, epochs=2)
    overview = overview_of(script)
    ended = [trial for trial in script.state.trials.values() if trial.over]
    for trial in ended:
        trial.status = "a trial that is over is not looked at again"
    assert overview.update() == []
    script.report(2000, 0.4)
    script.end(1999)
    assert [trial.number for trial in overview.update()] == [1999]
    assert overview.over == len(ended) + 1


def test_a_frame_of_ten_thousand_trials_is_drawn_at_once():
    script = long_sweep(10_000, epochs=2)
    overview = overview_of(script)
    console = Console(file=io.StringIO(), width=140, height=50)
    began = time.process_time()
    for _ in range(5):
        overview.update()
        console.print(view(overview, width=140, height=50, now=now_ms()))
    assert (time.process_time() - began) / 5 < 0.5  # 0.015 s on an idle machine
