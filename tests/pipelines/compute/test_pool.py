"""The pool: what it decides, with workers of this process; and once on Ray, with all that happens to processes."""

from __future__ import annotations

import itertools
import os
import random
import signal
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from jmml.errors import ModelError, SweepError
from pipelines.compute import pool
from pipelines.compute.pool import Block, JobError, RayWorkers, work_through
from pipelines.compute.worker import Origin, PlaceError
from pipelines.workspace.fingerprint import code_digest
from tests.pipelines.compute.workers_here import DiedError, WorkersHere


def blocks(count=6, jobs=4):
    return [Block("x", number, tuple((number, job) for job in range(jobs))) for number in range(count)]


def done(body, *, given=None, room=lambda: 3, seed=0, check=lambda: None, finished=None):
    """What came back of a pool, in the order of its arrival; the workers; what was noted."""
    back, notes = [], []
    workers = WorkersHere(body, {"x": 100}, seed=seed)

    def keep(job, result):
        back.append((job, result))
        if finished is not None:
            finished(job, result)

    def close():
        assert workers.closed
        return back, workers, notes

    try:
        work_through(
            blocks() if given is None else given,
            workers,
            keep,
            room=room,
            check=check,
            note=notes.append,
            advice="buy more",
        )
    except BaseException as error:
        error.left = close()
        raise
    return close()


def test_what_is_being_done_is_told_whenever_it_changes():
    told, workers = [], WorkersHere(squares, {"x": 100})
    work_through(
        blocks(),
        workers,
        lambda job, result: None,
        room=lambda: 2,
        at_work=lambda jobs: told.append(list(jobs)),
        advice="none",
    )
    assert told[0] == [block.jobs[0] for block in blocks()[:2]]
    assert {job for jobs in told for job in jobs} == {job for block in blocks() for job in block.jobs}
    assert all(first != then for first, then in itertools.pairwise(told))
    assert all(len(jobs) <= 2 for jobs in told)


def squares(shared, jobs):
    for number, job in jobs:
        yield shared + number * job


@pytest.mark.parametrize("seed", range(5))
def test_every_job_is_done_once_and_comes_back_with_its_own_result(seed):
    back, workers, notes = done(squares, seed=seed)
    assert Counter(job for job, _ in back) == Counter(job for block in blocks() for job in block.jobs)
    assert all(result == 100 + number * job for (number, job), result in back)
    for block in blocks():  # of a block in order
        assert [job for job, _ in back if job[0] == block.seed] == list(block.jobs)
    assert workers.started == blocks()
    assert (workers.most, notes) == (3, [])


def test_as_many_blocks_are_at_work_as_there_is_room_for():
    room = iter([1, 1, 2, 2, 0])  # machines come and go; one block is always at work
    back, workers, _ = done(squares, room=lambda: next(room, 0))
    assert len(back) == 24
    assert workers.most == 2


def test_those_without_work_are_let_go_once_nothing_waits():
    _, workers, _ = done(squares, given=blocks(2), room=lambda: 1)
    assert workers.dismissed > 0
    _, workers, _ = done(squares, given=[])
    assert (workers.dismissed, workers.started) == (0, [])


def mortal(shared, jobs, *, deaths, at=(2, 2)):
    for job in jobs:
        if job == at and deaths:
            deaths.pop()
            raise DiedError
        yield job


@pytest.mark.parametrize("seed", range(5))
def test_a_block_whose_worker_died_goes_on_with_what_has_not_come_back(seed):
    back, workers, notes = done(partial(mortal, deaths=[1]), seed=seed)
    assert Counter(job for job, _ in back) == Counter(job for block in blocks() for job in block.jobs)
    (again,) = [block for block in workers.started if len(block.jobs) < 4]
    assert again.seed == 2
    assert again.jobs == ((2, 2), (2, 3))
    assert notes == ["a worker died over (2, 2); its work is done once more"]


def test_a_block_is_given_up_when_its_workers_keep_dying():
    with pytest.raises(
        SweepError, match=r"the worker died 2 times here or soon after: it is gone.*[Bb]uy more"
    ):
        done(partial(mortal, deaths=[1, 1]))
    _, workers, _ = done(
        partial(mortal, deaths=[1]), given=[*blocks(), *blocks()]
    )  # each is counted by itself
    assert len(workers.started) == 13


def failing(shared, jobs, *, at=(3, 1)):
    for job in jobs:
        if job == at:
            raise ModelError("no such width", where="stage1.p")
        yield job


@pytest.mark.parametrize("seed", range(5))
def test_a_job_that_fails_ends_the_work_and_says_which_it_was(seed):
    with pytest.raises(JobError) as caught:
        done(failing, seed=seed)
    assert caught.value.job == (3, 1)
    assert isinstance(caught.value.cause, ModelError)
    back, _, _ = caught.value.left
    jobs = [job for job, _ in back]
    assert (3, 0) in jobs
    assert not {(3, 1), (3, 2), (3, 3)} & set(jobs)
    assert len(jobs) == len(set(jobs))


def test_what_had_come_back_is_handed_over_when_the_work_is_broken_off():
    def check():
        if len(back) >= 5:
            raise KeyboardInterrupt

    back, came = [], []

    def counted(shared, jobs):
        for job in jobs:
            came.append(job)
            yield job

    with pytest.raises(KeyboardInterrupt):
        done(counted, check=check, finished=lambda job, _: back.append(job), seed=3)
    assert sorted(back) == sorted(came)  # all that workers had brought
    assert 5 <= len(back) < 24


@pytest.mark.parametrize("seed", range(3))
def test_what_is_handed_over_at_the_end_goes_to_the_job_that_it_is_of(seed):
    """The first of a block, whose worker has brought two and has two to go."""

    def check():
        if back:
            raise KeyboardInterrupt

    back, several = {}, 0
    for number in range(10):
        back.clear()
        with pytest.raises(KeyboardInterrupt):
            done(squares, check=check, finished=back.__setitem__, seed=10 * seed + number)
        assert back == {(block, job): 100 + block * job for block, job in back}
        assert all((block, job - 1) in back for block, job in back if job)
        several += len(back) > 1
    assert several  # something had come back besides the first


def test_an_error_of_the_receiver_is_the_one_that_is_raised():
    def full(job, result):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        done(squares, finished=full)


# On Ray ------------------------------------------------------------------------------------------------


def on_ray(shared, jobs, *, folder: Path):
    """A tuple of what a worker has; dies or fails where a job says so."""
    for name, what in jobs:
        if what == "dies" and not (folder / name).exists():
            (folder / name).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "fails":
            raise ModelError("no such width", where="stage1.p")
        yield os.getpid(), shared, random.random(), signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def ray_done(tmp_path, given, *, room):
    back = {}
    workers = RayWorkers(partial(on_ray, folder=tmp_path), {"a": "A", "b": "B"}, code=code_digest())
    work_through(given, workers, back.__setitem__, room=lambda: room, note=print, advice="none")
    return back


@pytest.mark.usefixtures("ray_of_two")
def test_on_ray_workers_are_used_again_replaced_and_ended(tmp_path, capsys):
    given = [Block("ab"[n % 2], n, ((f"{n}-0", "works"), (f"{n}-1", "works"))) for n in range(5)]
    given[2] = Block("a", 2, (("2-0", "works"), ("2-1", "dies"), ("2-2", "works")))
    back = ray_done(tmp_path, given, room=2)
    assert len({process for process, *_ in back.values()}) == 3  # for five blocks, one of them begun twice
    assert capsys.readouterr().out == "a worker died over ('2-1', 'dies'); its work is done once more\n"
    assert back["2-0", "works"][0] != back["2-1", "dies"][0] == back["2-2", "works"][0]
    for n in (0, 1, 3, 4):
        first, second = back[f"{n}-0", "works"], back[f"{n}-1", "works"]
        assert first[:2] == second[:2]
        assert first[1] == "AB"[n % 2]
        assert first[2] == random.Random(n).random()  # each block begins afresh
        assert first[3]  # Ctrl-C is the driver's affair

    # More workers than there is room for: the third has to wait for another's end.
    given = [Block("a", n, ((f"{n}", "works"), ("late", "fails" if n == 2 else "works"))) for n in range(3)]
    with pytest.raises(JobError) as caught:
        ray_done(tmp_path, given, room=3)
    assert caught.value.job == ("late", "fails")
    assert isinstance(caught.value.cause, ModelError)


def test_a_worker_with_other_code_does_nothing():
    with pytest.raises(PlaceError, match="is not that of the driver"):
        next(pool.in_a_worker(squares, Origin.here("0" * 64), 0, 1, ((1, 1),)))
    assert list(pool.in_a_worker(squares, Origin.here(), 0, 1, ((1, 1),))) == [2]
