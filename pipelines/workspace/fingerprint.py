"""Which code computes a result: the package itself and the libraries that decide its numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import jmml

LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch")


def code_digest() -> str:
    """SHA-256 over the names and bytes of every Python file of the installed package, in order."""
    root = Path(jmml.__file__).parent
    return files_digest(root, root.rglob("*.py"))


def files_digest(root: Path, paths: Iterable[Path]) -> str:
    """SHA-256 over the names below ``root`` and the bytes of files, in order."""
    h = hashlib.sha256()
    for path in sorted(paths):
        content = path.read_bytes()
        h.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return h.hexdigest()


def libraries() -> dict[str, str]:
    """Versions of :data:`LIBRARIES`, which can change a result in its last digits."""
    return {name: version(name) for name in LIBRARIES}
