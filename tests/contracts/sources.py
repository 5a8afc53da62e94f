"""What Python source imports and reaches, for the laws of import: read, never run.

Relative imports, imports by a name that is written out (``import_module("ray")``) and ``getattr`` with such a name
count as what they stand for. Names that are put together as the program runs are not seen.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAYERS: dict[str, set[str]] = {
    "jmml": set(),
    "pipelines": {"jmml"},
    "cli": {"jmml", "pipelines"},
}  # and what each may use
LOADERS = {"import_module", "__import__"}
BY_NAME = {"getattr", "hasattr", "setattr", "delattr"}
PUBLIC_ALL_THE_SAME = {
    "_asdict",
    "_replace",
    "_fields",
    "_make",
    "_exit",
}  # of named tuples, and of the module os


def modules() -> list[Path]:
    return sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def root_of(name: str) -> str:
    return name.split(".")[0]


@cache
def lazy_names() -> dict[str, str]:
    """Names of the package ``jmml`` and the modules that they come from when they are first used."""
    homes: dict[str, str] = {}
    for node in ast.walk(ast.parse((ROOT / "jmml" / "__init__.py").read_text())):
        if isinstance(node, ast.Call) and _last(node.func) == "attach":
            homes |= ast.literal_eval(node.args[1])
    return {f"jmml.{name}": f"{home}.{name}" for name, home in homes.items()}


def imports(source: str, *, where: str = "", top_level_only: bool = False) -> set[str]:
    """Dotted names of the modules that Python source imports, and of names in them.

    Parameters
    ----------
    where : the source's path below the repository, from which relative imports start.
    top_level_only : what the import of the source imports, not what its functions do.
    """
    tree = ast.parse(source)
    reader = _Reader(tree, where)
    found: set[str] = set()
    for node in _at_start(tree) if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if module := reader.absolute(node.module, node.level):
                found |= {f"{module}.{alias.name}" for alias in node.names} | {module}
        elif isinstance(node, ast.Call):
            found |= {name for name in [reader.loaded(node)] if name}
        elif isinstance(node, ast.Attribute) and (name := reader.chain(node)) in lazy_names():
            found.add(name)
    return found | {lazy_names()[name] for name in found if name in lazy_names()}


def _at_start(tree: ast.Module) -> Iterator[ast.AST]:
    for statement in tree.body:
        calls = isinstance(statement, ast.Expr | ast.Assign | ast.AnnAssign)
        yield from ast.walk(statement) if calls else (statement,)


def names_used(source: str) -> Iterator[str]:
    """Dotted names that begin with something imported: reached through attributes, calls and variables of the source
    that hold what came of them."""
    tree = ast.parse(source)
    reader = _Reader(tree, "")
    yield from imports(source)
    for node in ast.walk(tree):
        by_text = isinstance(node, ast.Call) and by_name(node)
        if (by_text or isinstance(node, ast.Attribute)) and (name := reader.chain(node)):
            yield name


def texts(source: str) -> Iterator[str]:
    """Every text in the source."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def privates_of_others(source: str) -> set[str]:
    """Private attributes of objects that are neither the one at work nor made by this source, as text."""
    tree = ast.parse(source)
    own = PUBLIC_ALL_THE_SAME | set(_defined(tree))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner, name = node.value, node.attr
        elif isinstance(node, ast.Call) and (text := by_name(node)):
            owner, name = node.args[0], text
        else:
            continue
        if is_hidden(name) and name not in own and not _at_work(owner):
            found.add(ast.unparse(node))
    return found


def is_hidden(name: str) -> bool:
    """Whether one part of a dotted name is private by its form."""
    return name.startswith("_") and not name.endswith("__")


def by_name(node: ast.Call) -> str | None:
    """The attribute that ``getattr`` and the like are given, where it is written out."""
    if not isinstance(node.func, ast.Name) or node.func.id not in BY_NAME or len(node.args) < 2:
        return None
    return _text(node.args[1])


def _defined(tree: ast.AST) -> Iterator[str]:
    """Names that a source defines: functions, classes, variables, attributes of its own objects."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _at_work(node.value):
            yield node.attr


def _at_work(node: ast.AST) -> bool:
    """Whether an expression is the object whose method it stands in."""
    if isinstance(node, ast.Call):
        return _last(node.func) == "super"
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


class _Reader:
    """Knows which names of a source stand for what was imported."""

    def __init__(self, tree: ast.AST, where: str) -> None:
        self.package = Path(where).parent.parts
        self.loaders = set(LOADERS)
        self.bound: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    name = alias.name if alias.asname else alias.name.split(".")[0]
                    self.bound[alias.asname or name] = name
            elif isinstance(node, ast.ImportFrom) and (module := self.absolute(node.module, node.level)):
                self.bound |= {alias.asname or alias.name: f"{module}.{alias.name}" for alias in node.names}
        self.loaders |= {name for name, what in self.bound.items() if what == "importlib.import_module"}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and (name := self.chain(node.value)):
                self.bound |= {target.id: name for target in node.targets if isinstance(target, ast.Name)}

    def absolute(self, name: str | None, level: int, package: tuple[str, ...] | None = None) -> str:
        """A dotted name without the dots before it, which lead up from the package; empty where nobody knows it."""
        package = self.package if package is None else package
        above = package[: max(0, len(package) - level + 1)] if level else ()
        return ".".join([*above, *([name] if name else [])]) if above or not level else ""

    def loaded(self, node: ast.Call) -> str:
        """The module that a call imports by a name that is written out; empty for other calls."""
        if _last(node.func) not in self.loaders:
            return ""
        given = dict(zip(("name", "package"), node.args, strict=False))
        given |= {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
        name = _text(given.get("name"))
        if not name:
            return ""
        bare = name.lstrip(".")
        package = _text(given.get("package"))
        return self.absolute(bare, len(name) - len(bare), tuple(package.split(".")) if package else None)

    def chain(self, node: ast.AST) -> str:
        """The dotted name that an expression leads along, from what was imported; empty for others."""
        if isinstance(node, ast.Name):
            return self.bound.get(node.id, "")
        if isinstance(node, ast.Attribute):
            before, last = self.chain(node.value), node.attr
            return f"{before}.{last}" if before else ""
        if isinstance(node, ast.Call):
            if last := by_name(node):
                before = self.chain(node.args[0])
                return f"{before}.{last}" if before else ""
            return self.loaded(node) or self.chain(node.func)
        if isinstance(node, ast.Subscript | ast.Await):
            return self.chain(node.value)
        return ""


def _last(node: ast.AST) -> str:
    """The last part of a name with or without dots."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _text(node: ast.AST | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
