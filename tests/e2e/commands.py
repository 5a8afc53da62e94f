"""``dvc``, ``jmml`` and the stages as commands on the path, forked from a process that has imported everything.

``dvc repro`` starts a Python per stage, and the demo one per command; most of their time is imports. Here each of these
words is a small program that hands its arguments, environment, folder and open files to a server, which forks: what
runs is a process of its own, as a shell or DVC starts it, with the same output and exit code.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import runpy
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import forked
from tests.waiting import until

NAMES = ("dvc", "jmml", "python")
# All but `code`, which reads the modules of the project it runs in, and not those of the server.
STAGES = tuple(
    f"pipelines.stages.{stage}"
    for stage in ("synthesize", "ingest", "featurize", "split", "train", "evaluate")
)
IMPORTED = (
    "dvc.cli",
    "dvc.commands.repro",
    "dvc.repo",
    "librosa.core.audio",
    "librosa.core.pitch",
    "pipelines.corpora.add",
    *STAGES,
)
# Runs without site-packages and in 30 ms; another Python than that of a stage is what it says.
PROGRAM = """\
#!{python} -SI
import json, os, socket, sys
name, words = os.path.basename(sys.argv[0]), sys.argv[1:]
if name == "python" and not (words[:1] == ["-m"] and words[1] in {stages!r}):
    os.execv({python!r}, [{python!r}, *words])
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    request = json.dumps([name, words, os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(request).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(request)
    code = server.recv(1)
sys.exit(code[0] if code else 1)
"""


@contextmanager
def on_the_path(imported: tuple[str, ...] = IMPORTED) -> Iterator[Path]:
    """A folder for the front of ``PATH``, and the server behind what lies in it.

    Parameters
    ----------
    imported : what the server imports beside what forked processes have.
    """
    folder = Path(tempfile.mkdtemp(prefix="jmml-"))  # the address of a socket is short
    address = folder / "server"
    for name in NAMES:
        program = folder / name
        program.write_text(PROGRAM.format(python=sys.executable, address=str(address), stages=STAGES))
        program.chmod(0o755)
    arguments = (str(address), str(folder / "said"), imported)
    server = forked.context().Process(target=_serve, args=arguments, daemon=False)
    server.start()
    try:
        until(address.exists, "the server listens", alive=server.is_alive)
        yield folder
    finally:
        server.kill()
        server.join()
        shutil.rmtree(folder, ignore_errors=True)


def _serve(address: str, said: str, imported: tuple[str, ...]) -> None:
    """Fork a process per request, and one that waits for it."""
    os.setsid()
    with open(said, "ab") as file:  # noqa: PTH123 - a descriptor is wanted
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    for module in imported:
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks for the exit code of those that wait
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{address}.new")
        listener.listen()
        Path(f"{address}.new").rename(address)
        while True:
            client, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _answer(client)
                os._exit(0)
            client.close()


def _answer(client: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, files, _, _ = socket.recv_fds(client, 8, 3)
    with client.makefile("rb") as stream:
        name, words, folder, environment = json.loads(stream.read(int.from_bytes(size, "big")))
    child = os.fork()
    if child == 0:
        client.close()
        os._exit(_run(name, words, folder, environment, files))
    for file in files:
        os.close(file)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    with contextlib.suppress(BrokenPipeError):
        client.sendall(bytes([code if code >= 0 else 128 - code]))


def _run(name: str, words: list[str], folder: str, environment: dict[str, str], files: list[int]) -> int:
    """Be the command; its exit code."""
    forked.become(folder, environment, files)
    code: object = 0
    try:
        if name == "jmml":
            forked.run_command(words)
        elif name == "dvc":
            from dvc.cli import main

            sys.argv = ["dvc", *words]
            code = main(words)
        else:
            sys.argv = words[1:]
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    return int(code or 0)  # type: ignore[call-overload]
