"""The modules that compute a result: from where it is computed along the imports, and their digest."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path

from jmml.fingerprint._form import ERRORS, Form, Import, derived_errors, error_classes, normal_form

# Modules that show, say or identify something and compute nothing; an entry below one of them is digested all the same.
ASIDE = ("jmml.data.confounds", "jmml.evaluation.plots", "jmml.fingerprint", "jmml.plugins", "jmml.printable")
# Libraries that carry, check, write or show values; every other one decides.
CARRY = frozenset(
    ("filelock", "fsspec", "joblib", "matplotlib", "mlflow", "psutil", "pyarrow", "pydantic", "pydantic_core", "ray",
     "rich", "safetensors", "skops", "sqlalchemy", "threadpoolctl", "tqdm", "typing_extensions", "yaml")
)  # fmt: skip
DISTRIBUTIONS = {
    "sklearn": "scikit-learn"
}  # where a library is not installed under the name it is imported by


@dataclass(frozen=True)
class Fingerprint:
    """Code and libraries that a result depends on, besides data and settings.

    Attributes
    ----------
    code : SHA-256 over the normal forms of ``modules``.
    libraries : version of each library that these import and that can change a result.
    modules : dotted names, sorted.
    """

    code: str
    libraries: dict[str, str] = field(hash=False)
    modules: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over code and libraries."""
        return _sha256(self.code, *(f"{name} {number}" for name, number in sorted(self.libraries.items())))


@cache
def fingerprint(
    *entries: str, within: tuple[str, ...] | None = None, without: tuple[str, ...] = ()
) -> Fingerprint:
    """The fingerprint of what ``entries`` compute, read once per process.

    Imports are followed wherever they stand, in functions too. A name that a package only hands on is followed to where
    it is defined. A module that imports by a computed name counts with all modules of its package; one that reads files
    beside it counts with these files.

    Parameters
    ----------
    entries : dotted names of modules.
    within : packages and modules in which imports are followed; default: the packages of the entries, and ``jmml``.
    without : those in which they are not, besides those of :data:`ASIDE`.
    """
    followed = within or tuple({"jmml", *(name.partition(".")[0] for name in entries)})
    shown = tuple(name for name in ASIDE if not any(_below(entry, (name,)) for entry in entries))
    closure = _Closure((*followed, *entries), (*shown, *without))
    for entry in entries:
        if source_of(entry) is None:
            raise LookupError(f"no Python source of the module {entry}")
        closure.add(entry)
    numbers = {DISTRIBUTIONS.get(name, name): _version(name) for name in sorted(closure.libraries)}
    parts = sorted(closure.parts.items())
    return Fingerprint(
        _sha256(*(f"{name} {text}" for name, text in parts)), numbers, tuple(closure.modules())
    )


class _Closure:
    """Modules found so far: ``parts`` is the digest of each one, and of files that they read."""

    def __init__(self, followed: tuple[str, ...], without: tuple[str, ...]) -> None:
        self.followed, self.without = followed, without
        self.own = {"jmml", *(name.partition(".")[0] for name in followed)}
        self.parts: dict[str, str] = {}
        self.libraries: set[str] = set()

    def modules(self) -> list[str]:
        return sorted(name for name in self.parts if "/" not in name)

    def add(self, name: str) -> None:
        """A module, and all that it imports."""
        if name in self.parts or not _below(name, self.followed) or _below(name, self.without):
            return
        path = source_of(name)
        if path is None:
            return
        if name == ERRORS:
            self.parts[name] = _sha256(*error_classes(path.read_text(encoding="utf-8")))
            return
        found = form_of(name)
        self.parts[name] = _sha256(*found.statements)
        above = name.rpartition(".")[0]
        if above and name.partition(".")[0] != "jmml" and source_of(above) is not None:
            # It is run first; what it hands on is followed by name, and the packages of jmml do nothing else.
            self.parts.setdefault(f"{above}/", _sha256(*form_of(above).statements))
        for one in found.imports:
            if not one.typing_only:
                self._follow(one)
        if found.computed_import:
            self._add_package(path.parent, name if path.name == "__init__.py" else name.rpartition(".")[0])
        if found.reads_files:
            self._add_files(path.parent, name)

    def _follow(self, one: Import) -> None:
        top = one.module.partition(".")[0]
        if top in sys.stdlib_module_names:
            return
        if top not in self.own and _is_local(top):
            self.own.add(top)
            self.followed = (*self.followed, top)
        if top not in self.own:
            if top not in CARRY:
                self.libraries.add(top)
            return
        for name in one.names or ():
            if source_of(f"{one.module}.{name}") is not None:
                self.add(f"{one.module}.{name}")
            else:
                self._add_name(one.module, name)
        if one.names is None:
            self.add(one.module)

    def _add_name(self, module: str, name: str) -> None:
        """A name of a module: where a package only hands it on, what it was imported from."""
        path = source_of(module)
        if path is not None and path.name == "__init__.py" and not _below(module, self.without):
            form = form_of(module)
            handed_on = [one for one in form.imports if one.names is not None and name in one.names]
            if handed_on and name not in form.defines:
                for one in handed_on:  # several where another takes the place of one that is missing
                    self._follow(Import(one.module, (name,)))
                return
        self.add(module)

    def _add_package(self, folder: Path, package: str) -> None:
        for path in sorted(folder.glob("*.py")):
            self.add(package if path.stem == "__init__" else f"{package}.{path.stem}")
        for path in sorted(folder.glob("*/__init__.py")):
            self._add_package(path.parent, f"{package}.{path.parent.name}")

    def _add_files(self, folder: Path, name: str) -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                key = f"{name}/{path.relative_to(folder).as_posix()}"
                self.parts[key] = hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def form_of(name: str) -> Form:
    """The normal form of an installed module; of one that is not Python, and cannot be imported either, its bytes."""
    path = source_of(name)
    assert path is not None
    content = path.read_bytes()
    package = path.name == "__init__.py"
    try:
        source = content.decode("utf-8")
        return normal_form(source, name, package=package, silent=(ERRORS, *ASIDE), errors_of=_errors_of)
    except (SyntaxError, ValueError):
        return Form(statements=[hashlib.sha256(content).hexdigest()])


@cache
def _errors_of(module: str) -> frozenset[str]:
    path = source_of(module) if module.partition(".")[0] not in sys.stdlib_module_names else None
    try:
        return frozenset() if path is None else derived_errors(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError):
        return frozenset()


@cache
def source_of(name: str) -> Path | None:
    """The file of a module, which is not imported for it; None where there is none in Python."""
    top, *rest = name.split(".")
    loaded = getattr(sys.modules.get(top), "__file__", None)
    folders: list[str] = []
    if loaded is None:
        try:
            spec = find_spec(top)
        except ValueError:  # a module that was made by hand
            return None
        loaded = None if spec is None else spec.origin
        if spec is not None and loaded is None:  # a namespace: packages of several distributions
            folders = list(spec.submodule_search_locations or ())
    if not folders:
        if loaded is None or not loaded.endswith(".py"):
            return None
        first = Path(loaded)
        if not rest:
            return first if first.is_file() else None
        if first.name != "__init__.py":
            return None
        folders = [str(first.parent)]
    for folder in folders if rest else ():
        below = Path(folder).joinpath(*rest)
        for path in (below / "__init__.py", below.with_suffix(".py")):
            if path.is_file():
                return path
    return None


@cache
def _is_local(top: str) -> bool:
    """Whether a module is a file of somebody's own, in no folder of installed distributions."""
    path = source_of(top)
    return path is not None and not {"site-packages", "dist-packages"} & set(path.parts)


def forget() -> None:
    """Read everything anew from now on: where modules have been edited, or others stand under the same names."""
    for read in (fingerprint, form_of, source_of, _errors_of, _is_local):
        read.cache_clear()


def _below(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def _version(library: str) -> str:
    try:
        return version(DISTRIBUTIONS.get(library, library))
    except PackageNotFoundError:
        names = packages_distributions().get(library)  # looks into every distribution
        return version(names[0]) if names else "not installed"


def _sha256(*texts: str) -> str:
    h = hashlib.sha256()
    for text in texts:
        h.update(f"{len(text)} {text}\n".encode())
    return h.hexdigest()
