"""``jmml data verify``: every byte of a corpus against what was recorded of it."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from jmml.data.manifest import Manifest
from jmml.errors import DataError, JMMLError
from pipelines.corpora.dvc_record import DvcRecord, hash_of_folder
from pipelines.corpora.scan import admit, open_corpus, read_manifest, scan
from pipelines.reporting.progress import progress_bar
from pipelines.reporting.wording import many
from pipelines.workspace.project import Project

SHOWN_CHANGES = 10


@dataclass(frozen=True)
class CorpusCheck:
    """One corpus compared with its records; no problem means nothing has changed."""

    name: str
    samples: int
    recorded: str | None
    current: str | None
    problems: list[str]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class VerifyReport:
    """The outcome of ``jmml data verify``."""

    checks: list[CorpusCheck]

    def as_dict(self) -> dict[str, Any]:
        return {"ok": not self._changed(), "corpora": [asdict(check) for check in self.checks]}

    def lines(self) -> list[str]:
        """One line per corpus, and one per difference."""
        text = []
        for check in self.checks:
            state = "changed" if check.problems else "unchanged" if check.current else "not made yet"
            text.append(f"{check.name}: {state}{f' ({check.current})' if check.current else ''}")
            text += [f"  {problem}" for problem in check.problems[:SHOWN_CHANGES]]
            if len(check.problems) > SHOWN_CHANGES:
                text.append(f"  and {len(check.problems) - SHOWN_CHANGES} more differences")
            text += [f"  note: {note}" for note in check.notes]
        return text

    def raise_if_changed(self) -> None:
        """:class:`~jmml.errors.DataError` that names every corpus with a difference, and its first one."""
        changed = self._changed()
        if changed:
            named = "; ".join(f"{c.name}: {c.problems[0]}, {len(c.problems)} in all" for c in changed)
            raise DataError(
                f"{len(changed)} of {many(len(self.checks), 'corpus', 'corpora')} "
                f"{'differs' if len(changed) == 1 else 'differ'} from what was recorded "
                f"({named})",
                fix="restore them with `dvc checkout`; what was added is checked and recorded as it is with `jmml data "
                "update NAME`",
            )

    def _changed(self) -> list[CorpusCheck]:
        return [check for check in self.checks if check.problems]


def verify(project: Project, name: str | None = None) -> VerifyReport:
    """Read every byte of one corpus (default: of all) and compare it with what was recorded.

    Two records are checked: the hash DVC keeps of every file, recomputed here and not taken from DVC's own
    cache of modification times; and the content hash of every sample in the manifest.
    """
    names = [name] if name is not None else list(project.params.corpora)
    checks = []
    with DvcRecord.of(project) as record:
        for each in names:
            project.corpus(each)
            manifest = read_manifest(project, each)
            notes = [] if manifest is None else manifest.notes
            checks.append(CorpusCheck(each, *_verify(project, record, each), notes))
    return VerifyReport(checks)


def _verify(project: Project, record: DvcRecord, name: str) -> tuple[int, str | None, str | None, list[str]]:
    """Samples, recorded hash, hash of the files as they are, and one line per difference."""
    folder = project.corpus_dir(name)
    before = record.hash_of(folder)
    if not folder.exists() and before is None and record.is_output(folder):
        return 0, None, None, []  # a stage makes it, and has not run
    if not folder.exists():
        return 0, before, None, [f"{project.params.corpora[name].path} is missing"]
    files = _hash_files(record, folder, name)
    current = hash_of_folder(files) if folder.is_dir() else next(iter(files.values()))
    problems: list[str] = []
    if before is None:
        problems.append("DVC has no record of it")
    elif before != current:
        problems += record.changes(folder, files)
    manifest = read_manifest(project, name)
    if manifest is None:
        return 0, before, current, problems
    config = project.corpus(name)
    try:
        corpus = open_corpus(name, config)
        found = scan(name, corpus, folder, skip_bad=True)
        if config.skip_bad and not set(found.frame["id"]) <= set(manifest.frame["id"]):
            # Some are left out for what is heard: silent ones, copies.
            usable = admit(name, corpus, folder, skip_bad=True).frame["id"]
            known = found.frame["id"].isin({*usable, *manifest.frame["id"]})
            found = replace(found, frame=found.frame[known].reset_index(drop=True))
    except JMMLError as error:
        return len(manifest), before, current, [*problems, str(error)]
    return len(manifest), before, current, problems + manifest_changes(manifest, found)


def manifest_changes(recorded: Manifest, found: Manifest) -> list[str]:
    """Samples that are gone, new, of other content or of other label or group than the manifest says."""
    old, new = (m.frame.set_index("id") for m in (recorded, found))
    lines = [f"sample '{name}' is gone or cannot be used" for name in old.index.difference(new.index)]
    lines += [f"sample '{name}' is not in the manifest" for name in new.index.difference(old.index)]
    both = old.index.intersection(new.index)
    for column, what in (("content_hash", "content"), ("label", "label"), ("group", "speaker or subject")):
        a, b = old.loc[both, column].fillna(""), new.loc[both, column].fillna("")
        lines += [f"sample '{name}': {what} differs from the manifest" for name in both[a.ne(b)]]
    return lines


def _hash_files(record: DvcRecord, path: Path, name: str) -> dict[str, str]:
    """MD5 by file, from the bytes of every file that DVC would track."""
    files = record.files(path)
    hashes = {}
    with progress_bar(f"verify {name}", "file") as progress:
        for done, file in enumerate(files, start=1):
            with file.open("rb") as handle:
                md5 = hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False))
            hashes[file.relative_to(path).as_posix()] = md5.hexdigest()
            progress(done, len(files))
    return hashes
