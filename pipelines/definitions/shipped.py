"""Definitions in YAML, of sweeps and of studies: those that ship with the project, and a person's own files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jmml.errors import ConfigError, nearest


def ready_made(module: str) -> dict[str, Path]:
    """The files of the folder ``definitions`` beside a module (its ``__file__``), by name."""
    return {path.stem: path for path in sorted((Path(module).parent / "definitions").glob("*.yaml"))}


def resolve(source: str | Path, shipped: Mapping[str, Path], *, what: str) -> Path:
    """The file that ``source`` means: a path, or a name among ``shipped``; :class:`ConfigError` lists the names."""
    path = Path(source)
    if path.is_file() or (path.suffix in (".yaml", ".yml") and not path.is_dir()):
        return path
    if path.is_dir() and str(source) not in shipped:
        raise ConfigError(
            [f"is a folder; expected a YAML file, or one of {', '.join(sorted(shipped))}"], where=source
        )
    if str(source) not in shipped:
        raise ConfigError(
            [f"no {what} definition of that name; {nearest(str(source), shipped)}, or give a YAML file"],
            where=source,
        )
    return shipped[str(source)]
