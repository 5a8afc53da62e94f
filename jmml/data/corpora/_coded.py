"""The part that speech corpora share whose file names say who speaks what with which emotion."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from jmml.data.corpora._base import Listing, files_in
from jmml.data.corpora._speech import SpeechCorpus, Utterance
from jmml.data.listing.naming import Naming
from jmml.errors import RecordingError

DEPTH = 3  # folders below the corpus in which files may lie


class CodedCorpus(SpeechCorpus):
    """Base of adapters that read ``person`` and ``label`` from the name of each WAV file.

    A subclass says how files are named (``naming``), what such a name looks like (``example``), and which speakers go
    by a second name (``aliases``). Files of other names are unusable where some are named so.
    """

    naming: Naming
    example: str
    aliases: Mapping[str, str] = {}

    def recognises(self, root: Path) -> bool:
        return any(self.naming.fields(path) is not None for path in _paths(root))

    def list_sources(self, root: Path) -> Listing[Utterance]:
        utterances, problems = [], []
        for path in _paths(root):
            fields = self.naming.fields(path)
            if fields is None:
                problems.append(
                    RecordingError(
                        f"name not coded as in {type(self).__name__}", where=path, expected=self.example
                    )
                )
            else:
                person = self.aliases.get(fields["person"], fields["person"])
                label = fields["label"]
                if label not in self.native_labels and label.lower() in self.native_labels:
                    label = label.lower()
                utterances.append(
                    Utterance(path, self.identity(path, fields), person, label, fields.get("text"))
                )
        return Listing(utterances, problems if utterances else ())

    def identity(self, path: str, fields: Mapping[str, str]) -> str:
        """The id of an utterance: the name of its file, unless folders tell files of one name apart."""
        return PurePosixPath(path).stem


def _paths(root: Path) -> list[str]:
    """WAV files by their place in the corpus."""
    found, folders = [], [root]
    for _ in range(DEPTH):
        for folder in folders:
            found += [file.relative_to(root).as_posix() for file in files_in(folder, suffixes=[".wav"])]
        folders = [entry for folder in folders for entry in files_in(folder, folders=True) if entry.is_dir()]
    return found
