"""The part that speech corpora share whose file names say who speaks what with which emotion."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from jmml.data.corpora._base import Listing, files_in
from jmml.data.corpora._speech import SpeechCorpus, Utterance
from jmml.data.listing.naming import Naming
from jmml.errors import RecordingError


class CodedCorpus(SpeechCorpus):
    """Base of adapters that read ``person`` and ``label``, and what else is told, from the names of files.

    A subclass says how files are named (``naming``), what such a name looks like (``example``), and which speakers go
    by a second name (``aliases``). Files of other names are unusable where some are named so.

    Attributes
    ----------
    suffixes : of the recordings, in lower case.
    depth : in how many folders, the corpus included, they may lie.
    """

    naming: Naming
    example: str
    aliases: Mapping[str, str] = {}
    suffixes: tuple[str, ...] = (".wav",)
    depth: int = 3

    def recognises(self, root: Path) -> bool:
        """Whether a file is named so, with a label that is known."""
        named = map(self.naming.fields, self._paths(root))
        return any(
            self._known(fields["label"]) for fields in named if fields is not None and "label" in fields
        )

    def list_sources(self, root: Path) -> Listing[Utterance]:
        utterances, problems = [], []
        for path in self._paths(root):
            fields = self.naming.fields(path)
            if fields is None or not {"person", "label"} <= set(fields):
                what = f"name not coded as in {type(self).__name__}"
                if fields is not None:
                    what = "the name says not " + (
                        "who speaks" if "person" not in fields else "which emotion it is"
                    )
                problems.append(RecordingError(what, where=path, expected=self.example))
            else:
                utterances.append(self.utterance(path, fields))
        return Listing(utterances, problems if utterances or self.recognises(root) else ())

    def utterance(self, path: str, fields: Mapping[str, str]) -> Utterance:
        """What the name of one file says."""
        label = fields["label"] if fields["label"] in self.native_labels else fields["label"].lower()
        return Utterance(
            path=path,
            id=self.identity(path, fields),
            group=self.aliases.get(fields["person"], fields["person"]),
            label=label if label in self.native_labels else fields["label"],
            text=fields.get("text"),
            session=fields.get("session"),
            recording=fields.get("recording"),
            device=fields.get("device"),
        )

    def identity(self, path: str, fields: Mapping[str, str]) -> str:
        """The id of an utterance: the name of its file, with its folders where they tell something."""
        pure = PurePosixPath(path)
        return pure.with_suffix("").as_posix() if self.naming.folders else pure.stem

    def _known(self, label: str) -> bool:
        return bool({label, label.lower()} & set(self.native_labels))

    def _paths(self, root: Path) -> list[str]:
        """Recordings by their place in the corpus."""
        found, folders = [], [root]
        for _ in range(self.depth):
            for folder in folders:
                found += [
                    file.relative_to(root).as_posix() for file in files_in(folder, suffixes=self.suffixes)
                ]
            folders = [
                entry for folder in folders for entry in files_in(folder, folders=True) if entry.is_dir()
            ]
        return found
