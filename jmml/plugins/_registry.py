"""Everything of one kind by name: what the package has, and what projects and installed packages add."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Generic, TypeVar

from jmml.errors import ConfigError, JMMLError, nearest
from jmml.plugins import _sources
from jmml.plugins._sources import Source

T = TypeVar("T")


class Registry(Generic[T]):
    """Items of one kind by name, in a fixed order: the package's own, then additions by name.

    Parameters
    ----------
    kind : folder of a project, and entry-point group ``jmml.<kind>``, where additions are looked for.
    what : what one item is called in messages.
    home : module that registers the package's own items when it is imported; with ``one_by_one`` a package, each of
        whose public modules registers one under its own name, so that names are known without importing it.
    error : the error for a name that nothing has, from its text.
    """

    def __init__(
        self, kind: str, what: str, *, home: str, error: Callable[[str], JMMLError], one_by_one: bool = False
    ) -> None:
        self.kind, self.what, self._home, self._error = kind, what, home, error
        self._one_by_one = one_by_one
        self._own: dict[str, T] = {}  # of jmml itself, and of whoever registers by hand
        self._project: dict[str, T] = {}
        self._packages: dict[str, T] = {}  # whose modules are imported once, whatever the project
        self._loading: Source | None = None
        _sources.on_change(self._project.clear)

    def register(self, name: str, item: T) -> T:
        """Enter ``item``; a module calls this when it is imported.

        Raises
        ------
        ConfigError : the name is taken, or is not the one under which the module that is being loaded is known.
        """
        known = _sources.sources(self.kind)
        if self._loading is not None and name not in known:
            raise ConfigError(
                [
                    f"registers the {self.what} '{name}'; expected '{self._loading.name}', its own name: one file "
                    "adds one"
                ],
                where=self._loading.where,
            )
        source = known.get(name)
        if source is not None and source.module not in sys.modules:
            source = None  # it has not run: this is jmml's own of that name
        added = self._own if source is None else self._of(source)
        if name in self._own or name in added:
            where = self._loading.where if self._loading else None if source is None else source.where
            raise ConfigError([f"there is a {self.what} '{name}' already; choose another name"], where=where)
        added[name] = item
        return item

    def _of(self, source: Source) -> dict[str, T]:
        return self._project if source.of_project else self._packages

    def names(self) -> tuple[str, ...]:
        """Every name, known without importing what adds it."""
        own = self.own()
        return (*own, *(name for name in sorted(_sources.sources(self.kind)) if name not in own))

    def own(self) -> tuple[str, ...]:
        """Names of the package's items alone, and of what was registered by hand."""
        if self._one_by_one:
            return tuple(dict.fromkeys((*_sources.public_modules(self._home), *self._own)))
        import_module(self._home)
        return tuple(self._own)

    def check(self, name: str) -> str:
        """``name``, or a ``ValueError`` with the nearest valid one: for settings."""
        if name not in self:
            raise ValueError(self._unknown(name))
        return name

    def __getitem__(self, name: str) -> T:
        """The item of that name.

        Raises
        ------
        JMMLError : there is none (the message has the nearest valid name), or the module that should register it fails.
        """
        import_module(self._home)
        if name in self._own:
            self._refuse_shadow(name)
            return self._own[name]
        source = _sources.sources(self.kind).get(name)
        if source is None:
            raise self._error(self._unknown(name))
        if source.fault is not None or name not in self._of(source):
            self._load(source)
        return self._of(source)[name]

    def usable(self) -> Iterator[tuple[str, T]]:
        """Names and items, without those of installed packages that cannot be loaded (:meth:`problems`)."""
        for name in self.names():
            try:
                item = self[name]
            except JMMLError:
                source = self.source(name)
                if source is None or source.of_project:
                    raise
            else:
                yield name, item

    def problems(self) -> dict[str, str]:
        """One line for each addition that cannot be used, by its name or by what has it; everything is loaded."""
        found = {line.partition(": ")[0]: line for line in _sources.faults(self.kind)}
        for name, source in _sources.sources(self.kind).items():
            try:
                self[name]
            except JMMLError as error:
                found[name if self.source(name) else source.where] = str(error)
            else:
                if name in self.own():
                    found[source.where] = (
                        f"{source.where}: there is a {self.what} '{name}' already; rename it"
                    )
        return found

    def source(self, name: str) -> Source | None:
        """The file of the project, or the module of an installed package, that has it; None for jmml itself."""
        return None if name in self.own() else _sources.sources(self.kind).get(name)

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def items(self) -> list[tuple[str, T]]:
        """Names and items; everything is loaded."""
        return [(name, self[name]) for name in self.names()]

    def values(self) -> list[T]:
        """Items; everything is loaded."""
        return [self[name] for name in self.names()]

    def _load(self, source: Source) -> None:
        before, self._loading = self._loading, source
        try:
            source.load()
        finally:
            self._loading = before
        if source.name not in self._of(source):
            raise ConfigError([f"registers no {self.what} named '{source.name}'"], where=source.where)

    def _refuse_shadow(self, name: str) -> None:
        shadow = _sources.sources(self.kind).get(name)
        if shadow is not None and shadow.of_project:
            raise ConfigError(
                [f"there is a {self.what} '{name}' already; choose another name"], where=shadow.where
            )

    def _unknown(self, name: str) -> str:
        return f"unknown {self.what} '{name}'; {nearest(name, self.names())}"
