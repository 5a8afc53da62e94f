"""Where additions are found: the project's own folders, and the entry points of installed packages."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module, invalidate_caches
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from jmml.errors import ConfigError, JMMLError
from jmml.fingerprint import source_of

# Files of a project are modules below this name: `methods/mine.py` is `jmml_project.methods.mine`.
PACKAGE = "jmml_project"
KINDS = ("corpora", "features", "methods", "gates")

_root: Path | None = None
_forget: list[Callable[[], None]] = []  # of every registry: drop what came from a project


@dataclass(frozen=True)
class Source:
    """One module that adds something.

    Attributes
    ----------
    where : what messages call it.
    fault : why it cannot be used, where that is known without importing it.
    """

    name: str
    module: str
    where: str
    fault: str | None = None

    @property
    def of_project(self) -> bool:
        """Whether it is a file of the project; else an installed package has it."""
        return self.module.partition(".")[0] == PACKAGE

    def load(self) -> None:
        """Import the module.

        Raises
        ------
        ConfigError : it cannot be imported; the error names file, line and reason.
        """
        if self.fault is not None:
            raise ConfigError([self.fault], where=self.where)
        invalidate_caches()
        try:
            import_module(self.module)
        except JMMLError:
            raise
        except (Exception, SystemExit) as error:  # a file that ends the process would end it without a word
            raise self.failure("cannot be loaded", error) from error

    def failure(self, what: str, error: BaseException) -> ConfigError:
        """An error of its code in one line, with the line of the module it came from."""
        line = _line_in(error, self.module)
        return ConfigError([f"{what}{line}: {type(error).__name__}: {error}"], where=self.where)


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

    Of a name that a package shares with the project or another package, nothing can be used until one is renamed.

    Raises
    ------
    ConfigError : two files of the project have the same name.
    """
    found: dict[str, Source] = {}
    for source in _in_folder(kind):
        if source.name in found:
            raise ConfigError(
                [f"'{source.name}' is also added by {found[source.name].where}; rename one"],
                where=source.where,
            )
        found[source.name] = source
    for source in _installed(kind)[0]:
        other = found.get(source.name)
        if other is not None:
            source = replace(
                other, fault=f"'{source.name}' is also added by {source.where}; rename one, or remove it"
            )
        found[source.name] = source
    return found


def faults(kind: str) -> tuple[str, ...]:
    """One line per installed package whose entry points cannot be read."""
    return _installed(kind)[1]


def _in_folder(kind: str) -> list[Source]:
    if _root is None or kind not in KINDS:
        return []
    paths = sorted(path for path in (_root / kind).glob("*.py") if not path.name.startswith(("_", ".")))
    return [
        Source(path.stem.replace("_", "-"), f"{PACKAGE}.{kind}.{path.stem}", f"{kind}/{path.name}")
        for path in paths
    ]


@cache
def _installed(kind: str) -> tuple[tuple[Source, ...], tuple[str, ...]]:
    """What installed packages add, and a line for each whose entry points nobody can read."""
    group = f"jmml.{kind}"
    try:
        return tuple(_source_of(point) for point in sorted(entry_points(group=group))), ()
    except Exception:  # of any package of the environment: whatever it is, the others are there
        return _one_by_one(group)


def _one_by_one(group: str) -> tuple[tuple[Source, ...], tuple[str, ...]]:
    points: dict[str, list[EntryPoint]] = {}
    lines = []
    for distribution in distributions():
        name = _name_of(distribution)
        if name not in points:  # of two versions on the path the first counts
            try:
                points[name] = list(distribution.entry_points.select(group=group))
            except Exception as error:
                points[name] = []
                lines.append(
                    f"the package {name}: its entry points cannot be read: {type(error).__name__}: {error}"
                )
    found = sorted(point for several in points.values() for point in several)
    return tuple(map(_source_of, found)), tuple(" ".join(line.split()) for line in lines)


def _name_of(distribution: Distribution) -> str:
    try:
        return str(distribution.name)
    except Exception:
        return "without a name"


def _source_of(point: EntryPoint) -> Source:
    where = f"the package {point.dist.name if point.dist else point.value}"
    module = point.value.partition(":")[0].strip()
    if all(part.isidentifier() for part in module.split(".")):
        return Source(point.name, module, where)
    return Source(
        point.name, "", where, fault=f"the entry point '{point.name}' names no module: '{point.value}'"
    )


@cache
def public_modules(package: str) -> tuple[str, ...]:
    """Names of the modules of a package and of the folders in it, ``_`` as ``-``, without those that begin with ``_``;
    nothing is imported."""
    spec = find_spec(package)
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    paths = (path for folder in folders for form in ("*.py", "*/*.py") for path in Path(folder).glob(form))
    stems = sorted(path.stem for path in paths)
    return tuple(stem.replace("_", "-") for stem in stems if not stem.startswith("_"))


def modules(*kinds: str) -> tuple[str, ...]:
    """Dotted names of the modules that add to ``kinds`` (default: all): the code that a fingerprint has to cover.

    What an installed package names and has not got in Python is left out.
    """
    found = (source for kind in kinds or KINDS for source in sources(kind).values())
    return tuple(source.module for source in found if source.of_project or _in_python(source))


def files(*kinds: str) -> dict[str, Path]:
    """The files of :func:`modules`, by dotted name."""
    found = {}
    for name in modules(*kinds):
        spec = find_spec(name) if name.startswith(f"{PACKAGE}.") else None
        path = source_of(name) if spec is None else spec.origin
        if path is not None:
            found[name] = Path(path)
    return found


def _in_python(source: Source) -> bool:
    return source.fault is None and source_of(source.module) is not None


def _line_in(error: BaseException, module: str) -> str:
    """Where in the module the failure came from, as " at line 3"; empty where that is not known."""
    line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else None
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_globals.get("__name__") == module:
            line = step.tb_lineno
        step = step.tb_next
    return "" if line is None else f" at line {line}"
