"""The pointer of a corpus, ``data/raw/NAME.dvc``: which bytes git has of it, and which of them were checked.

`dvc repro` writes the hash of whatever it finds in the folder into the pointer before any stage runs. Beside DVC's hash
stands therefore the one that `jmml data add` or `update` has accepted (``meta.jmml``, which DVC keeps as it is):

    outs:
    - md5: 8d9a...dir
      size: 4231
      nfiles: 9
      hash: md5
      path: nemo
    meta:
      jmml: {md5: 8d9a...dir, size: 4231, nfiles: 9}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from jmml.errors import DataError
from jmml.files import atomic_path

META, OURS = "meta", "jmml"
_SAID = ("md5", "size", "nfiles")


@dataclass(frozen=True)
class Pointer:
    """What a pointer says.

    Attributes
    ----------
    md5 : DVC's hash of the data, with ``.dir`` for a folder.
    accepted : the hash that was checked and accepted; None in pointers that DVC alone has written.
    linked : whether DVC keeps its hash alone, and no copy of its files.
    """

    data: Mapping[str, Any]
    md5: str
    accepted: str | None
    linked: bool = False

    @classmethod
    def parse(cls, text: str | bytes, *, where: object) -> Pointer:
        """Read the text of a pointer; :class:`DataError` for anything else."""
        try:
            data = yaml.safe_load(text)
            (out,) = data["outs"]
            md5 = str(out["md5"])
            ours = (data.get(META) or {}).get(OURS) or {}
            accepted = None if ours.get("md5") is None else str(ours["md5"])
        except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError):
            raise DataError(
                "is not a pointer of DVC to one folder or file",
                where=where,
                fix="restore it with `git checkout -- FILE`",
            ) from None
        return cls(data, md5, accepted, out.get("cache") is False)

    @classmethod
    def read(cls, path: Path) -> Pointer | None:
        """The pointer in a file; None where there is none."""
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
        return cls.parse(text, where=path)

    def as_accepted(self) -> Pointer:
        """The same pointer, its data accepted."""
        (out,) = self.data["outs"]
        ours = {key: out[key] for key in _SAID if key in out}
        data = {**self.data, META: {**(self.data.get(META) or {}), OURS: ours}}
        return Pointer(data, self.md5, self.md5, self.linked)

    def as_before(self) -> Pointer:
        """The pointer to the data that were accepted."""
        (out,) = self.data["outs"]
        kept = {key: value for key, value in out.items() if key not in _SAID}
        data = {**self.data, "outs": [{**self.data[META][OURS], **kept}]}
        return Pointer(data, str(self.accepted), self.accepted, self.linked)

    def write(self, path: Path) -> None:
        """Write the file, atomically."""
        with atomic_path(path) as temporary:
            temporary.write_text(yaml.safe_dump(dict(self.data), sort_keys=False), encoding="utf-8")


def pointer_path(folder: Path) -> Path:
    """The pointer of the corpus in ``folder``, whether it is there or not."""
    return folder.with_name(f"{folder.name}.dvc")
