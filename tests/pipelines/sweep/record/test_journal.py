from __future__ import annotations

import errno
import math
import os
import resource
import subprocess
import sys
import threading

import pytest

from jmml.errors import SweepError
from pipelines.sweep.record import journal
from pipelines.sweep.record.journal import Follower, Journal, JournalFullError, begins, decode, encode
from tests import waiting


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sweep" / "journal"


def fill(path, count=3):
    writer = Journal(path)
    for number in range(count):
        writer.append("report", trial=number, score=0.1 * number)
    writer.close()
    return path.read_bytes()


def numbers(path):
    return [event["trial"] for event in journal.read(path)]


def test_what_is_appended_is_read_with_its_kind_and_time(path):
    writer = Journal(path)
    event = writer.append("report", trial=1, text='two\nlines, "ü"', score=float("nan"), much=float("inf"))
    assert numbers(path) == [1]  # before sync and close: the operating system has it
    (found,) = journal.read(path)
    assert math.isnan(found.pop("score"))
    assert event.pop("score") != event.get("score")
    assert found == event
    assert found["e"] == "report"
    writer.close()
    writer.close()


def test_floats_come_back_bit_for_bit(path):
    writer = Journal(path)
    values = [0.1 + 0.2, 1 / 3, 5e-324, -0.0, 1.7976931348623157e308]
    writer.append("report", values=values)
    (found,) = journal.read(path)
    assert [value.hex() for value in found["values"]] == [value.hex() for value in values]


@pytest.mark.parametrize("cut", [1, 2, 10, 28, 40])
def test_a_cut_off_last_line_is_dropped_by_readers_and_cut_away_by_the_next_writer(path, cut):
    whole = fill(path)
    path.write_bytes(whole[:-cut])
    assert numbers(path) == [0, 1]
    writer = Journal(path)
    writer.append("report", trial=7)
    writer.close()
    assert numbers(path) == [0, 1, 7]


def test_a_last_line_that_has_its_end_and_wrong_bytes_counts_as_cut_off(path):
    whole = fill(path)
    path.write_bytes(whole[:-20] + b"\0" * 19 + b"\n")  # blocks that a machine did not write before it died
    assert numbers(path) == [0, 1]
    Journal(path).close()
    assert path.read_bytes() == b"".join(whole.splitlines(keepends=True)[:2])


@pytest.mark.parametrize("damage", ["flip", "drop"])
def test_damage_before_the_end_is_an_error_that_names_the_byte(path, damage):
    lines = fill(path).splitlines(keepends=True)
    at = len(lines[0])
    lines[1] = lines[1].replace(b'"trial":1', b'"trial":2') if damage == "flip" else lines[1][:-9] + b"\n"
    path.write_bytes(b"".join(lines))
    before = path.read_bytes()
    for reader in (lambda: numbers(path), lambda: Journal(path)):
        with pytest.raises(SweepError, match=f"damaged at byte {at};"):
            reader()
    assert path.read_bytes() == before
    follower = Follower(path)
    with pytest.raises(SweepError):
        list(follower.read())
    assert follower.offset == at


def test_lines_are_checked_by_their_sum():
    line = encode({"e": "end", "t": 1})
    assert decode(line[:-1]) == {"e": "end", "t": 1}
    for wrong in (b"", b"x", line[:-2], b"0" + line[1:-1], line[:8] + b"_" + line[9:-1], b"zzzzzzzz {}"):
        assert decode(wrong) is None
    assert decode(encode([1])[:-1]) is None


def test_a_follower_reads_only_what_is_new(path):
    writer = Journal(path)
    follower = Follower(path)
    writer.append("report", trial=1)
    assert [event["trial"] for event in follower.read()] == [1]
    assert list(follower.read()) == []
    writer.append("report", trial=2)
    writer.append("report", trial=3)
    assert follower.behind > 0
    assert [event["trial"] for event in follower.read(1)] == [2]
    assert [event["trial"] for event in Follower(path, follower.offset).read()] == [3]
    assert [event["trial"] for event in follower.read()] == [3]
    assert follower.behind == 0
    started_anew = Follower(path)
    for event in started_anew.read():  # the place is behind the event in hand, not behind the one before
        assert [later["trial"] for later in Follower(path, started_anew.offset).read()] == [
            number for number in (1, 2, 3) if number > event["trial"]
        ]


def test_no_space_left_leaves_the_file_as_it_was(path, monkeypatch):
    writer = Journal(path)
    writer.append("report", trial=1)
    before = path.read_bytes()
    write = os.write

    def half(file, data):
        write(file, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    for full in (half, lambda file, data: write(file, data[: len(data) // 2])):
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(JournalFullError, match=r"No space left on device\. Free space on that disk"):
            writer.append("report", trial=2)
        monkeypatch.undo()
        assert path.read_bytes() == before
    writer.append("report", trial=3)
    assert numbers(path) == [1, 3]


def test_a_file_that_may_not_grow_keeps_whole_lines(path):
    """The same with a real limit of the operating system, in a process of its own."""
    code = """
import resource, signal, sys
from pathlib import Path
from pipelines.sweep.record.journal import Journal, JournalFullError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
journal, written = Journal(Path(sys.argv[1])), 0
try:
    while True:
        journal.append("report", trial=written, text="x" * 90)
        written += 1
except JournalFullError as error:
    print(written)
"""
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    written = int(done.stdout)
    assert written > 50
    assert numbers(path) == list(range(written))
    assert path.stat().st_size <= 10_000
    assert path.read_bytes().endswith(b"}\n")
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 10_000


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalFullError, match="cannot be written"):
        Journal(tmp_path / "file" / "journal")


def test_two_readers_while_one_writes(path):
    writer = Journal(path)
    writer.append("report", trial=0)
    count = 3000
    found: list[list[int]] = [[], []]

    def follow(mine):
        follower = Follower(path)
        while len(mine) < count:
            mine.extend(event["trial"] for event in follower.read())

    readers = [threading.Thread(target=follow, args=(mine,), daemon=True) for mine in found]
    for reader in readers:
        reader.start()
    for number in range(1, count):
        writer.append("report", trial=number, text="x" * (number % 50))
    waiting.until(lambda: not any(reader.is_alive() for reader in readers), "both have read all")
    assert found == [list(range(count))] * 2


def test_a_missing_journal_is_one_line(path):
    with pytest.raises(SweepError, match="cannot be read: No such file or directory"):
        numbers(path)
    assert Follower(path).behind == 0


def test_sync_waits_for_the_disk_when_there_is_something_new_and_so_does_the_end(path, monkeypatch):
    writer = Journal(path)
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    writer.sync()
    assert synced == []
    writer.append("report", trial=1)
    writer.sync()
    writer.sync()
    assert len(synced) == 1
    writer.append("report", trial=2)
    writer.close()
    assert len(synced) == 2


def test_a_disk_that_fails_when_it_is_waited_for_is_one_line(path, monkeypatch):
    writer = Journal(path)
    writer.append("report", trial=1)

    def fail(file):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(JournalFullError, match="cannot be written: Input/output error"):
        writer.sync()


def test_where_a_journal_begins(tmp_path):
    path = tmp_path / "journal"
    assert not begins(path)
    path.write_bytes(b"")
    assert not begins(path)
    line = encode({"e": "sweep"})
    for cut in (1, len(line) - 1):
        path.write_bytes(line[:cut])  # the machine ended while it was written
        assert not begins(path)
    path.write_bytes(b"x" + line[1:])
    assert not begins(path)
    path.write_bytes(b"x" + line[1:] + line)  # damage, which is not passed over
    assert begins(path)
    path.write_bytes(line)
    assert begins(path)
    assert not begins(tmp_path)


def test_a_half_line_that_cannot_be_cut_away_is_the_last_thing_this_writer_writes(path, monkeypatch):
    """A full disk on which even shortening the file fails: what follows would stand behind a damaged line."""
    before = fill(path)
    writer = Journal(path)
    write = os.write

    def half(handle, line):
        return write(handle, line[: len(line) // 2])

    def fails(*args):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        patch.setattr(os, "ftruncate", fails)
        with pytest.raises(JournalFullError, match="No space left"):
            writer.append("report", trial=3)
    for again in (lambda: writer.append("report", trial=4), writer.sync):
        with pytest.raises(JournalFullError, match="Input/output error"):
            again()
    writer.close()
    assert path.read_bytes() > before
    assert numbers(path) == [0, 1, 2]
    Journal(path).close()
    assert path.read_bytes() == before


def test_after_a_failed_sync_nothing_is_written_as_if_it_had_not_been(path, monkeypatch):
    """The system reports once that events did not reach the disk; a later sync that succeeds says nothing of them."""
    writer = Journal(path)
    writer.append("report", trial=0)

    def fails(handle):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        with pytest.raises(JournalFullError, match="Input/output error"):
            writer.sync()
    for again in (lambda: writer.append("report", trial=1), writer.sync):
        with pytest.raises(JournalFullError, match="Input/output error"):
            again()
    writer.close()
    assert numbers(path) == [0]
