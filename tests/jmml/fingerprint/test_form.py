"""What counts of a module and what does not: rule by rule, and for every constant and operator of what computes."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

import pytest

from jmml import errors
from jmml.fingerprint import fingerprint, source_of
from jmml.fingerprint._closure import _errors_of
from jmml.fingerprint._form import _mentioned, _Writer, error_classes, normal_form
from pipelines.stages.code import fingerprints

HEAD = "import logging\nimport sys\nimport warnings\nfrom jmml.errors import ModelError\n"
OWN, FOUND = "class OwnError(ModelError): pass", "class FoundError(Exception): pass"
CAUGHT = "try: f()\nexcept OSError as error: "
LOG = "log = logging.getLogger(__name__)"


def text(source: str) -> list[str]:
    return normal_form(HEAD + source, "pkg.module", silent=("jmml.errors", "pkg.plots")).statements


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1", "x = 1  # one\n\n"),
        ("x = (1 +\n 2)", "x = 1 + 2"),
        ("def f():\n return 1", 'def f():\n """One."""\n return 1'),
        ('"""A."""\nx = 1', '"""B."""\nx = 1'),
        ("class A:\n pass", 'class A:\n """An A."""'),
        ("class A:\n x = 1", "class A:\n '''An A.'''\n x = 1\n 'its x'"),
        ("def f(x): return x", "def f(x: int) -> int: return x"),
        ("def f(*a, b=1, **c): return a", "def f(*a: int, b: int = 1, **c: str): return a"),
        ("def f():\n x = 1", "def f():\n x: int = 1"),
        ("def f():\n x: int", "def f():\n x: str"),
        ("@property\ndef f(self): return 1", "@property\ndef f(self) -> int: return 1"),
        ("LIMIT = 3", "LIMIT: Final = 3"),
        ("from typing import Any\nx = 1", "from typing import Any, Literal\nx = 1"),
        ("x = 1", "from collections.abc import Iterator\nimport numpy.typing as npt\nx = 1"),
        ("if TYPE_CHECKING:\n import a\nx = 1", "if TYPE_CHECKING:\n import b\nx = 1"),
        ("raise ModelError('a')", "raise ModelError(f'b {x}', fix='c', where=y)"),
        ("def f(): return ModelError('a')", "def f(): return ModelError('b', expected=', '.join(z))"),
        (f"{OWN}\nraise OwnError('a')", f"{OWN}\nraise OwnError('b')"),
        ("raise ValueError('a')", "raise ValueError(f'b {x}' + 'c')"),
        ("assert x, 'a'", "assert x, f'b {x}'"),
        ("print('a')", "print(f'b {x}', 3, file=sys.stderr)"),
        ("warnings.warn('a')", "warnings.warn(f'b {x}', UserWarning, stacklevel=2)"),
        ("logging.info('a %s', x)", "logging.info('b')"),
        (f"{LOG}\nlog.warning('a')", f"{LOG}\nlog.warning('b %d', 3)"),
        (f"{CAUGHT}error.add_note('a')", f"{CAUGHT}error.add_note(f'b {{x}}')"),
        ("from warnings import warn as say\nsay('a')", "from warnings import warn as say\nsay('b')"),
        ("from jmml.errors import nearest", ""),
        ("from pkg import plots\nx = 1", "x = 1"),
        ("x = 1", "from pkg.plots import curve\nx = 1"),
    ],
)  # fmt: skip
def test_what_does_not_count(before: str, after: str) -> None:
    assert text(before) == text(after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = 0.0", "x = -0.0"),
        ("x = 'a'", "x = b'a'"),
        ("x = 'a'", "x = 'b'"),
        ("x = f'a{y}'", "x = f'b{y}'"),
        ("x = f'{y:.3f}'", "x = f'{y:.4f}'"),
        ("x = a + b", "x = a - b"),
        ("x = a < b", "x = a <= b"),
        ("x = a and b", "x = a or b"),
        ("x = not a", "x = a"),
        ("x += 1", "x -= 1"),
        ("x = a[1:]", "x = a[:1]"),
        ("def f(a, b=1): pass", "def f(a, b=2): pass"),
        ("def f(a, b=1): pass", "def f(a, *, b=1): pass"),
        ("def f(*, a): pass", "def f(*, a=None): pass"),
        ("x = {None: y}", "x = {**y}"),
        ("x = 1e999", "x = inf"),
        ("x = 'y'", "x = y"),
        ("return x", "return"),
        ("f(x)", "f(*x)"),
        ("f(x=y)", "f(**y)"),
        ("def f(a): return a", "def f(b): return b"),  # the name of a local variable
        ("a()\nb()", "b()\na()"),
        ("if a:\n x = 1\n y = 2", "if a:\n x = 1\ny = 2"),
        ("for a in b:\n x = 1\nelse:\n y = 1", "for a in b:\n x = 1\ny = 1"),
        ("@cache\ndef f(): return 1", "@lru_cache\ndef f(): return 1"),
        ("import numpy as np", "import cupy as np"),
        ("from jmml.a import f", "from jmml.b import f"),
        ("__all__ = ['a']", "__all__ = ['b']"),
        ("def f():\n return 'no docstring'", "def f():\n return 'another'"),
        # A docstring that is read, and annotations that are.
        ('"""A."""\nprint(__doc__)', '"""B."""\nprint(__doc__)'),
        ("def f():\n 'a'\nx = f.__doc__", "def f():\n 'b'\nx = f.__doc__"),
        ("class A(BaseModel):\n x: int = 1", "class A(BaseModel):\n x: float = 1"),
        ("class A(BaseModel):\n x: Literal['a']", "class A(BaseModel):\n x: Literal['b']"),
        ("@dataclass\nclass A:\n x: int = 1", "@dataclass\nclass A:\n x: ClassVar[int] = 1"),
        ("class A(NamedTuple):\n if a:\n  x: int", "class A(NamedTuple):\n if a:\n  x: str"),
        ("@f.register\ndef g(x: int): pass", "@f.register\ndef g(x: str): pass"),
        ("def f(x: int): pass\ny = f.__annotations__", "def f(x: str): pass\ny = f.__annotations__"),
        ("def f(x: int): pass\ny = inspect.signature(f)", "def f(x: str): pass\ny = inspect.signature(f)"),
        ("Name = Literal['a', 'b']", "Name = Literal['a', 'c']"),
        # What only looks like a message.
        ("raise StopIteration(1)", "raise StopIteration(2)"),
        ("raise KeyError(key)", "raise KeyError(other)"),
        ("raise SystemExit(1)", "raise SystemExit(2)"),
        ("raise ModelError('a')", "raise OSError('a')"),
        ("raise ModelError('a')", "raise ModelError(x := 1)"),
        ("if x:\n raise ModelError('a')", "if y:\n raise ModelError('a')"),
        ("loss = ReconstructionError('a')", "loss = ReconstructionError('b')"),
        (f"{FOUND}\nraise FoundError(1)", f"{FOUND}\nraise FoundError(2)"),
        ("print('a', file=table)", "print('b', file=table)"),
        ("print(f'{take()}')", "print('a')"),
        ("log.warning(queue.pop())", "log.warning('a')"),
        ("mine.warning('a')", "mine.warning('b')"),
        ("x = print('a')", "x = print('b')"),
        ("notes.add_note('a')", "notes.add_note('b')"),
        ("warn('a')", "warn('b')"),
        ("assert a, 'x'", "assert b, 'x'"),
    ],
)  # fmt: skip
def test_what_counts(before: str, after: str) -> None:
    assert text(before) != text(after)


def test_of_errors_only_the_classes_and_their_bases_count() -> None:
    source = "class A(Exception):\n code = 1\nclass B(A, ValueError): pass\ndef f(): return 'words'"
    assert error_classes(source) == ["A(Exception)", "B(A, ValueError)"]


# Every constant and operator of everything that computes ----------------------------------------------------------


def computing() -> list[str]:
    """The modules that compute something, from corpora to scores."""
    found = {name for one in fingerprints().values() for name in one.modules}
    return sorted((found | {*fingerprint("jmml.cell").modules}) - {errors.__name__})


def tree_of(name: str) -> ast.Module:
    path = source_of(name)
    assert path is not None
    return ast.parse(path.read_text())


def writer_of(tree: ast.Module, name: str) -> _Writer:
    path = source_of(name)
    assert path is not None
    return _Writer(tree, _mentioned(tree), name, path.name == "__init__.py", frozenset(), _errors_of)


def written(tree: ast.Module, name: str) -> str:
    return "\n".join(writer_of(tree, name).form.statements)


DERIVED = ("FeatureTypeError", "UnfittedError")  # from our errors, in jmml.models.inputs


def is_error(node: ast.AST) -> bool:
    """Whether a call makes an error of ours, or a built-in one."""
    name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
    kind = getattr(errors, name, None) or getattr(builtins, name, None)
    return name in DERIVED or (isinstance(kind, type) and issubclass(kind, Exception))


def visited(node: ast.AST, silent: bool = False, in_class: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Every node below one, and whether it is part of a docstring, an annotation or a message."""
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST):
                continue
            quiet = (
                silent
                or (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant))
                or (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING")
                or (name in ("annotation", "returns") and not (in_class and isinstance(node, ast.AnnAssign)))
                or (isinstance(node, ast.Assert) and name == "msg")
                or (is_error(node) and name in ("args", "keywords"))
                or (
                    isinstance(node, ast.Call)
                    and ast.unparse(node.func).endswith(("add_note", "warnings.warn"))
                    and name == "args"
                )
            )
            yield child, quiet
            yield from visited(child, quiet, isinstance(node, ast.ClassDef) and name == "body")


@pytest.mark.parametrize("name", computing())
def test_every_constant_and_operator_counts_unless_it_is_said(name: str) -> None:
    """Each is replaced by something that occurs nowhere else, which is then looked for in the normal form."""
    tree = tree_of(name)
    before = written(tree, name)
    assert before == written(tree_of(name), name)
    marks: dict[str, bool] = {}
    for node, silent in list(visited(tree)):
        mark = f"mark{len(marks):05d}"
        if isinstance(node, ast.Constant) and not isinstance(node.value, str):
            node.value = mark.encode()
        elif isinstance(node, ast.Constant):
            node.value = mark
        elif isinstance(node, ast.BinOp | ast.AugAssign | ast.UnaryOp | ast.BoolOp):
            node.op = type(mark, (ast.operator,), {})()  # type: ignore[assignment]
        elif isinstance(node, ast.Compare):
            node.ops = [type(mark, (ast.cmpop,), {})() for _ in node.ops]
        else:
            continue
        marks[mark] = silent
    after = written(tree, name)
    assert [mark for mark, silent in marks.items() if (mark in after) == silent] == []
    assert (after == before) == all(marks.values())


@pytest.mark.parametrize("name", computing())
def test_the_order_of_statements_counts(name: str) -> None:
    tree = tree_of(name)
    writer = writer_of(tree, name)
    for statement in tree.body:
        if not (before := writer.statement(statement)):
            continue  # of what decides nothing, such as imports for types alone, the order is nothing either
        for node in ast.walk(statement):
            body = getattr(node, "body", None)
            texts = [text for text in map(writer.statement, body) if text] if isinstance(body, list) else []
            if isinstance(body, list) and texts != texts[::-1]:
                body.reverse()
                assert writer.statement(statement) != before
                body.reverse()
