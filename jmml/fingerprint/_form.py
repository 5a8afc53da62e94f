"""The normal form of a module: a text of its syntax tree that holds what decides, and nothing else.

Left out are

- comments and layout, docstrings and other statements without effect (``pass``, ``...``, a bare text);
- annotations of functions and variables, ``if TYPE_CHECKING:``, and imports of ``typing`` and the like;
- all arguments of errors of :mod:`jmml.errors` (and of classes derived from them, here or in the module that they are
  imported from), and those of built-in exceptions where they are texts; the message of an ``assert``;
- the arguments of ``print`` (to a terminal), ``warnings.warn``, loggers and ``add_note`` of a caught exception, but for
  the calls in them: those might do something.

What may decide although it looks like the above is kept: docstrings in a module that mentions ``__doc__``; annotations
in the body of a class, which pydantic, dataclasses and named tuples read; those of functions with a decorator that may
read them (``singledispatch``), and all of them in a module that inspects annotations or signatures. Every other text
counts, f-strings too, and so do names of local variables, decorators, defaults, ``__all__`` and the statements' order.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

ERRORS = "jmml.errors"
# A StopIteration carries a value, and an exit its code.
_BUILT_IN = frozenset(
    name
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, Exception) and not name.startswith("Stop")
)
_TYPES_ONLY = frozenset(("__future__", "typing", "typing_extensions", "collections.abc", "numpy.typing"))
_READS_ANNOTATIONS = frozenset(("__annotations__", "get_type_hints", "get_annotations", "signature"))
_READS_FILES = frozenset(("__file__", "importlib.resources", "pkgutil.get_data", "get_data"))
_LOOKING = ("__doc__", "getdoc", *_READS_ANNOTATIONS, "__file__", "importlib", "get_data")
# Decorators by whose last name a function's annotations are known to mean nothing.
_BLIND = frozenset(
    ("abstractmethod", "cache", "cached_property", "classmethod", "contextmanager", "lru_cache", "once_differentiable",
     "overload", "override", "property", "setter", "staticmethod", "no_grad", "inference_mode", "wraps")
)  # fmt: skip
_LOGGED = frozenset(("debug", "info", "warning", "error", "exception", "critical", "log"))
_BIND = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
_SKIPPED = frozenset(("ctx", "kind", "type_comment", "type_ignores"))


ErrorsOf = Callable[[str], frozenset[str]]


def _none_of(module: str) -> frozenset[str]:
    return frozenset()


@dataclass(frozen=True)
class Import:
    """One imported module, absolute; ``names`` of a ``from`` import, None for ``import module``.

    ``typing_only`` ones stand below ``if TYPE_CHECKING:``.
    """

    module: str
    names: tuple[str, ...] | None
    typing_only: bool = False


@dataclass
class Form:
    """Normal form of a module.

    Attributes
    ----------
    statements : the normal form of each statement at the top, in order.
    imports : everything imported anywhere in it.
    computed_import : whether a module is imported by a name that is computed.
    reads_files : whether files beside the module may be read (``__file__``, ``importlib.resources``).
    defines : names that are bound at the top by anything but an import, or by an import under another name.
    """

    statements: list[str] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    computed_import: bool = False
    reads_files: bool = False
    defines: set[str] = field(default_factory=set)


def normal_form(
    source: str,
    module: str,
    *,
    package: bool = False,
    silent: Iterable[str] = (),
    errors_of: ErrorsOf = _none_of,
) -> Form:
    """The normal form of a module's source.

    Parameters
    ----------
    module : its dotted name; ``package`` where it is an ``__init__``.
    silent : modules whose names are only used in texts: importing them does not count.
    errors_of : which classes of another module are errors of the package (:func:`derived_errors`).
    """
    tree = ast.parse(source)
    mentioned = _mentioned(tree) if any(word in source for word in _LOOKING) else set()
    return _Writer(tree, mentioned, module, package, frozenset(silent), errors_of).form


def derived_errors(source: str) -> frozenset[str]:
    """The classes of a module that are derived from errors of the package."""
    tree = ast.parse(source)
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    return frozenset(_errors(tree, _none_of) & classes)


def error_classes(source: str) -> list[str]:
    """Of a module of errors only the classes and their bases: which error is caught where."""
    return [
        f"{node.name}({', '.join(map(ast.unparse, node.bases))})"
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
    ]


class _Writer:
    """Writes a tree as text and gathers the imports on the way."""

    def __init__(
        self,
        tree: ast.Module,
        mentioned: set[str],
        module: str,
        package: bool,
        silent: frozenset[str],
        errors_of: ErrorsOf = _none_of,
    ) -> None:
        self.module, self.package, self.silent = module, package, silent
        self.form = Form()
        self.in_class = False
        self.errors = _errors(tree, errors_of)
        self.errors |= {f"{name}.of" for name in self.errors}
        self.docstrings = bool(mentioned & {"__doc__", "getdoc"})
        self.importing = {"import_module", "__import__"} | set(_renamed(tree, "import_module"))
        self.annotations = bool(mentioned & _READS_ANNOTATIONS)
        self.form.reads_files = bool(mentioned & _READS_FILES)
        self.loggers, self.warners = {"logging"} | set(_loggers(tree)), {"warnings.warn"}
        self.caught: set[str] = set()  # names of exceptions in handlers
        self.form.defines = set(_defined(tree.body))
        for statement in tree.body:
            if text := self.statement(statement):
                self.form.statements.append(text)

    # ------------------------------------------------------------------ statements

    def body(self, statements: list[ast.stmt]) -> str:
        return "[" + ";".join(filter(None, map(self.statement, statements))) + "]"

    def statement(self, node: ast.stmt) -> str:
        """The text of a statement; empty where it decides nothing."""
        if isinstance(node, ast.Expr):
            if isinstance(node.value, ast.Constant):
                return self.any(node) if self.docstrings and isinstance(node.value.value, str) else ""
            if isinstance(node.value, ast.Call) and self._says(node.value):
                return f"Says({self.any(node.value.func)}{self._calls(node.value)})"
        elif isinstance(node, ast.Pass):
            return ""
        elif isinstance(node, ast.Import | ast.ImportFrom):
            return self._import(node)
        elif isinstance(node, ast.If) and _last(node.test) == "TYPE_CHECKING":
            self._typing_imports(node.body)
            return self.body(node.orelse) if node.orelse else ""
        elif isinstance(node, ast.AnnAssign) and not (self.in_class or self.annotations):
            if node.value is None:
                return f"Declared({self.any(node.target)})"
            return f"Assign(targets=[{self.any(node.target)}],value={self.any(node.value)})"
        elif isinstance(node, ast.Assert):
            return f"Assert({self.any(node.test)})"
        elif isinstance(node, ast.ClassDef):
            return self._inside(node, in_class=True, annotations=self.annotations)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = {_last(d.func if isinstance(d, ast.Call) else d) for d in node.decorator_list}
            read = self.annotations or not decorators <= _BLIND
            return self._inside(node, in_class=False, annotations=read)
        return self.any(node)

    def _inside(self, node: ast.stmt, *, in_class: bool, annotations: bool) -> str:
        before = self.in_class, self.annotations
        self.in_class, self.annotations = in_class, annotations
        text = f"{type(node).__name__}({self._fields(node)})"
        self.in_class, self.annotations = before
        return text

    def _import(self, node: ast.Import | ast.ImportFrom) -> str:
        found = list(self._imported(node))
        self.form.imports += found
        quiet = all(one.module in _TYPES_ONLY or self._silent(one) for one in found)
        return "" if quiet else f"{type(node).__name__}({self._fields(node)})"

    def _silent(self, one: Import) -> bool:
        names = (one.module,) if one.names is None else tuple(f"{one.module}.{name}" for name in one.names)
        return one.module in self.silent or all(name in self.silent for name in names)

    def _imported(self, node: ast.Import | ast.ImportFrom) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, None) for alias in node.names)
            return
        module = node.module or ""
        if node.level:
            parts = self.module.split(".")
            above = parts[: len(parts) - node.level + self.package]
            module = ".".join([*above, *filter(None, [module])])
        if module == "warnings":
            self.warners |= {alias.asname or alias.name for alias in node.names if alias.name == "warn"}
        yield Import(module, tuple(alias.name for alias in node.names))

    def _typing_imports(self, statements: list[ast.stmt]) -> None:
        for node in statements:
            if isinstance(node, ast.Import | ast.ImportFrom):
                self.form.imports += [
                    Import(one.module, one.names, typing_only=True) for one in self._imported(node)
                ]

    # ------------------------------------------------------------------ what is said

    def _says(self, call: ast.Call) -> bool:
        """Whether a call only tells something."""
        name = _name(call.func)
        owner, _, last = name.rpartition(".")
        if name == "print":
            to = [_name(keyword.value) for keyword in call.keywords if keyword.arg == "file"]
            return all(file in ("sys.stdout", "sys.stderr") for file in to)
        if last == "add_note":
            return owner in self.caught
        return name in self.warners or (owner in self.loggers and last in _LOGGED)

    def _calls(self, call: ast.Call) -> str:
        """The calls, and other things that may have an effect, in the arguments of one that is left out."""
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        return "".join(f",{self.any(effect)}" for argument in given for effect in _effects(argument))

    def _is_error(self, call: ast.Call) -> bool:
        """Whether a call makes an error whose arguments are its text."""
        name = _name(call.func)
        if name not in self.errors and name not in _BUILT_IN:
            return False
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        if any(isinstance(inner, _BIND) for argument in given for inner in ast.walk(argument)):
            return False
        return name in self.errors or all(map(_is_text, given))

    # ------------------------------------------------------------------ everything else

    def any(self, node: ast.AST) -> str:
        if isinstance(node, ast.Constant):
            return repr(node.value)
        if isinstance(node, ast.Name):
            return f"${node.id}"
        if isinstance(node, ast.ExceptHandler) and node.name:
            self.caught.add(node.name)
        if isinstance(node, ast.Call):
            if self._is_error(node):
                return f"Error({self.any(node.func)})"
            if _last(node.func) in self.importing:
                self._import_by_name(node)
        return f"{type(node).__name__}({self._fields(node)})"

    def _fields(self, node: ast.AST) -> str:
        parts = []
        for name in node._fields:
            value = getattr(node, name, None)
            if value is None or value == [] or name in _SKIPPED:
                continue
            if not self.annotations and (
                name == "returns" or (name == "annotation" and isinstance(node, ast.arg))
            ):
                continue
            parts.append(f"{name}={self._value(value)}")
        return ",".join(parts)

    def _value(self, value: object) -> str:
        if isinstance(value, list):
            if value and isinstance(value[0], ast.stmt):
                return self.body(value)
            return "[" + ",".join(map(self._value, value)) + "]"
        if value is None:  # in a list: no default, or the `**` of a dictionary; not the constant None
            return "-"
        return self.any(value) if isinstance(value, ast.AST) else repr(value)

    def _import_by_name(self, call: ast.Call) -> None:
        name = call.args[0] if call.args else None
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            text = name.value
            if text.startswith("."):  # below the package of this module, as relative imports are
                above = len(text) - len(text.lstrip("."))
                parts = self.module.split(".")
                base = parts[: len(parts) - above + self.package]
                text = ".".join([*base, text.lstrip(".")])
            self.form.imports.append(Import(text, None))
        else:
            self.form.computed_import = True


def _defined(statements: Iterable[ast.stmt]) -> Iterator[str]:
    """Names that statements bind, also in their branches, except imports under their own names."""
    for node in statements:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname for alias in node.names if alias.asname not in (None, alias.name))
        else:
            for child in ast.walk(node):
                if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                    yield child.id
                elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    yield child.name


def _name(node: ast.AST) -> str:
    """``a.b.c`` of a name or attribute; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = _name(node.value)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


def _last(node: ast.AST) -> str:
    return _name(node).rpartition(".")[2]


def _is_text(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Add) and _is_text(node.left) and _is_text(node.right)
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _effects(node: ast.expr) -> Iterator[ast.AST]:
    """The outermost parts of an expression that may do something."""
    if isinstance(node, (ast.Call, *_BIND)):
        yield node
    else:
        for child in ast.iter_child_nodes(node):
            yield from _effects(child)  # type: ignore[arg-type]


def _mentioned(tree: ast.Module) -> set[str]:
    """Names by which a module would give away that it reads its own docstrings, annotations or files."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found |= {node.attr, _name(node)}
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)  # as in getattr(f, "__doc__")
    return found


def _renamed(tree: ast.Module, name: str) -> Iterator[str]:
    """Other names under which something is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.asname for alias in node.names if alias.name == name and alias.asname)


def _errors(tree: ast.Module, errors_of: ErrorsOf) -> set[str]:
    """Names by which errors of the package are made: imported ones, and classes derived from them here."""
    known: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found = [alias for alias in node.names if alias.name.endswith("Error")]
            derived = errors_of(node.module) if found and node.module != ERRORS else frozenset()
            known |= {
                alias.asname or alias.name
                for alias in found
                if node.module == ERRORS or alias.name in derived
            }
        elif isinstance(node, ast.ClassDef) and any(_name(base) in known for base in node.bases):
            known.add(node.name)
    return known


def _loggers(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        value = node.value if isinstance(node, ast.Assign) else None
        if isinstance(node, ast.Assign) and isinstance(value, ast.Call) and _last(value.func) == "getLogger":
            yield from map(_name, node.targets)
