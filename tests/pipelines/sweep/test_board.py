from __future__ import annotations

import io

from rich.console import Console

from pipelines.sweep.board import Board
from pipelines.sweep.table import Display, line, table


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def board_of(**scores: list[float]) -> Board:
    """Trials a, b, ... with the given scores per epoch, three epochs planned each."""
    clock = Clock()
    board = Board("tiny", total=4, clock=clock)
    for number, (name, values) in enumerate(scores.items(), 1):
        board.start(name, number, {"stage2.k": number}, epochs=3)
        for epoch, value in enumerate(values, 1):
            clock.now += 1
            board.report(name, epoch, value)
    return board


def test_a_trial_is_as_good_as_its_best_epoch_and_the_first_of_equals_counts():
    trial = board_of(a=[0.3, 0.5, 0.5]).trials["a"]
    assert (trial.best_val_uar, trial.best_epoch, trial.val_uar, trial.epoch) == (0.5, 2, 0.5, 3)


def test_the_best_trial_is_the_earliest_of_equals():
    assert board_of(a=[0.2], b=[0.5, 0.1], c=[0.5]).best.id == "b"
    assert board_of().best is None


def test_failed_trials_are_never_the_best():
    board = board_of(a=[0.2], b=[0.9])
    board.end("b", "failed", error="ModelError: x")
    assert board.best.id == "a"
    assert [trial.id for trial in board.failed] == ["b"]


def test_a_trial_short_of_its_last_epoch_was_stopped():
    board = board_of(a=[0.1, 0.2, 0.3], b=[0.1])
    assert board.end("a").state == "finished"
    assert board.end("b").state == "stopped"


def test_a_trial_that_starts_again_keeps_its_number():
    board = board_of(a=[0.4], b=[0.1])
    board.end("a", "failed", error="lost")
    again = board.start("a", 1, {"stage2.k": 1}, epochs=3)
    assert (again.number, again.state, again.error) == (1, "running", None)
    assert len(board.trials) == 2


def test_one_line_per_finished_trial_without_a_terminal():
    board = board_of(a=[0.3, 0.5, 0.4], b=[0.1])
    board.end("a")
    board.end("b", "failed", error="ModelError: k is 9; expected at most 4")
    file = io.StringIO()
    with Display(board, Console(file=file, width=40)) as display:
        for trial in board.trials.values():
            display.finished(trial)
    lines = file.getvalue().splitlines()
    assert lines == [
        "trial 1/4 finished: val_uar 0.500 at epoch 2, 4.0 s (stage2.k=1); best 0.500 (trial 1)",
        "trial 2/4 failed: ModelError: k is 9; expected at most 4, 1.0 s (stage2.k=2); best 0.500 (trial 1)",
    ]


def test_a_trial_without_an_epoch():
    board = board_of(a=[])
    assert "no epoch reported" in line(board, board.end("a", "killed"))


def test_the_table_shows_states_epochs_scores_and_the_best():
    board = board_of(a=[0.3, 0.5, 0.4], b=[0.1], c=[])
    board.end("a")
    console = Console(file=io.StringIO(), width=120)
    console.print(table(board))
    text = console.file.getvalue()
    assert "tiny: 1 of 4 trials, 4 s, best val_uar 0.500 (trial 1, epoch 2)" in text
    rows = [row.split() for row in text.splitlines() if row.strip()]
    assert rows[1] == ["trial", "state", "epoch", "val_uar", "best", "time", "stage2.k"]
    assert ["1*", "finished", "3/3", "0.400", "0.500", "4", "s", "1"] in rows
    assert ["2", "running", "1/3", "0.100", "0.100", "1", "s", "2"] in rows
    assert ["3", "running", "stage", "1", "0", "s", "3"] in rows
    assert rows[-1][0] == "1*"  # running trials come first


def test_long_sweeps_show_the_best_rows():
    board = board_of(**{f"t{i}": [i / 100] for i in range(1, 31)})
    for name in list(board.trials):
        board.end(name)
    console = Console(file=io.StringIO(), width=120)
    console.print(table(board))
    text = console.file.getvalue()
    assert "18 more trials" in text
    assert " 30* " in f" {text}"
    assert not any(row.split()[:1] == ["1"] for row in text.splitlines())


def test_nothing_is_shown_without_a_console(capfd):
    board = board_of(a=[0.1])
    with Display(board, None) as display:
        display.note("starting")
        display.finished(board.end("a"))
    assert capfd.readouterr() == ("", "")
