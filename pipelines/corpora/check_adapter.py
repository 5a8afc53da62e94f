"""``jmml data check-adapter``: whether an adapter does what every adapter must, clause by clause."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jmml import plugins
from jmml.contracts import Clause, report_corpus
from jmml.data.corpora import ADAPTERS, get_corpus
from jmml.data.labels import EMOTIONS
from jmml.errors import CorpusError
from jmml.fingerprint import source_of
from pipelines.reporting.wording import many
from pipelines.workspace.project import Project

FILL_IN = "FILL IN"  # what `jmml data new-adapter` leaves to a person
_FEW = 8


@dataclass(frozen=True)
class AdapterReport:
    """What was found of one adapter.

    Attributes
    ----------
    name : of the adapter.
    where : the file or the package that has it.
    folder : the recordings it was tried on; None for none.
    clauses : of the contract.
    to_fill_in : lines of its file that are left to a person.
    notes : what it reads there.
    """

    name: str
    where: str
    folder: str | None
    clauses: tuple[Clause, ...]
    to_fill_in: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def broken(self) -> list[Clause]:
        return [clause for clause in self.clauses if clause.holds is False]

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "where": self.where,
            "folder": self.folder,
            "holds": not self.broken and not self.to_fill_in,
            "clauses": [vars(clause) for clause in self.clauses],
            "to_fill_in": list(self.to_fill_in),
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        words = {True: "holds", False: "FAILS", None: "not looked at"}
        on = "" if self.folder is None else f", on {self.folder}"
        return [
            f"adapter {self.name} ({self.where}){on}",
            *(
                f"{words[clause.holds]}: {clause.text}" + (f"; found {clause.found}" if clause.found else "")
                for clause in self.clauses
            ),
            *(f"to fill in: {line}" for line in self.to_fill_in),
            *(f"note: {note}" for note in self.notes),
        ]

    def raise_if_broken(self) -> None:
        """
        Raises
        ------
        CorpusError : a clause does not hold, or something is left to fill in.
        """
        looked_at = sum(clause.holds is not None for clause in self.clauses)
        found = []
        if self.broken:
            found.append(f"{len(self.broken)} of {many(looked_at, 'clause')} of the contract do not hold")
        if self.to_fill_in:
            found.append(f"{many(len(self.to_fill_in), 'line')} left to fill in")
        if found:
            raise CorpusError(" and ".join(found), where=f"adapter '{self.name}'")


def check_adapter(
    adapter: str, folder: Path | None = None, *, project: Project | None = None
) -> AdapterReport:
    """The contract of an adapter, on recordings in ``folder``; nothing there is changed.

    Parameters
    ----------
    adapter : a name, or a Python file (in the folder ``corpora`` of a project, or anywhere).
    folder : a few recordings; left out, a corpus of the project that it reads.

    Raises
    ------
    CorpusError : there is no such adapter, file or folder.
    """
    if folder is not None:
        folder = Path(folder).expanduser()
        if not folder.exists():
            raise CorpusError("no such file or folder", where=folder, fix="check the path")
    with _entered(adapter) as name:
        source = ADAPTERS.source(name)
        file = Path(adapter) if adapter.endswith(".py") else _file(name)
        where = str(file) if adapter.endswith(".py") else "jmml" if source is None else source.where
        on = folder if folder is not None or project is None else _corpus_of(project, name)
        clauses = tuple(report_corpus(name, on))
        notes = _notes(name, on) if on is not None and not any(c.holds is False for c in clauses) else []
    return AdapterReport(
        name, where, None if on is None else str(on), clauses, tuple(left_in(file)), tuple(notes)
    )


def left_in(file: Path | None) -> list[str]:
    """The lines of a file that ``jmml data new-adapter`` left to a person."""
    if file is None:
        return []
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    return [
        f"{file.name} line {number}: {line.strip()}"
        for number, line in enumerate(lines, 1)
        if FILL_IN in line
    ]


@contextmanager
def _entered(adapter: str) -> Iterator[str]:
    """The name of an adapter, known for as long as this lasts: that of a file is made known."""
    if not adapter.endswith(".py"):
        if adapter not in ADAPTERS:
            get_corpus(adapter)  # which names the nearest; one that cannot be loaded is told by its clauses
        yield adapter
        return
    file = Path(adapter).expanduser().absolute()
    if not file.is_file():
        raise CorpusError("no such file", where=adapter, expected="a Python file, or the name of an adapter")
    if not re.fullmatch(r"[A-Za-z]\w*", file.stem):
        raise CorpusError(
            "cannot be a module",
            where=adapter,
            expected="a name of letters, digits and underscores, such as lab_speech.py",
        )
    before = plugins.project()
    with tempfile.TemporaryDirectory() as folder:
        root = file.parent.parent
        if file.parent.name != "corpora":
            root = Path(folder)
            (root / "corpora").mkdir()
            shutil.copyfile(file, root / "corpora" / file.name)
        try:
            plugins.use_project(root)
            yield file.stem.replace("_", "-")
        finally:
            plugins.use_project(before)


def _file(name: str) -> Path | None:
    source = ADAPTERS.source(name)
    if source is None:
        return None
    root = plugins.project()
    if source.of_project and root is not None:
        return root / source.where
    return None if source.fault else source_of(source.module)


def _corpus_of(project: Project, name: str) -> Path | None:
    for corpus, entry in project.params.corpora.items():
        if entry.adapter == name and project.corpus_dir(corpus).exists():
            return project.corpus_dir(corpus)
    return None


def _notes(name: str, root: Path) -> list[str]:
    """What it reads, and which labels lead to no emotion."""
    corpus = get_corpus(name)
    manifest = corpus.scan(root, skip_bad=True)
    frame = manifest.frame
    labels = Counter(frame["label"].dropna())
    shown = ", ".join(f"{label} {count}" for label, count in labels.most_common(_FEW))
    people = many(frame["group"].nunique(), "person", "people")
    notes = [f"reads {many(len(frame), 'recording')} of {people}" + (f"; {shown}" if shown else "")]
    known = {*corpus.native_labels, *EMOTIONS}
    placeless = {label: count for label, count in labels.items() if label not in known}
    if placeless:
        named = ", ".join(f"{label} ({count})" for label, count in placeless.items())
        notes.append(f"no emotion for {named}: say which in native_labels, or the task has to leave them out")
    told = [key for key in ("text", "session", "recording", "device") if frame[key].notna().any()]
    notes.append(f"says {', '.join(told)} as well" if told else "says neither text nor session nor recording")
    return [*notes, *manifest.notes]
