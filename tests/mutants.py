"""Faults planted one at a time, to see whether the suite notices: ``python -m tests.mutants``, or ``make mutants``.

Each fault of ``tests/mutants.yaml`` replaces a text that stands once in one file, in a copy of the tracked files. Tests
are then run until one fails: first the files that mirror the changed module, then those that import it, then those
that import its importers, and so on for ``--reach`` steps. A fault that no test of these notices is missed.

    python -m tests.mutants --only 3,17 --reach 3
    python -m tests.mutants --folder pipelines/study --json found.json

A run that was broken off goes on where it stopped when it is given the same ``--json`` again.
"""

from __future__ import annotations

import argparse
import ast
import ctypes
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_suffix(".yaml")
PRODUCT = ("jmml", "pipelines", "cli")
LONGEST_S = 900.0  # for the tests of one fault; what hangs for so long is noticed by a person, too
NOTHING_TO_RUN = 5  # pytest's exit code where no test is selected
SET_CHILD_SUBREAPER = 36  # of prctl(2)
HARNESS = (3, 4)  # where it failed itself
NOT_ASKED = "tests/contracts/test_mutants.py"  # which fails for every fault of the list, as its text is gone
FIRST_FAILURE = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes
    ----------
    number : its place in the list, from 1.
    file : the changed file, below the repository's top.
    fault : what is wrong then, in words.
    """

    number: int
    file: str
    fault: str
    old: str
    new: str

    def apply(self, root: Path) -> None:
        """Change the file below ``root``.

        Raises
        ------
        ValueError : the text to be replaced does not stand there exactly once.
        """
        path = root / self.file
        text = path.read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"mutant {self.number}: text stands {text.count(self.old)} times in {self.file}")
        path.write_text(text.replace(self.old, self.new))


def mutants() -> list[Mutant]:
    """The list, numbered."""
    return [Mutant(number, **entry) for number, entry in enumerate(yaml.safe_load(LIST.read_text()), 1)]


class Reach:
    """Which files of tests reach a module, and in how many steps of imports."""

    def __init__(self, root: Path) -> None:
        self.root = root
        files = [path for top in (*PRODUCT, "tests") for path in sorted((root / top).rglob("*.py"))]
        names = {self._name(path): path for path in files}
        self._importers: dict[Path, set[Path]] = {path: set() for path in files}
        for path in files:
            for name in _imported(path.read_text()):
                found = names.get(name) or names.get(f"{name}.__init__")
                if found is not None and found != path:
                    self._importers[found].add(path)

    def tests(self, file: str, steps: int) -> list[list[Path]]:
        """Files of tests in rounds: the mirror of ``file``, then what imports it in one step, in two, and so on."""
        changed = self.root / file
        mirror = changed.stem.strip("_")
        seen = {self.root / NOT_ASKED}
        rounds = [sorted(p for p in (self.root / "tests").rglob("test_*.py") if p.stem == f"test_{mirror}")]
        seen |= set(rounds[0])
        frontier = {changed}
        reached = {changed}
        for _ in range(steps):
            frontier = set().union(*(self._importers[path] for path in frontier)) - reached
            reached |= frontier
            found = {path for path in frontier if path.name.startswith("test_")}
            # A helper or conftest stands for the tests beside it and below.
            for helper in (path for path in frontier if self._is_conftest(path)):
                found |= set(helper.parent.rglob("test_*.py"))
            rounds.append(sorted(found - seen, key=lambda path: (-self._in_common(path, file), path)))
            seen |= found
        return [found for found in rounds if found]

    def _in_common(self, test: Path, file: str) -> int:
        """How many folders a file of tests and a module have in common, below their tops."""
        folders = zip(test.relative_to(self.root / "tests").parts, Path(file).parts, strict=False)
        return len([*itertools.takewhile(lambda pair: pair[0] == pair[1], folders)])

    def _is_conftest(self, path: Path) -> bool:
        return path.name == "conftest.py" and (self.root / "tests") in path.parents

    def _name(self, path: Path) -> str:
        return ".".join(path.relative_to(self.root).with_suffix("").parts)


def _imported(source: str) -> set[str]:
    """Dotted names of modules, and of names in them, that a source imports; texts that name modules count."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 200:
            found |= set(re.findall(r"\b(?:jmml|pipelines|cli)(?:\.\w+)+", node.value))
    return found


@dataclass(frozen=True)
class Finding:
    """What came of one fault; ``by`` is the first test that failed, ``seconds`` how long that took."""

    outcome: str  # caught, missed, hangs
    by: str
    seconds: float


def judge(mutant: Mutant, *, steps: int, longest_s: float) -> Finding:
    """Plant a fault in a copy of the tracked files and run tests until one notices."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        root = Path(folder) / "copy"
        _copy(root)
        rounds = Reach(root).tests(mutant.file, steps)
        mutant.apply(root)
        for files in rounds:
            left = longest_s - (time.monotonic() - began)
            try:
                failed = _first_failure(root, files, timeout=max(60.0, left))
            except subprocess.TimeoutExpired:
                return Finding("hangs", str(files[0].relative_to(root)), time.monotonic() - began)
            if failed:
                return Finding("caught", failed, time.monotonic() - began)
            if time.monotonic() - began > longest_s:
                break
    return Finding("missed", "", time.monotonic() - began)


def _copy(root: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)


def _first_failure(root: Path, files: list[Path], *, timeout: float) -> str:
    """The first test of ``files`` that fails; empty where all pass."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *map(str, files)]
    process = subprocess.Popen(
        command,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        out, _ = process.communicate(timeout=timeout)
    finally:
        _end_what_is_left()
    if process.returncode in (0, NOTHING_TO_RUN):
        return ""
    if process.returncode in HARNESS:
        raise RuntimeError(f"pytest did not run: {out}")
    found = FIRST_FAILURE.search(out)
    return found[1] if found else (out.strip().splitlines() or [f"exit code {process.returncode}"])[-1]


def _adopt_orphans() -> None:
    """Let what descends from this process come to it when its parent dies: clusters, servers."""
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1)


def _end_what_is_left() -> None:
    """A planted fault may leave anything running."""
    while left := psutil.Process().children(recursive=True):
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(
            left, timeout=1
        )  # what is ours only since its parent ended, is waited for in the next round


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", help="numbers, separated by commas")
    parser.add_argument("--folder", default="", help="only faults below this folder")
    parser.add_argument("--reach", type=int, default=2, help="steps of imports from a test to the fault (2)")
    parser.add_argument("--longest", type=float, default=LONGEST_S, help="seconds for one fault (900)")
    parser.add_argument("--json", type=Path, help="where findings are kept, and those of before are read")
    options = parser.parse_args()
    wanted = {int(text) for text in options.only.split(",")} if options.only else None
    known: dict[str, dict[str, object]] = {}
    if options.json and options.json.exists():
        known = json.loads(options.json.read_text())
    chosen = [
        mutant
        for mutant in mutants()
        if mutant.file.startswith(options.folder) and (wanted is None or mutant.number in wanted)
    ]
    _adopt_orphans()
    for mutant in chosen:
        if str(mutant.number) not in known:
            found = judge(mutant, steps=options.reach, longest_s=options.longest)
            known[str(mutant.number)] = {"file": mutant.file, "fault": mutant.fault, **vars(found)}
            if options.json:
                options.json.parent.mkdir(parents=True, exist_ok=True)
                options.json.write_text(json.dumps(known, indent=1))
        entry = known[str(mutant.number)]
        print(
            f"{mutant.number:3d} {entry['outcome']:6s} {entry['seconds']:5.0f} s  {mutant.file}: {mutant.fault}"
            + (f"  [{entry['by']}]" if entry["by"] else ""),
            flush=True,
        )
    counts = Counter(str(known[str(mutant.number)]["outcome"]) for mutant in chosen)
    print(
        f"{len(chosen)} faults: "
        + ", ".join(f"{counts[kind]} {kind}" for kind in ("caught", "hangs", "missed"))
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
