"""Processes that begin with all but Ray imported, forked from one that imported it once.

A driver of a sweep or a study imports torch and MLflow, and so does each of its workers (:mod:`tests.workers`); that
takes longer than most of what they do in a test. The processes here are as real as others: own number, own session,
killed, interrupted and waited for like any other.

>>> child = command(["sweep", "list"], cwd=folder, env=environment, out=folder / "out", err=folder / "err")
>>> child.wait(60)
0
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

from tests.waiting import until
from tests.workers import LEFT_OUT_HERE, WHOLE, leave_out, run_node, serve_workers

PRELOADED = ["tests.forked", "tests.workers", "tests.preloaded"]


class Forked:
    """What tests use of ``subprocess.Popen``: ``pid``, ``poll``, ``wait``, ``returncode``, signals.

    ``returncode`` is that of :class:`subprocess.Popen`: negative where a signal ended it.
    """

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        assert process.pid is not None
        self.pid = process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code.

        Raises
        ------
        TimeoutError : it runs on.
        """
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise TimeoutError(f"process {self.pid} runs on after {timeout} s")
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def context() -> ForkServerContext:
    """For processes that run a function; a process of pytest has one server, so all must ask for the same modules."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(PRELOADED)
    return found


def command(
    words: list[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    out: Path,
    err: Path,
    run: Callable[[list[str]], None] | None = None,
) -> Forked:
    """``jmml WORDS`` in a session of its own, with exactly the environment ``env``.

    Parameters
    ----------
    run : function of a module that runs it in the process; default: :func:`run_command`.
    """
    return _start(run or run_command, (words,), cwd, env, out, err)


def script(
    source: str, arguments: list[str], *, cwd: Path, env: Mapping[str, str], out: Path, err: Path
) -> Forked:
    """``python -c SOURCE ARGUMENTS`` likewise."""
    return _start(_script, (source, arguments), cwd, env, out, err)


def node(words: list[str], *, cwd: Path, env: Mapping[str, str], log: Path) -> Forked:
    """``ray WORDS`` likewise; see :func:`tests.workers.run_node`."""
    return _start(run_node, (words,), cwd, env, log, log)


def _start(
    target: Any, arguments: tuple[Any, ...], cwd: Path, env: Mapping[str, str], out: Path, err: Path
) -> Forked:
    for path in (out, err):
        path.touch()
    process = context().Process(
        target=_begin, args=(target, arguments, str(cwd), dict(env), str(out), str(err)), daemon=False
    )
    process.start()
    started = Forked(process)
    until(lambda: started.poll() is not None or _leads_a_session(started.pid), "it has a session of its own")
    return started


def _leads_a_session(pid: int) -> bool:
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


def _begin(
    target: Any, arguments: tuple[Any, ...], cwd: str, env: dict[str, str], out: str, err: str
) -> None:
    """In the child: a session, a folder, an environment and files of its own, then the work."""
    os.setsid()
    with open(os.devnull, "rb") as nothing, open(out, "ab") as output, open(err, "ab") as errors:  # noqa: PTH123
        become(cwd, env, [nothing.fileno(), output.fileno(), errors.fileno()])
    target(*arguments)


def become(cwd: str, env: Mapping[str, str], files: Sequence[int]) -> None:
    """Let this process look as if it had just been started there, with these descriptors as its input and outputs."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    for descriptor, file in enumerate(files):
        os.dup2(file, descriptor)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - the descriptors, as in a new process
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.path[:] = [entry for entry in env.get("PYTHONPATH", "").split(os.pathsep) if entry] + sys.path


def run_command(words: list[str]) -> None:
    from cli.app import main

    if words[0] in ("sweep", "study"):
        serve_workers()
        if WHOLE not in os.environ:
            leave_out(*LEFT_OUT_HERE)
    sys.argv = ["jmml", *words]
    main()


def _script(source: str, arguments: list[str]) -> None:
    sys.argv = ["-c", *arguments]
    exec(compile(source, "<string>", "exec"), {"__name__": "__main__"})  # a test's own text
