"""`jmml data add` killed at every step: the next start makes of it nothing or everything, and the next add goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jmml.config import load_params
from jmml.errors import CorpusError
from pipelines.corpora import add as adding_module
from pipelines.corpora import copying
from pipelines.corpora.add import add
from pipelines.corpora.unfinished import KEPT_S, Adding, adding, sweep
from pipelines.corpora.verify import verify
from pipelines.workspace.lineage import collect
from pipelines.workspace.project import Project
from tests.pipelines.corpora.conftest import state, write_ravdess

# Events of Python's audit hooks that change a file system; `open` counts where it writes.
CHANGES = frozenset(
    (
        "os.mkdir",
        "os.rename",
        "os.remove",
        "os.rmdir",
        "os.link",
        "os.symlink",
        "os.truncate",
        "os.chmod",
        "shutil.rmtree",
    )
)


def changes(event: str, arguments: tuple[object, ...], below: str) -> bool:
    """Whether an audit event changes something below a folder."""
    if event == "open":
        path, _, flags = arguments
        writes = isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        return writes and below in str(path)
    return event in CHANGES and any(below in str(argument) for argument in arguments)


def in_child(work: Callable[[], object]) -> int:
    """How a child that does this ends: the number of the signal, 0 where it came through."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def killed_at(step: int, root: Path, work: Callable[[], object]) -> bool:
    """Whether a child was killed before its ``step``-th change of files below ``root``; it came through otherwise."""
    below = str(root)

    def counted() -> None:
        left = step

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if changes(event, arguments, below):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        work()

    return in_child(counted) == signal.SIGKILL


def kill_at(name: str, module: object, call: int = 1) -> Callable[[], None]:
    """Make a function of a module kill the process at its n-th call, before it does anything."""

    def prepare() -> None:
        original, calls = getattr(module, name), []

        def late(*args: object, **options: object) -> object:
            calls.append(args)
            if len(calls) == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **options)

        setattr(module, name, late)

    return prepare


def of(project: Project) -> dict[str, bytes]:
    """What git, DVC and a person see of a project."""
    hidden = (".mine.adding/", ".jmml/")
    return {
        place: content
        for place, content in state(project.root).items()
        if not any(x in place for x in hidden)
    }


def check_recovery(project: Project, corpus: Path, before: dict[str, bytes], whole: dict[str, bytes]) -> None:
    """Nothing or everything after the next start, and everything after the next add."""
    sweep(project)
    found = of(project)
    if found != whole:
        assert found == before
        add(Project(project.root), "mine", corpus)
    assert not list(project.raw_dir.glob(".*.adding"))
    found = of(project)
    assert found.keys() == whole.keys()
    assert found == whole
    verify(Project(project.root), "mine").raise_if_changed()


@pytest.fixture
def whole(project: Project, corpus: Path, tmp_path: Path) -> dict[str, bytes]:
    """The state of a project to which a corpus was added."""
    other = Project(shutil.copytree(project.root, tmp_path / "other"))
    add(other, "mine", corpus)
    return of(other)


STEPS = {
    "nothing copied": kill_at("bring", adding_module),
    "some files copied": kill_at("_copy", copying, 4),
    "all copied": kill_at("_enter", adding_module),
    "in its place": kill_at("track", adding_module),
    "tracked": kill_at("with_corpus", adding_module, 2),
}


@pytest.mark.parametrize("step", STEPS)
def test_killed_between_its_steps(project: Project, corpus: Path, whole: dict[str, bytes], step: str) -> None:
    before = of(project)

    def work() -> None:
        STEPS[step]()
        add(project, "mine", corpus)

    assert in_child(work) == signal.SIGKILL
    check_recovery(project, corpus, before, whole)


@pytest.mark.parametrize("share", [0.15, 0.4, 0.7, 0.9])
def test_killed_at_a_change_of_some_file(
    project: Project, corpus: Path, whole: dict[str, bytes], tmp_path: Path, share: float
) -> None:
    count = changes_of(project, corpus, tmp_path)
    before = of(project)
    assert killed_at(round(share * count), project.root, lambda: add(project, "mine", corpus))
    check_recovery(project, corpus, before, whole)


@pytest.mark.long
def test_killed_at_every_change_of_a_file(
    project: Project, corpus: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    before = of(project)
    for step in range(1, changes_of(project, corpus, tmp_path) + 1):
        own = Project(shutil.copytree(project.root, tmp_path / f"at{step}"))
        killed_at(step, own.root, lambda own=own: add(own, "mine", corpus))  # type: ignore[misc]
        check_recovery(own, corpus, before, whole)
        shutil.rmtree(own.root)


def changes_of(project: Project, corpus: Path, tmp_path: Path) -> int:
    """How often `add` changes a file."""
    own, said = Project(shutil.copytree(project.root, tmp_path / "counted")), tmp_path / "count"

    def counted() -> None:
        count = 0

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal count
            count += changes(event, arguments, str(own.root))

        sys.addaudithook(hook)
        add(own, "mine", corpus)
        said.write_text(str(count))

    assert in_child(counted) == 0
    return int(said.read_text())


def test_in_place_too(project: Project) -> None:
    there = write_ravdess(project.raw_dir / "mine")
    before = of(project)

    def work() -> None:
        STEPS["tracked"]()
        add(project, "mine", there)

    assert in_child(work) == signal.SIGKILL
    assert (project.raw_dir / "mine.dvc").exists()
    sweep(project)
    assert of(project) == before
    add(project, "mine", there)


def test_copied_files_are_not_copied_again(
    project: Project, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work() -> None:
        STEPS["some files copied"]()
        add(project, "mine", corpus)

    assert in_child(work) == signal.SIGKILL
    original, copies = copying._copy, []

    def counted(source: Path, *rest: object) -> None:
        copies.append(source.name)
        original(source, *rest)

    monkeypatch.setattr(copying, "_copy", counted)
    sweep(project)
    add(project, "mine", corpus)
    assert len(copies) == 8 - 3
    verify(Project(project.root), "mine").raise_if_changed()


def test_copies_of_another_folder_are_not_taken_for_these(
    project: Project, corpus: Path, tmp_path: Path
) -> None:
    other = write_ravdess(tmp_path / "other", actors=1, emotions=(1, 2, 3))
    for file in other.rglob("*.wav"):
        os.utime(file, (0, 0))
    for file in corpus.rglob("*.wav"):
        os.utime(file, (0, 0))

    def work() -> None:
        STEPS["all copied"]()
        add(project, "mine", other)

    assert in_child(work) == signal.SIGKILL
    add(project, "mine", corpus)
    for file in corpus.rglob("*.wav"):
        assert (project.raw_dir / "mine" / file.relative_to(corpus)).read_bytes() == file.read_bytes()


def test_what_was_copied_is_kept_for_a_day(project: Project, corpus: Path) -> None:
    def work() -> None:
        STEPS["all copied"]()
        add(project, "mine", corpus)

    assert in_child(work) == signal.SIGKILL
    left = Adding(project, "mine")
    sweep(project)
    assert len(list(left.files.rglob("*.wav"))) == 8
    for path in (left.folder, left.folder / "lock"):
        os.utime(path, (path.stat().st_mtime - 2 * KEPT_S,) * 2)
    sweep(project)
    assert not left.folder.exists()


def test_two_at_once(project: Project, corpus: Path) -> None:
    with adding(project, "mine", corpus) as work:
        (work.files / "x").mkdir(parents=True)
        with pytest.raises(CorpusError, match="another `jmml data add mine` is at work"):
            add(project, "mine", corpus)
        sweep(project)
        assert (work.files / "x").exists()
    assert not work.folder.exists()


def test_left_overs_never_enter_git_or_lineage(project: Project, corpus: Path) -> None:
    subprocess.run(["git", "add", "--all"], cwd=project.root, check=True)
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", *identity, "commit", "--quiet", "-m", "state"], cwd=project.root, check=True)

    def work() -> None:
        STEPS["all copied"]()
        add(project, "mine", corpus)

    assert in_child(work) == signal.SIGKILL
    (project.root / ".params.yaml.abcd1234.yaml").write_text("half")
    (project.root / ".params.yaml.unfinished-abcd1234.yaml").write_text("half")
    (project.raw_dir / ".mine.abcd1234").mkdir()
    (project.raw_dir / ".mine.abcd1234" / "a.wav").write_text("half")
    status = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all"],
        cwd=project.root, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert status.stdout == ""
    (project.root / ".gitignore").unlink()  # of a project that is older than these lines
    subprocess.run(["git", *identity, "commit", "--quiet", "-am", "x"], cwd=project.root, check=True)
    assert "# untracked: data/raw/old/" in collect(project, []).git_diff  # which is no left-over
    left = [line for line in collect(project, []).git_diff.splitlines() if line.startswith("# untracked: ")]
    assert [line for line in left if "/old/" not in line] == []
    sweep(project)
    left = [path.name for folder in (project.root, project.raw_dir) for path in folder.iterdir()]
    assert not [name for name in left if "abcd1234" in name]


def test_a_project_that_cannot_be_read_is_still_swept(project: Project, corpus: Path) -> None:
    def work() -> None:
        STEPS["tracked"]()
        add(project, "mine", corpus)

    assert in_child(work) == signal.SIGKILL
    text = project.params_path.read_text()
    project.params_path.write_text("corpora: [")
    sweep(project)
    project.params_path.write_text(text)
    assert not (project.raw_dir / "mine").exists()
    assert "mine" not in load_params(project.params_path).corpora
