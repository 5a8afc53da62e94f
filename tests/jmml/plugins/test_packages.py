"""Corpus adapters of installed packages: found by their entry points, and no worse for those that are broken."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jmml import plugins
from jmml.contracts import check_corpus
from jmml.data.corpora import ADAPTERS, detect_adapter, get_corpus
from jmml.errors import ConfigError
from jmml.fingerprint import fingerprint, forget
from jmml.plugins import _sources
from tests.jmml.data.corpora import make
from tests.jmml.plugins.packages import ADAPTER, install


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages; what is written into it is read once something asks."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    _renew()
    before, packages = set(sys.modules), dict(ADAPTERS._packages)
    yield folder
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
            del sys.modules[name]
    ADAPTERS._packages.clear()
    ADAPTERS._packages.update(packages)
    _renew()


def _renew() -> None:
    _sources._installed.cache_clear()
    forget()


def good(site: Path, name: str = "their-calls") -> Path:
    files = {
        "callslib/__init__.py": "",
        "callslib/adapter.py": f"from callslib.rules import LIMIT\n{ADAPTER.format(name=name)}",
        "callslib/rules.py": "LIMIT = 1\n",
    }
    return install(site, "calls-lib", files, f"[jmml.corpora]\n{name} = callslib.adapter\n")


def calls(root: Path) -> Path:
    for seed, name in enumerate(("01_anger_1", "01_calm_1", "02_joy_1", "02_sad_1")):
        make.write_wav(root / f"calls-{name}.wav", seed=seed)
    return root


def test_an_adapter_of_a_package_keeps_the_contract(site: Path, tmp_path: Path) -> None:
    good(site)
    check_corpus("their-calls", calls(tmp_path / "calls"))
    source = ADAPTERS.source("their-calls")
    assert source is not None
    assert source.where == "the package calls-lib"
    assert not ADAPTERS.problems()


def test_its_package_is_part_of_the_fingerprint(site: Path) -> None:
    good(site)
    assert plugins.modules("corpora") == ("callslib.adapter",)
    found = fingerprint(*plugins.modules("corpora"))
    assert {"callslib.adapter", "callslib.rules"} <= set(found.modules)
    (site / "callslib" / "rules.py").write_text("LIMIT = 2\n")
    forget()
    assert fingerprint(*plugins.modules("corpora")).digest != found.digest


def test_it_may_lie_in_a_namespace(site: Path) -> None:
    install(
        site,
        "ours-calls",
        {"ours_ns/calls.py": ADAPTER.format(name="ns")},
        "[jmml.corpora]\nns = ours_ns.calls\n",
    )
    assert get_corpus("ns").name == "ns"
    assert "ours_ns.calls" in fingerprint(*plugins.modules("corpora")).modules


def test_it_is_there_in_another_project_too(site: Path, tmp_path: Path) -> None:
    good(site)
    before = plugins.project()
    for name in ("one", "two"):
        (tmp_path / name / "corpora").mkdir(parents=True)
        plugins.use_project(tmp_path / name)
        assert get_corpus("their-calls").name == "their-calls"
    plugins.use_project(before)


@pytest.mark.parametrize(
    ("files", "points", "said"),
    [
        ({"sad_one.py": "x = 1\nraise OSError('gone')\n"}, "sad = sad_one", "at line 2: OSError: gone"),
        ({"sad_two.py": "import sys\nsys.exit(0)\n"}, "sad = sad_two", "at line 2: SystemExit: 0"),
        ({"sad_three.py": "def (:\n"}, "sad = sad_three", "at line 1: SyntaxError"),
        ({}, "sad = not_there_at_all", "ModuleNotFoundError"),
        ({"sad_four.py": ""}, "sad = sad_four", "registers no corpus adapter named 'sad'"),
        ({}, "sad = not a module!", "names no module: 'not a module!'"),
        (
            {"sad_five.py": f"{ADAPTER.format(name='sad')}\n    def __init__(self):\n        1 / 0\n"},
            "sad = sad_five",
            None,
        ),
        (
            {"sad_six.py": f"{ADAPTER.format(name='sad')}\n    def recognises(self, root):\n        1 / 0\n"},
            "sad = sad_six",
            None,
        ),
    ],
)
def test_a_broken_package_breaks_nothing_else(
    site: Path, tmp_path: Path, files: dict[str, str], points: str, said: str | None
) -> None:
    good(site)
    install(site, "sad-lib", files, f"[jmml.corpora]\n{points}\n")
    assert detect_adapter(calls(tmp_path / "calls")) == "their-calls"
    assert detect_adapter(make.make_emodb(tmp_path / "emodb")) == "emodb"
    assert "callslib.rules" in fingerprint(*plugins.modules("corpora")).modules
    if said is not None:
        (line,) = ADAPTERS.problems().values()
        assert line.startswith("the package sad-lib: ")
        assert said in line
        assert "\n" not in line
        with pytest.raises(ConfigError, match="the package sad-lib"):
            get_corpus("sad")


@pytest.mark.parametrize("text", ["[jmml.corpora]\nno sign of a module\n", "[jmml.corpora\nx = y\n"])
def test_entry_points_that_nobody_can_read_hide_no_others(site: Path, text: str) -> None:
    good(site)
    install(site, "worse-lib", {}, text)
    assert get_corpus("their-calls").name == "their-calls"
    assert {*ADAPTERS.names()} >= {"emodb", "their-calls"}


def test_a_package_takes_no_name_of_ours(site: Path, tmp_path: Path) -> None:
    good(site, "emodb")
    assert detect_adapter(make.make_emodb(tmp_path / "emodb")) == "emodb"
    assert type(get_corpus("emodb")).__module__ == "jmml.data.corpora.speech.emodb"
    assert [*ADAPTERS.problems().values()] == [
        "the package calls-lib: there is a corpus adapter 'emodb' already; rename it"
    ]


def test_of_one_name_in_two_packages_neither_is_taken(site: Path, tmp_path: Path) -> None:
    good(site)
    install(
        site,
        "other-lib",
        {"otherlib.py": ADAPTER.format(name="their-calls")},
        "[jmml.corpora]\ntheir-calls = otherlib\n",
    )
    assert detect_adapter(calls(tmp_path / "calls")) is None
    with pytest.raises(ConfigError, match="'their-calls' is also added by the package other-lib; rename one"):
        get_corpus("their-calls")
