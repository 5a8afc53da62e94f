"""Text from outside on the terminal: shown as it is, never obeyed, whatever the command and the encoding."""

from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import typer.main
from hypothesis import given
from hypothesis import strategies as st

from cli.app import app
from cli.output import print_json
from jmml.errors import ModelError
from jmml.printable import printable
from pipelines.reporting.terminal import PlainConsole
from pipelines.workspace.project import Project
from tests.cli.console import run
from tests.pipelines.sweep.scripts import Script, bare_project

ROOT = Path(__file__).parents[2]
# Markup that Rich would swallow, markup it would fail at, and what a terminal would obey.
FORGED = "error: forged"  # as a line of its own, it would be taken for one of ours
HOSTILE = f"take [final]x[/b] :smile: \x1b[2J\x1b]0;t\x07\x9b31m\u202egnp\r\n{FORGED}"
OBEYED = ("\x1b", "\x07", "\x9b", "\u202e", "\r", "\x00")


def commands() -> Iterator[tuple[str, ...]]:
    """The words of every command that there is."""
    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        below = getattr(command, "commands", None)
        yield from [(name,)] if below is None else [(name, part) for part in below]


# For commands that would start something: an option that is wrong instead.
INSTEAD = {
    ("cluster", "up"): ["--port", HOSTILE],
    ("cluster", "down"): ["--force", HOSTILE],
    ("cluster", "status"): ["--address", HOSTILE],
    ("ui",): ["--port", HOSTILE],
    ("sweep", "extend"): [HOSTILE, "--trials", "2"],
    ("data", "add"): [HOSTILE, HOSTILE],
}
LISTS = {("data", "list"), ("sweep", "list"), ("study", "list"), ("model", "list"), ("results",)}


def assert_harmless(text: str) -> None:
    assert not [code for code in OBEYED if code in text], repr(text)
    assert not [line for line in text.splitlines() if line.strip().startswith(FORGED)], text
    assert "Traceback" not in text


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose folder has a hostile name."""
    root = tmp_path / HOSTILE
    root.mkdir(parents=True)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.chdir(root)
    return bare_project(root)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_no_command_hands_on_what_a_terminal_obeys(
    project: Project, capfd: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    arguments = [] if words in LISTS else INSTEAD.get(words, [HOSTILE])
    code, out, err = run(capfd, *words, *arguments)
    typed = code == 2  # Typer repeats what was typed wrongly, and shows control characters itself
    assert_harmless((out + err).replace("\u202e", "") if typed else out + err)
    assert code != 1, err  # what was not foreseen
    assert out or err


def test_names_in_a_prediction_are_shown_as_they_are(
    project: Project, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    item = SimpleNamespace(
        file=HOSTILE, emotion="anger", meaning="anger", probabilities={"anger": 0.5, "joy": 0.5}
    )
    found = SimpleNamespace(model=HOSTILE, method="jmml", label_space="discrete", predictions=[item])
    monkeypatch.setattr("pipelines.registry.predict.predict_files", lambda *args, **options: found)
    code, out, err = run(capfd, "predict", "x.wav")
    assert (code, err) == (0, "")
    assert_harmless(out)
    assert out.count("take [final]x[/b] :smile: \N{SYMBOL FOR ESCAPE}[2J") == 2


def test_what_others_wrote_into_a_journal_is_shown_as_it_is(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    script = Script(session=False)
    script.session(user=HOSTILE, host=HOSTILE, address=HOSTILE)
    script.trial(1, [0.5])
    script.trial(2, [0.4], "failed", error=f"ValueError: {HOSTILE}")
    script("close", state="failed", reason=HOSTILE)
    script.write(project)
    for words in (
        ["list"],
        ["show", "tiny"],
        ["watch", "tiny", "--once"],
        ["best", "tiny"],
        ["watch", "tiny"],
    ):
        code, out, err = run(capfd, "sweep", *words)
        assert (code, err) == (0, ""), words
        assert_harmless(out)
    code, out, _ = run(capfd, "sweep", "show", "tiny", "--json")
    assert_harmless(out)
    assert HOSTILE in strings(json.loads(out))


def strings(value: object) -> set[str]:
    """Every text in a JSON document."""
    if isinstance(value, dict | list):
        return set().union(*map(strings, value.values() if isinstance(value, dict) else value))
    return {value} if isinstance(value, str) else set()


def test_an_error_shows_what_it_quotes() -> None:
    error = ModelError(f"no class {HOSTILE}", where=HOSTILE)
    assert_harmless(str(error))
    assert "take [final]x[/b]" in str(error)


@given(st.text(max_size=40))
def test_what_is_printable_stays_and_nothing_else_gets_through(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert printable(shown) == shown
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in shown)
    assert all(new == old for new, old in zip(shown, text, strict=True) if old.isprintable())


def test_a_console_makes_text_printable_and_keeps_its_own_colours() -> None:
    file = io.StringIO()
    console = PlainConsole(file=file, force_terminal=True, color_system="standard", width=200)
    console.print(HOSTILE, style="bold")
    assert file.getvalue() == f"\x1b[1m{printable(HOSTILE)}\x1b[0m\n"


def calls(source: str) -> set[str]:
    """Names of what a module calls."""
    return {ast.unparse(node.func) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)}


@pytest.mark.parametrize("path", sorted((ROOT / "cli").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_print_in_one_way(path: Path) -> None:
    if path != ROOT / "cli" / "output.py":
        assert not calls(path.read_text()) & {
            "print",
            "typer.echo",
            "typer.secho",
            "rich.print",
            "Console",
            "Text",
        }


@pytest.mark.parametrize(
    "path", sorted((ROOT / "pipelines").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT))
)
def test_the_platform_has_one_kind_of_console(path: Path) -> None:
    if path != ROOT / "pipelines" / "reporting" / "terminal.py":
        assert not calls(path.read_text()) & {"Console", "Text", "Text.assemble", "Text.from_markup"}


@pytest.mark.parametrize(
    "path",
    sorted([*(ROOT / "pipelines").rglob("*.py"), *(ROOT / "jmml").rglob("*.py")]),
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_what_the_platform_prints_is_printable(path: Path) -> None:
    printed = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    ]
    assert not [call for call in printed if not call.startswith("print(printable(")]


# What the terminal cannot show -----------------------------------------------------------------------------


def test_an_encoding_that_lacks_a_character_is_no_failure(project: Project) -> None:
    """In a process of its own: the encoding is fixed when Python starts."""
    script = Script()
    script.trial(1, [0.5])
    script("close", state="failed", reason="größer als 10 µs")
    script.write(project)
    for words in (["sweep", "show", "tiny"], ["sweep", "show", "größer"], ["sweep", "show", b"\xff\xfe"]):
        done = subprocess.run(
            [sys.executable, "-m", "cli.app", *words],
            cwd=project.root,
            env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)},
            capture_output=True,
        )
        assert b"Traceback" not in done.stderr, done.stderr
        assert max(done.stdout + done.stderr) < 128
        assert done.returncode == (0 if words[-1] == "tiny" else 9), done.stderr


# JSON ------------------------------------------------------------------------------------------------------


def test_what_is_not_a_number_is_null_and_the_document_stays_json(capsys: pytest.CaptureFixture[str]) -> None:
    nan = float("nan")
    print_json({"a": nan, "b": [nan, 0.5], "c": np.float64("nan"), "d": (np.float32("nan"), np.int64(3))})

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    found = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert found == {"a": None, "b": [None, 0.5], "c": None, "d": [None, 3]}


# What nobody foresaw ---------------------------------------------------------------------------------------


def test_an_unexpected_error_is_one_line_and_its_traceback_is_kept(
    project: Project, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails(*args: object, **options: object) -> None:
        raise ZeroDivisionError(f"at http://ada:geheim@host\n{HOSTILE}")

    monkeypatch.setattr("pipelines.stages.comparison.load_comparison", fails)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, out, err = run(capfd, "results")
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert err.startswith("error: unexpected ZeroDivisionError: at http://***@host")
    (kept,) = tmp_path.glob("jmml-error-*.txt")
    assert str(kept) in err
    assert kept.stat().st_mode & 0o077 == 0
    assert "in fails" in kept.read_text()
    assert "geheim" not in kept.read_text()
    with pytest.raises(ZeroDivisionError):
        run(capfd, "--debug", "results")
