"""Where additions are found: the project's own folders, and the entry points of installed packages."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module, invalidate_caches
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from jmml.errors import ConfigError, JMMLError

# Files of a project are modules below this name: `methods/mine.py` is `jmml_project.methods.mine`.
PACKAGE = "jmml_project"
KINDS = ("corpora", "features", "methods", "gates")

_root: Path | None = None
_forget: list[Callable[[], None]] = []  # of every registry: drop what came from a project


@dataclass(frozen=True)
class Source:
    """One module that adds something: ``where`` is what messages call it."""

    name: str
    module: str
    where: str

    def load(self) -> None:
        """Import the module.

        Raises
        ------
        ConfigError : it cannot be imported; the error names file, line and reason.
        """
        invalidate_caches()
        try:
            import_module(self.module)
        except JMMLError:
            raise
        except (Exception, SystemExit) as error:  # a file that ends the process would end it without a word
            raise ConfigError(
                [f"cannot be loaded{_line_in(error, self.module)}: {type(error).__name__}: {error}"],
                where=self.where,
            ) from error


def use_project(root: Path | None) -> None:
    """Look for additions in the folders of the project at ``root`` from now on, and no longer in those of another."""
    global _root
    root = None if root is None else root.resolve()
    if root == _root:
        return
    before, _root = _root, root
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]
    if _adds(before) or _adds(root):  # most projects add nothing, and nothing has to be read anew for them
        for forget in _forget:
            forget()
    if root is not None:
        package = ModuleType(PACKAGE, "The files of a project that add corpora, features, methods and gates.")
        package.__path__ = [str(root)]
        package.__file__ = str(root / "__init__.py")  # by which tools find the sources; it need not exist
        sys.modules[PACKAGE] = package


def _adds(root: Path | None) -> bool:
    return root is not None and any((root / kind).is_dir() for kind in KINDS)


def project() -> Path | None:
    """The project whose folders are looked into; None for none."""
    return _root


def on_change(forget: Callable[[], None]) -> None:
    """Have ``forget`` called whenever the project changes."""
    _forget.append(forget)


def sources(kind: str) -> dict[str, Source]:
    """Everything outside the package that adds to ``kind``, by name; nothing is imported for it.

    Raises
    ------
    ConfigError : two of them have the same name.
    """
    found: dict[str, Source] = {}
    for source in (*_in_folder(kind), *_installed(kind)):
        if source.name in found:
            raise ConfigError(
                [f"'{source.name}' is also added by {found[source.name].where}; rename one"],
                where=source.where,
            )
        found[source.name] = source
    return found


def _in_folder(kind: str) -> list[Source]:
    if _root is None or kind not in KINDS:
        return []
    paths = sorted(path for path in (_root / kind).glob("*.py") if not path.name.startswith(("_", ".")))
    return [
        Source(path.stem.replace("_", "-"), f"{PACKAGE}.{kind}.{path.stem}", f"{kind}/{path.name}")
        for path in paths
    ]


@cache
def _installed(kind: str) -> tuple[Source, ...]:
    return tuple(
        Source(point.name, point.module, f"the package {point.dist.name if point.dist else point.module}")
        for point in sorted(entry_points(group=f"jmml.{kind}"))
    )


@cache
def public_modules(package: str) -> tuple[str, ...]:
    """Names of the modules of a package, ``_`` as ``-``, without those that begin with ``_``; nothing is imported."""
    spec = find_spec(package)
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    stems = sorted(path.stem for folder in folders for path in Path(folder).glob("*.py"))
    return tuple(stem.replace("_", "-") for stem in stems if not stem.startswith("_"))


def modules(*kinds: str) -> tuple[str, ...]:
    """Dotted names of the modules that add to ``kinds`` (default: all): the code that a fingerprint has to cover."""
    return tuple(source.module for kind in kinds or KINDS for source in sources(kind).values())


def files(*kinds: str) -> dict[str, Path]:
    """The files of :func:`modules`, by dotted name."""
    found = {}
    for name in modules(*kinds):
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            found[name] = Path(spec.origin)
    return found


def _line_in(error: BaseException, module: str) -> str:
    """Where in the module the failure came from, as " at line 3"; empty where that is not known."""
    line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else None
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_globals.get("__name__") == module:
            line = step.tb_lineno
        step = step.tb_next
    return "" if line is None else f" at line {line}"
