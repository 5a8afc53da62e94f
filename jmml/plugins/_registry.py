"""Everything of one kind by name: what the package has, and what projects and installed packages add."""

from __future__ import annotations

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
        self._own: dict[str, T] = {}  # of the package, and of whoever registers by hand
        self._added: dict[str, T] = {}
        self._loading: Source | None = None
        _sources.on_change(self._added.clear)

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
        if name in self._own or name in self._added:
            where = self._loading.where if self._loading else known[name].where if name in known else None
            raise ConfigError([f"there is a {self.what} '{name}' already; choose another name"], where=where)
        (self._added if name in known else self._own)[name] = item
        return item

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
        if name not in self._added:
            source = _sources.sources(self.kind).get(name)
            if source is None:
                raise self._error(self._unknown(name))
            self._load(source)
        return self._added[name]

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
        if source.name not in self._added:
            raise ConfigError([f"registers no {self.what} named '{source.name}'"], where=source.where)

    def _refuse_shadow(self, name: str) -> None:
        shadow = _sources.sources(self.kind).get(name)
        if shadow is not None:
            raise ConfigError(
                [f"there is a {self.what} '{name}' already; choose another name"], where=shadow.where
            )

    def _unknown(self, name: str) -> str:
        return f"unknown {self.what} '{name}'; {nearest(name, self.names())}"
