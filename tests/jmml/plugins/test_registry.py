"""Additions of a project: found by their files, loaded when they are named, and refused in one line."""

from __future__ import annotations

import pickle
import sys
from importlib import metadata
from pathlib import Path

import pytest

from jmml import plugins
from jmml.config import CorpusConfig, EvaluationConfig, validate
from jmml.data.corpora import detect_adapter, get_corpus
from jmml.errors import ConfigError, CorpusError, ProtocolError
from jmml.methods import METHODS, Method, label_only, of_kind, register_method
from jmml.models.controls import CONTROLS
from jmml.plugins import CORPORA, _sources, files, in_project, modules, use_project
from jmml.plugins._registry import Registry


def loaded() -> set[str]:
    return {name for name in sys.modules if name.startswith("jmml_project.")}


def test_names_are_known_without_running_anything(project: Path) -> None:
    assert CORPORA.names()[-1] == "lab-speech"
    assert {"deap", "emodb", "files", "nemo", "table"} <= set(CORPORA.names()[:-1])
    assert METHODS.names()[-2:] == ("doubtful-mlp", "ones")
    validate(EvaluationConfig, {"methods": ["raw", "doubtful-mlp"]})
    validate(CorpusConfig, {"adapter": "lab-speech", "modality": "speech", "path": "x"})
    assert not loaded()


def test_an_addition_is_loaded_when_it_is_asked_for_and_no_other(project: Path) -> None:
    assert get_corpus("lab-speech").layout == "files named like 01_anger_1.wav"
    assert loaded() == {"jmml_project.corpora", "jmml_project.corpora.lab_speech"}
    assert METHODS["doubtful-mlp"].label == "doubtful MLP"


def test_additions_belong_to_their_project(project: Path, tmp_path: Path) -> None:
    assert "lab-speech" in CORPORA
    assert METHODS["ones"].label_only
    assert "ones" in CONTROLS
    use_project(tmp_path)
    assert "ones" not in CONTROLS
    assert "lab-speech" not in CORPORA
    assert not loaded()
    with pytest.raises(CorpusError, match="unknown corpus adapter 'lab-speech'"):
        get_corpus("lab-speech")
    use_project(project)
    assert get_corpus("lab-speech").name == "lab-speech"


def test_kinds_and_label_only_controls_know_additions(project: Path) -> None:
    assert of_kind("peer")[-1] == "doubtful-mlp"
    assert label_only()[-1] == "ones"
    assert label_only({"raw", "one-hot"}) == ("one-hot",)


def test_unknown_names_get_the_nearest_valid_one(project: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"methods.0: unknown method 'doubtful-mpl'; did you mean 'doubtful-mlp'"
    ):
        validate(EvaluationConfig, {"methods": ["doubtful-mpl"]})
    with pytest.raises(ProtocolError, match="unknown method 'onees'; did you mean 'ones'"):
        METHODS["onees"]
    with pytest.raises(
        ConfigError, match=r"adapter: unknown corpus adapter 'lab-spech'; did you mean 'lab-speech'"
    ):
        validate(CorpusConfig, {"adapter": "lab-spech", "modality": "speech", "path": "x"})


def test_a_projects_corpus_is_recognised_before_others(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / "features.csv").write_text("id,group,label,x\na,1,anger,2\n")
    assert detect_adapter(folder) == "table"
    (folder / "01_anger_1.wav").write_bytes(b"")
    assert detect_adapter(folder) == "lab-speech"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "methods/broken.py",
            "x = 1\nraise OSError('gone')\n",
            r"methods/broken.py: .*at line 2: OSError: gone",
        ),
        ("methods/broken.py", "def (:\n", r"methods/broken.py: .*at line 1: SyntaxError"),
        (
            "methods/broken.py",
            "import not_there\n",
            "at line 1: ModuleNotFoundError: No module named 'not_there'",
        ),
        ("methods/broken.py", "", "methods/broken.py: registers no method named 'broken'"),
        (
            "methods/broken.py",
            "from jmml.methods import *\nregister_method(Method('other', 'o', 'peer', 's'))",
            "methods/broken.py: registers the method 'other'; expected 'broken'",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(project: Path, name: str, text: str, message: str) -> None:
    (project / name).write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        METHODS["broken"]
    assert "\n" not in str(caught.value)
    assert METHODS["ones"].label == "ones"  # the others are as they were


def test_a_name_that_is_taken_is_refused(project: Path) -> None:
    (project / "methods" / "raw.py").write_text("")
    with pytest.raises(ConfigError, match=r"methods/raw.py: there is a method 'raw' already"):
        METHODS["raw"]
    with pytest.raises(ConfigError, match="there is a method 'ones' already"):
        METHODS.register("ones", METHODS["ones"])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (Method("x", "x", "ours", "s"), "'ours' is JMML itself"),
        (Method("x", "x", "peer", "s", part="p"), "build and part: expected both or none"),
        (Method("x", "x", "peer", "s", part="p", build=lambda s: None), "estimator: missing"),  # type: ignore[arg-type,return-value]
        (Method("x", "x", "control", "s"), "control: expected for kind 'control'"),
        (Method("x", "x", "control", "s", control="twos"), "unknown control 'twos'; did you mean|valid"),
    ],
)
def test_a_row_that_contradicts_itself_is_refused(row: Method, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        register_method(row)


def test_an_installed_package_adds_by_its_entry_point(monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "a_package.py").write_text(
        "from jmml.plugins._registry import Registry\nimport holder\nholder.registry.register('theirs', 3)\n"
    )
    holder = type(sys)("holder")
    registry: Registry[int] = Registry("things", "thing", home="jmml.errors", error=CorpusError)
    holder.registry = registry  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "holder", holder)
    monkeypatch.syspath_prepend(str(tmp_path))
    point = metadata.EntryPoint("theirs", "a_package", "jmml.things")
    monkeypatch.setattr(_sources, "entry_points", lambda group: [point] if group == "jmml.things" else [])
    _sources._installed.cache_clear()
    assert registry.names() == ("theirs",)
    assert registry["theirs"] == 3
    _sources._installed.cache_clear()
    sys.modules.pop("a_package", None)


def test_the_files_are_listed_for_the_fingerprint(project: Path) -> None:
    (project / "methods" / "_shared.py").write_text("")
    assert modules("methods") == ("jmml_project.methods.doubtful_mlp", "jmml_project.methods.ones")
    assert set(modules()) == {
        *modules("corpora"),
        *modules("features"),
        *modules("methods"),
        *modules("gates"),
    }
    assert files("gates") == {"jmml_project.gates.on_a_weekday": project / "gates" / "on_a_weekday.py"}
    assert not [name for name in loaded() if name.count(".") > 1]


def test_a_function_takes_its_project_along(project: Path, tmp_path: Path) -> None:
    carried = pickle.dumps(in_project(get_corpus("lab-speech").recognises))
    use_project(tmp_path)
    function = pickle.loads(carried)  # noqa: S301
    assert plugins.project() == project.resolve()
    (tmp_path / "01_anger_1.wav").write_bytes(b"")
    assert function(tmp_path) is True


def test_files_of_a_project_may_share_code(project: Path) -> None:
    (project / "methods" / "_shared.py").write_text("LABEL = 'shared label'\n")
    (project / "methods" / "third.py").write_text(
        "from jmml.methods import Method, register_method\nfrom jmml_project.methods._shared import LABEL\n"
        "import jmml_project.methods.ones\nregister_method(Method('third', LABEL, 'peer', 's'))\n"
    )
    assert METHODS["third"].label == "shared label"
    assert METHODS["ones"].label == "ones"


def test_without_a_project_nothing_is_looked_for(project: Path, monkeypatch) -> None:
    monkeypatch.chdir(project)
    use_project(None)
    assert "lab-speech" not in CORPORA
    assert modules() == ()


@pytest.mark.parametrize("line", ["import sys; sys.exit(0)", "raise SystemExit(3)"])
def test_a_file_that_ends_the_process_is_refused_like_one_that_fails(project: Path, line: str) -> None:
    (project / "corpora" / "ends.py").write_text(f"{line}\n")
    use_project(None)
    use_project(project)
    with pytest.raises(ConfigError, match=r"ends\.py: cannot be loaded at line 1: SystemExit: [03]"):
        detect_adapter(project)
