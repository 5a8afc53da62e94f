"""Which modules, files and libraries make up a result: along the imports, wherever they stand."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from jmml.fingerprint import Fingerprint, fingerprint, forget

NUMBERS = itertools.count()
Look = Callable[..., Fingerprint]
Edited = Callable[[dict[str, str]], str]


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    """The fingerprint of a package with these files, from its module ``start``; ``pkg`` in a text is its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def look(files: dict[str, str], *, entry: str = "start", **options: tuple[str, ...]) -> Fingerprint:
        name = f"pkg{next(NUMBERS)}"
        for path, source in {"__init__.py": "", **files}.items():
            target = tmp_path / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(textwrap.dedent(source).replace("pkg", name))
        chosen = {
            key: tuple(value.replace("pkg", name) for value in values) for key, values in options.items()
        }
        found = fingerprint(f"{name}.{entry}", **chosen)
        plain = tuple(module.removeprefix(f"{name}.") for module in found.modules)
        return Fingerprint(found.code, found.libraries, plain)

    return look


@pytest.fixture
def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edited:
    """The code of a package that keeps its name, as it is read anew with these files."""
    monkeypatch.syspath_prepend(tmp_path)
    name = f"pkg{next(NUMBERS)}"

    def code(files: dict[str, str]) -> str:
        for path, source in {"__init__.py": "", **files}.items():
            target = tmp_path / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(source.replace("pkg", name))
        forget()
        return fingerprint(f"{name}.start").code

    return code


@pytest.mark.parametrize(
    "statement",
    [
        "import pkg.other",
        "from pkg import other",
        "from pkg.other import x",
        "from pkg.other import *",
        "from .other import x",
        "from . import other as something",
        "def f():\n    from pkg.other import x",
        "class A:\n    def f(self):\n        import pkg.other",
        "try:\n    import pkg.other\nexcept ImportError:\n    pass",
        "from importlib import import_module\nother = import_module('pkg.other')",
        "__import__('pkg.other')",
    ],
)
def test_an_import_is_followed_wherever_it_stands(look: Look, statement: str) -> None:
    found = look(
        {"start.py": statement, "other.py": "from pkg import third", "third.py": "x = 1", "fourth.py": ""}
    )
    assert {"other", "start", "third"} <= set(found.modules)
    assert "fourth" not in found.modules


def test_relative_imports_of_folders_above(look: Look) -> None:
    files = {
        "a/__init__.py": "",
        "a/b/__init__.py": "from . import c\nfrom ..d import x",
        "a/b/c.py": "from ...top import x",
        "a/d.py": "",
        "top.py": "",
    }
    assert look(files, entry="a.b").modules == ("a.b", "a.b.c", "a.d", "top")


def test_imports_for_type_checkers_are_not_followed(look: Look) -> None:
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pkg import other"
    assert look({"start.py": source, "other.py": ""}).modules == ("start",)


def test_what_a_package_hands_on_is_followed_to_its_source(look: Look) -> None:
    files = {
        "start.py": "from pkg.face import A",
        "face/__init__.py": "from pkg.face._a import A\nfrom pkg.face._b import B",
        "face/_a.py": "",
        "face/_b.py": "",
    }
    assert look(files).modules == ("face._a", "start")
    lazy = """
        from importlib import import_module
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from pkg.face._a import A
            from pkg.face._b import B
        def __getattr__(name):
            return getattr(import_module(MODULES[name]), name)
        """
    assert look({**files, "face/__init__.py": lazy}).modules == ("face._a", "start")
    defined = "from pkg.face._b import B\ndef A(): return B()"
    assert look({**files, "face/__init__.py": defined}).modules == ("face", "face._b", "start")


def test_an_import_by_a_computed_name_takes_the_whole_package(look: Look) -> None:
    files = {
        "start.py": "from pkg.registry import find",
        "registry/__init__.py": "from importlib import import_module\ndef find(name): return import_module(name)",
        "registry/one.py": "from pkg import helper",
        "registry/two/__init__.py": "",
        "helper.py": "",
        "aside.py": "",
    }
    assert look(files).modules == ("helper", "registry", "registry.one", "registry.two", "start")


@pytest.mark.parametrize(
    "source",
    [
        "from pathlib import Path\nTABLE = Path(__file__).parent / 'table.csv'",
        "from importlib.resources import files\nTABLE = files('pkg') / 'table.csv'",
        "from importlib import resources\nTABLE = resources.files('pkg') / 'table.csv'",
        "import importlib.resources\nTABLE = importlib.resources.files('pkg') / 'table.csv'",
    ],
)
def test_files_beside_a_module_that_reads_them_count(edited: Edited, source: str) -> None:
    files = {"start.py": source, "tables/table.csv": "1,2"}
    base = edited(files)
    assert edited(files) == base != edited({**files, "tables/table.csv": "1,3"})
    blind = {**files, "start.py": "x = 1"}
    assert edited(blind) == edited({**blind, "tables/table.csv": "1,3"})


def test_a_change_anywhere_in_the_closure_is_another_code(edited: Edited) -> None:
    other = "def f(x): return x + 1"
    files = {"start.py": "from pkg import other\nX = other.f(2)", "other.py": other, "aside.py": ""}
    base = edited(files)
    texts = "# one\ndef f(x: int) -> int:\n    '''More.'''\n    return x + 1"
    for kept in ({}, {"other.py": texts}, {"aside.py": "x = 1"}):
        assert edited({**files, **kept}) == base
    changes = [
        {"other.py": "def f(x): return x + 2"},
        {"other.py": "def f(x): return x - 1"},
        {"other.py": "def f(x=0): return x + 1"},
        {"start.py": "from pkg import other\nX = other.f(3)"},
        {"start.py": "from pkg import other"},
    ]
    assert len({base, *(edited({**files, **change}) for change in changes)}) == 1 + len(changes)


def test_libraries_are_those_that_the_closure_uses_and_that_decide(look: Look) -> None:
    source = """
        import json, yaml, tqdm
        from sklearn.svm import SVC
        def f():
            import numpy.fft as fft
            import no_such_library
        """
    assert look({"start.py": source}).libraries == {
        "numpy": version("numpy"),
        "scikit-learn": version("scikit-learn"),
        "no_such_library": "not installed",
    }


def test_the_version_of_a_library_is_part_of_the_digest_and_not_of_the_code() -> None:
    one, two = (Fingerprint("c0de", {"numpy": number}, ()) for number in ("1", "2"))
    assert one.digest != two.digest != Fingerprint("c0d", {"numpy": "2"}, ()).digest


def test_only_what_may_be_followed_is(look: Look) -> None:
    files = {
        "start.py": "from pkg import a, b, c",
        "a.py": "",
        "b/__init__.py": "",
        "b/d.py": "",
        "c.py": "import numpy",
    }
    assert look(files, without=("pkg.b", "pkg.c")).modules == ("a", "start")
    assert look(files, within=("pkg.c",)).modules == ("c", "start")
    assert look(files, within=("pkg.c",)).libraries == {"numpy": version("numpy")}


def test_a_module_without_source_is_an_error() -> None:
    with pytest.raises(LookupError, match=r"no Python source of the module jmml\.nothing"):
        fingerprint("jmml.nothing")


def test_what_trains_is_followed_and_what_shows_is_not() -> None:
    found = fingerprint("jmml.cell")
    assert {"jmml.models.jec_ssl", "jmml.models.pls", "jmml.search", "jmml.evaluation.metrics"} <= set(
        found.modules
    )
    assert not [
        name for name in found.modules if name.startswith(("jmml.evaluation.plots", "jmml.fingerprint"))
    ]
    assert {"numpy", "scipy", "scikit-learn", "torch"} <= set(found.libraries)


def test_a_module_that_is_not_python_counts_by_its_bytes(edited: Edited) -> None:
    """Nobody can import it: whoever asks for it is told what is wrong, and all others can work."""
    start = {"start.py": "def f():\n    import pkg.broken\n"}
    codes = [edited({**start, "broken.py": text}) for text in ("x = (", "x = (  # open", "x = 1\0", "x = 1")]
    assert len({*codes}) == 4
    assert codes[0] == edited({**start, "broken.py": "x = ("})


CORE = "def scale(x):\n    return x\n"
# File that is edited -> all files, "1" in the edited one taking another value.
SEEN = {
    "a name that its package defines anew": (
        "lib/__init__.py",
        {"start.py": "from pkg.lib import scale\n", "lib/_core.py": CORE,
         "lib/__init__.py": "from pkg.lib._core import scale\n_f = scale\ndef scale(x):\n    return 1 * _f(x)\n"},
    ),
    "a name that its package imports under another": (
        "lib/__init__.py",
        {"start.py": "from pkg.lib import scale\n", "lib/_core.py": CORE,
         "lib/__init__.py": "from pkg.lib._core import scale as _f\nscale = lambda x: 1 * _f(x)\n"},
    ),
    "what takes the place of a module that is missing": (
        "lib/_slow.py",
        {"start.py": "from pkg.lib import scale\n", "lib/_fast.py": CORE, "lib/_slow.py": "scale = 1\n",
         "lib/__init__.py":
         "try:\n    from pkg.lib._fast import scale\nexcept ImportError:\n    from pkg.lib._slow import scale\n"},
    ),
    "a package that is run before its module": (
        "lib/__init__.py",
        {"start.py": "from pkg.lib._core import scale\n", "lib/_core.py": CORE,
         "lib/__init__.py": "import numpy as np\nnp.random.seed(1)\n"},
    ),
    "a module imported by its name below the package": (
        "_h.py",
        {"start.py": "import importlib\nh = importlib.import_module('._h', __package__)\n", "_h.py": "C = 1\n"},
    ),
    "import_module under another name": (
        "_h.py",
        {"start.py": "from importlib import import_module as load\nh = load('pkg._h')\n", "_h.py": "C = 1\n"},
    ),
    "packages in a package whose modules are imported by computed names": (
        "lib/sub/a.py",
        {"start.py": "from pkg import lib\n", "lib/sub/__init__.py": "", "lib/sub/a.py": "C = 1\n",
         "lib/__init__.py": "from importlib import import_module\nN = 'a'\nX = import_module('pkg.lib.sub.' + N)\n"},
    ),
    "a file read through pkgutil": (
        "w.txt", {"start.py": "import pkgutil\nW = pkgutil.get_data(__package__, 'w.txt')\n", "w.txt": "1"},
    ),
    "a hidden file": (
        ".w", {"start.py": "from pathlib import Path\nW = (Path(__file__).parent / '.w').read_text()\n", ".w": "1"},
    ),
    "a docstring that is read by name": (
        "start.py", {"start.py": "def f():\n    '1'\nC = float(getattr(f, '__doc__'))\n"},
    ),
    "a docstring that inspect reads": (
        "start.py", {"start.py": "import inspect\ndef f():\n    '1'\nC = float(inspect.getdoc(f))\n"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SEEN)
def test_an_edit_is_seen(edited: Edited, case: str) -> None:
    file, files = SEEN[case]
    before = edited(files)
    assert edited(files) == before
    assert edited(files | {file: files[file].replace("1", "2")}) != before


def test_a_module_of_somebody_s_own_is_followed_and_is_no_library(
    edited: Edited, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"lab_tools{next(NUMBERS)}"
    helper = tmp_path / f"{name}.py"
    helper.write_text("C = 1\n")
    before = edited({"start.py": f"import {name}\n"})
    helper.write_text("C = 2\n")
    assert edited({}) != before
