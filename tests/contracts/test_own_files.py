"""The contracts that ship with the package hold for a person's own files, and notice what breaks them."""

from __future__ import annotations

from pathlib import Path

import pytest

from jmml import plugins
from jmml.contracts import ContractError, check_corpus, check_extractor, check_method
from pipelines.registry.contracts import check_gate
from pipelines.registry.gates import Candidate, Verdict, judge
from tests.contracts.test_readme import example
from tests.jmml.data.corpora import make
from tests.jmml.plugins import own


@pytest.fixture
def project(tmp_path: Path):
    before = plugins.project()
    root = own.write(tmp_path / "project")
    plugins.use_project(root)
    yield root
    plugins.use_project(before)


def lab(folder: Path) -> Path:
    for seed, name in enumerate(("01_anger_1", "01_calm_1", "02_joy_1", "02_sad_1")):
        make.write_wav(folder / f"{name}.wav", seed=seed)
    return folder


def test_the_files_that_the_docs_show_hold(project: Path, tmp_path: Path) -> None:
    for part, name in (
        ("@register_corpus", "corpora/lab_speech.py"),
        ("class HalfMLP", "methods/half_mlp.py"),
    ):
        (project / name).write_text(example(part, page="docs/python.md"))
    check_corpus("lab-speech", lab(tmp_path / "lab"))
    check_method("half-mlp")


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_one_of_each_kind_holds(project: Path, tmp_path: Path) -> None:
    check_corpus("lab-speech", lab(tmp_path / "lab"))
    check_extractor("energy", {"frames": 5})
    check_gate("on-a-weekday", [Candidate("FINISHED", {"day": "Monday"}, {}, tmp_path, tmp_path)])


@pytest.mark.parametrize("name", ["doubtful-mlp", "ones"])
def test_methods_hold(project: Path, name: str) -> None:
    check_method(name)


@pytest.mark.parametrize(
    ("old", "new", "clause"),
    [
        ('    name = "lab-speech"', '    name = "lab"', "the name it is registered under"),
        ('    layout = "files named like 01_anger_1.wav"', '    layout = ""', "says which files it expects"),
        ('"happiness"', '"elation"', "native_labels lead to emotions"),
        ("return bool(self._named(root))", "return True", "foreign files are not recognised"),
        ("for f in self._named(root)]", "for f in self._named(root)[:2]]", "has two people or more"),
    ],
)
def test_a_corpus_that_breaks_a_clause_is_seen(
    project: Path, tmp_path: Path, old: str, new: str, clause: str
) -> None:
    change(project / "corpora" / "lab_speech.py", old, new)
    with pytest.raises(ContractError, match=clause):
        check_corpus("lab-speech", lab(tmp_path / "lab"))


@pytest.mark.parametrize(
    ("old", "new", "clause"),
    [
        ('("variation", "dB")', '("level", "dB")', "each its own"),
        ('("variation", "dB")', '("variation", "")', "every feature has a unit"),
        ('("variation", "dB")', '("group", "dB")', "name of an index column"),
        ("np.mean(levels), np.std(levels)", "1.0, 2.0", "recordings that differ have features that differ"),
        (
            "        return [[",
            "        self.__class__.n = getattr(self, 'n', 0) + 1\n        levels[0] += self.n\n        return [[",
            "do not depend on those extracted before",
        ),
    ],
)
def test_an_extractor_that_breaks_a_clause_is_seen(project: Path, old: str, new: str, clause: str) -> None:
    change(project / "features" / "energy.py", old, new)
    with pytest.raises(ContractError, match=clause):
        check_extractor("energy")


def test_a_method_that_looks_at_the_clock_is_seen(project: Path) -> None:
    change(
        project / "methods" / "doubtful_mlp.py",
        "        return {name: 0.5 * value",
        "        import itertools\n        Doubtful.calls = getattr(Doubtful, 'calls', itertools.count())\n"
        "        return {name: (1 + next(Doubtful.calls)) * value",
    )
    with pytest.raises(ContractError, match=r"depends on the people it is evaluated on|equal predictions"):
        check_method("doubtful-mlp")


@pytest.mark.parametrize(
    ("old", "new", "clause"),
    [
        (
            'candidate.tags.get("day", "no day")',
            'candidate.tags["day"]',
            "verdict on any candidate; found KeyError",
        ),
        ("return Verdict(", "return str, (", "gives a verdict"),
        ('f"made on {day}"', '""', "a reason of one line"),
        ('day not in ("no day", ', "day not in (", "left nothing behind"),
    ],
)
def test_a_gate_that_breaks_a_clause_is_seen(project: Path, old: str, new: str, clause: str) -> None:
    change(project / "gates" / "on_a_weekday.py", old, new)
    with pytest.raises(ContractError, match=clause):
        check_gate("on-a-weekday")


def test_promotion_asks_a_projects_gate_and_survives_its_failure(project: Path, tmp_path: Path) -> None:
    candidate = Candidate("FINISHED", {"day": "Monday"}, {}, tmp_path, tmp_path)
    assert judge(candidate)[-1] == Verdict("weekday", True, "made on Monday")
    plugins.use_project(None)
    assert len(judge(candidate)) == 9
    plugins.use_project(project)
    change(project / "gates" / "on_a_weekday.py", 'candidate.tags.get("day", "no day")', "1 / 0")
    assert judge(candidate)[-1] == Verdict(
        "on-a-weekday", False, "the gate failed: ZeroDivisionError: division by zero"
    )
