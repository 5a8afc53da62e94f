from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from jmml.config import MethodConfig, load_params, parse_yaml, validate
from jmml.errors import ConfigError, SweepError
from pipelines.definitions import spaces
from pipelines.sweep.definition.choices import CHANGEABLE
from pipelines.sweep.definition.fit import check_against
from pipelines.sweep.definition.model import SweepDefinition
from pipelines.sweep.definition.reading import KEYS, READY_MADE, check, load_definition
from tests.pipelines.sweep.projects import definition

BASE = validate(MethodConfig, {"stage2": {"epochs": 20}})


def problems(**changes: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check(definition(**changes))
    return caught.value.problems


def overridden(tmp_path, *overrides: str, **changes: object) -> SweepDefinition:
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(definition(**changes)))
    return load_definition(path, overrides=overrides)


TRIALS = {"demo": 6, "quick": 12, "stage2": 30, "team": 200}


@pytest.mark.parametrize("name", TRIALS)
def test_shipped_definitions_are_valid_for_the_default_method(name):
    loaded = load_definition(name)
    check_against(loaded, MethodConfig())
    assert loaded.name == name
    assert loaded.n_trials() == TRIALS[name]


def test_every_shipped_definition_is_tested():
    assert set(READY_MADE) == set(TRIALS)


def test_the_definition_for_stage_2_leaves_stage_1_alone():
    assert not [key for key in load_definition("stage2").space if key.startswith("stage1.")]


def test_all_problems_are_reported_at_once_with_the_nearest_key():
    found = problems(
        trials=0,
        algorithm="radom",
        scheduler={"name": "ahsa", "grase_epochs": 2},
        spase=1,
        space={
            "stage2.kk": {"choice": [1]},
            "stage2.lr": {"loguniform": [1e-2, 1e-4]},
            "stage1.p": {"int": [0, 4]},
        },
    )
    text = "\n".join(found)
    for part in (
        "budget.trials: expected greater than 0, got 0",
        "unknown algorithm 'radom'; did you mean 'random'? (valid: cma-es, grid, pbt, random, tpe)",
        "scheduler.name: unknown scheduler 'ahsa'; did you mean 'asha'? (valid: asha, hyperband, median, none)",
        "scheduler.grase_epochs: unknown key; did you mean 'grace_epochs'?",
        "spase: unknown key; did you mean 'space'?",
        "unknown setting 'stage2.kk'; did you mean 'stage2.k'?",
        "the lower bound 0.01 is above the upper bound 0.0001",
        "space.stage1.p: expected greater than 0, got 0",
    ):
        assert part in text
    assert len(found) == 8


@pytest.mark.parametrize("algorithm", ["bayes", "", "TPE"])
def test_an_unknown_algorithm_lists_the_valid_ones(algorithm):
    (found,) = problems(algorithm=algorithm)
    assert found.startswith(f"algorithm: unknown algorithm '{algorithm}'")
    assert all(name in found for name in ("grid", "tpe", "random"))


def test_an_empty_space_is_one_problem():
    (found,) = problems(space={})
    assert found.startswith("space: empty")


@pytest.mark.parametrize("space", [None, [], "stage2.k"])
def test_a_space_that_is_no_mapping(space):
    (found,) = problems(space=space)
    assert found.startswith("space: expected a mapping")


def test_missing_parts_are_named():
    with pytest.raises(ConfigError) as caught:
        check({})
    trials = "budget.trials: missing; say how many configurations tpe may try at most"
    assert sorted(caught.value.problems) == [trials, "name: missing", "space: missing"]
    with pytest.raises(ConfigError) as caught:
        check({"name": "a", "space": {"stage2.k": {"choice": [2, 3]}}})
    assert caught.value.problems == [trials]
    with pytest.raises(ConfigError) as caught:
        check({"name": "a", "algorithm": "grid"})
    assert caught.value.problems == ["space: missing"]
    with pytest.raises(ConfigError) as caught:  # nothing that follows from a mistyped entry
        check({"name": "a", "algorithm": "tpo", "space": {"stage2.k": {"choice": [2, 3]}}})
    assert len(caught.value.problems) == 1
    with pytest.raises(ConfigError) as caught:  # with contradictions, where the form is sound
        check({"name": "a", "algorithm": "pbt", "space": {"stage2.k": {"choice": [2, 3]}}})
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["budget.trials", "space"]


def test_a_grid_must_be_finite():
    (found,) = problems(algorithm="grid")
    assert "grid cannot enumerate stage2.lam_c" in found


def test_a_grid_is_run_as_a_whole():
    space = {"stage1.p": {"choice": [3, 4]}, "stage2.k": {"int": [2, 4]}}
    (found,) = problems(algorithm="grid", space=space, trials=5)
    assert "5 is less than the grid of 6 configurations" in found
    assert check(definition(algorithm="grid", space=space, trials=100)).n_trials() == 6
    assert check(definition(algorithm="grid", space=space, trials=None)).n_trials() == 6


@pytest.mark.parametrize("algorithm", ["random", "tpe"])
def test_more_trials_than_configurations(algorithm):
    (found,) = problems(algorithm=algorithm, trials=3, space={"stage2.k": {"choice": [2, 3]}})
    assert "trials: 3, but the space holds 2 configurations" in found


def test_a_budget_of_epochs_that_is_less_than_one_trial():
    budget = {"trials": 3, "epochs": 19}
    with pytest.raises(ConfigError, match=r"budget\.epochs: 19, but one trial alone runs 20 epochs"):
        check_against(check(definition(trials=None, budget=budget)), BASE)
    check_against(check(definition(trials=None, budget={**budget, "epochs": 20})), BASE)


def test_grace_beyond_the_last_epoch():
    scheduler = {"name": "asha", "grace_epochs": 21}
    with pytest.raises(ConfigError, match="21, but trials run at most 20 epochs"):
        check_against(check(definition(scheduler=scheduler)), BASE)
    check_against(check(definition(scheduler="none")), BASE)
    space = {"stage2.epochs": {"int": [5, 30]}, "stage2.lr": {"uniform": [0.1, 0.2]}}
    longer = check(definition(scheduler=scheduler, space=space))
    check_against(longer, BASE)
    assert longer.max_epochs(BASE) == 30


def test_options_must_suit_the_classifier_of_the_project():
    space = {"classifier.options.n_estimators": {"int": [10, 50]}}
    loaded = check(definition(space={**space, "classifier.name": {"choice": ["random-forest"]}}))
    check_against(loaded, BASE)
    with pytest.raises(ConfigError, match="n_estimators"):
        check_against(check(definition(space=space)), BASE)


def test_a_missing_file_and_an_unknown_name(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_definition(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="did you mean 'demo'"):
        load_definition("dmo")


def test_a_folder_of_the_same_name_is_not_taken_for_the_definition(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    (tmp_path / "mine.yaml").mkdir()
    assert load_definition("demo").name == "demo"
    with pytest.raises(ConfigError, match=r"mine.yaml: is a folder; expected a YAML file, or one of demo"):
        load_definition("mine.yaml")


def test_a_file_that_is_no_mapping(tmp_path):
    (tmp_path / "s.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError) as caught:
        load_definition(tmp_path / "s.yaml")
    said = "the file holds a list; expected a sweep definition, a mapping with name, budget and space. Start from "
    assert str(caught.value).startswith(f"{tmp_path / 's.yaml'}: {said}{READY_MADE['quick']}")
    assert "docs/sweeps.md" in str(caught.value)


def test_overrides(tmp_path):
    changed = overridden(
        tmp_path,
        "trials=20",
        "stage2.k=3,4,8",
        "space.stage1.p=5",
        "stage2.lr=loguniform(1e-4, 1e-2)",
        "stage2.imagined=true,false",
        "scheduler.grace_epochs=3",
        "algorithm=tpe",
    )
    assert changed.n_trials() == 20
    assert changed.algorithm == "tpe"
    assert (changed.scheduler.name, changed.scheduler.grace_epochs) == ("none", 3)
    assert {key: str(value) for key, value in changed.space.items()} == {
        "stage1.p": "choice [5]",
        "stage2.lam_c": "loguniform [0.1, 3]",
        "stage2.k": "choice [3, 4, 8]",
        "stage2.lr": "loguniform [0.0001, 0.01]",
        "stage2.imagined": "choice [True, False]",
    }


def test_a_scheduler_can_be_overridden_by_name(tmp_path):
    assert overridden(tmp_path, "scheduler=asha").scheduler.name == "asha"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("trials", "expected KEY=VALUE"),
        ("trials=", "expected KEY=VALUE"),
        ("trails=3", "unknown key 'trails'; did you mean 'trials'?"),
        ("trials=many", "budget.trials: expected an integer, got 'many'"),
        ("stage2.kk=3", "unknown setting 'stage2.kk'"),
        ("stage2.k=normal(0,1)", "unknown distribution 'normal'"),
        ("stage2.lr=uniform(0,1", "')' is missing; expected for example stage2.lr=loguniform(1e-4,1e-2)"),
        ("stage2.k=3,", "expected an integer, got ''"),
        ("space=3", "unknown key 'space'"),
        ("scheduler.grase=3", "scheduler.grase: unknown key"),
        ("seed.x=3", "unknown key 'seed.x'; did you mean 'seed'?"),
        ("seeds=0,1", "unknown key 'seeds'"),
        ("corpora.speech.version=123", "corpora.speech.version"),
        ("budget.hours=-1", "budget.hours: expected greater than 0"),
    ],
)
def test_wrong_overrides(tmp_path, text, part):
    with pytest.raises(ConfigError) as caught:
        overridden(tmp_path, text)
    assert part in "\n".join(caught.value.problems)


def test_every_section_can_be_overridden(tmp_path):
    changed = overridden(
        tmp_path,
        "budget.trials=7",
        "budget.hours=1.5",
        "budget.epochs=null",
        "protocol.seeds=4,5",
        "protocol.inner_folds=2",
        "protocol.outer_fold=1",
        "protocol.label_space=discrete",
        "resources.cpus=0.5",
        "objective.score=lower-bound",
        "objective.cost=inference",
        "corpora.speech=nemo",
        "corpora.speech.version=1234567",
        "corpora.eeg.name=deap",
        "share=0.5",
        "concurrent=null",
        "name=other",
    )
    assert (changed.budget.trials, changed.budget.hours, changed.budget.epochs) == (7, 1.5, None)
    assert (changed.protocol.seeds, changed.protocol.inner_folds) == ([4, 5], 2)
    assert (changed.protocol.outer_fold, changed.protocol.label_space) == (1, "discrete")
    assert changed.resources.cpus == 0.5
    assert (changed.objective.score, changed.objective.cost) == ("lower-bound", "inference")
    assert (changed.corpora.speech.name, changed.corpora.speech.version) == ("nemo", "1234567")
    assert (changed.corpora.eeg.name, changed.corpora.eeg.version) == ("deap", None)
    assert (changed.share, changed.concurrent, changed.name) == (0.5, None, "other")


ORDERED = {"stage2.lr": {"loguniform": [1e-4, 1e-2]}, "stage1.r": {"int": [4, 8]}}
CHANGING = {"stage2.lr": {"loguniform": [1e-4, 1e-2]}, "stage2.lam_x": {"uniform": [0.0, 2.0]}}


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"algorithm": "optuna"}, "is called tpe now"),
        ({"outer_fold": 1}, "write protocol: {outer_fold: 1}"),
        ({"budget": {"trials": 3}}, "trials: given twice"),
        ({"trials": None}, "budget.trials: missing"),
        ({"resources": {"cpus": -1}}, "resources.cpus: expected greater than 0"),
        ({"resources": {"gpus": -0.5}}, "resources.gpus"),
        ({"resources": {"gpus": 1.5}}, "a fraction below 1 or a whole number"),
        ({"share": 0}, "share: expected greater than 0"),
        ({"share": 1.5}, "share: expected less than or equal to 1"),
        ({"trials": None, "budget": {"trials": 3, "epochs": 0}}, "budget.epochs: expected greater than 0"),
        ({"protocol": {"seeds": [0, 0]}}, "protocol.seeds: 0 is named more than once"),
        ({"protocol": {"inner_folds": 1}}, "protocol.inner_folds"),
        ({"objective": {"score": "max"}}, "objective.score"),
        ({"corpora": {"speech": {"name": "nemo", "version": "1.0"}}}, "corpora.speech.version"),
        ({"algorithm": "tpe", "lag": 2, "concurrent": 4}, "lag: 2 is less than concurrent: 4"),
        ({"algorithm": "cma-es"}, "stage1.p is a choice"),
        ({"algorithm": "cma-es", "space": {"stage2.lr": ORDERED["stage2.lr"]}}, "two settings that vary"),
        (
            {"algorithm": "cma-es", "space": ORDERED, "objective": {"cost": "inference"}},
            "cma-es has one objective; use algorithm random, grid, tpe",
        ),
        ({"algorithm": "pbt", "trials": 8}, "which stage1.p cannot; valid: stage2.lr"),
        ({"algorithm": "pbt", "trials": 2, "space": CHANGING}, "too few for a population"),
        ({"algorithm": "pbt", "trials": 8, "space": CHANGING, "scheduler": "asha"}, "write scheduler: none"),
        ({"pbt": {"interval": 3}}, "pbt: belongs to algorithm pbt"),
    ],
)
def test_contradictions(changes, part):
    found = problems(**changes)
    assert len(found) == 1
    assert part in found[0]


def test_contradictions_are_looked_for_where_the_form_is_sound():
    contradictory = {"algorithm": "cma-es", "objective": {"cost": "inference"}}
    found = problems(**contradictory, trials=0, share=2, spase=1)
    assert sorted(problem.partition(":")[0] for problem in found) == ["budget.trials", "share", "spase"]
    choice, objectives = problems(**contradictory)
    assert "stage1.p is a choice" in choice
    assert "one objective" in objectives


def test_a_population_has_no_other_scheduler_and_perturbs_within_the_training():
    data = {"algorithm": "pbt", "trials": 8, "space": CHANGING}
    loaded = check({key: value for key, value in definition(**data).items() if key != "scheduler"})
    assert (loaded.scheduler.name, loaded.pbt.interval) == ("none", 5)
    assert check(loaded.plain()) == loaded
    check_against(loaded, BASE)
    with pytest.raises(ConfigError, match=r"pbt\.interval: 20, but trials run at most 20"):
        check_against(check(definition(**data, pbt={"interval": 20})), BASE)


def test_what_population_based_training_changes_can_be_changed():
    from jmml.search import ADJUSTABLE

    assert set(CHANGEABLE) <= ADJUSTABLE


def test_trials_at_a_time():
    loaded = check(definition(trials=50, concurrent=None, resources={"cpus": 0.5, "gpus": 0.25}))
    assert loaded.trials_at_a_time(cpus=4, gpus=1) == 4
    assert loaded.trials_at_a_time(cpus=1, gpus=8) == 2
    learning = check(definition(algorithm="tpe", trials=50, concurrent=None, lag=3))
    assert learning.trials_at_a_time(cpus=64, gpus=0) == 3
    shared = check(definition(trials=50, concurrent=None, share=0.3))
    assert shared.trials_at_a_time(cpus=10, gpus=0) == 3
    with pytest.raises(SweepError, match=r"takes 1 CPU, and there are 3, of which this sweep takes 0\.3"):
        shared.trials_at_a_time(cpus=3, gpus=0)
    with pytest.raises(SweepError, match=r"takes 0\.25 GPUs, and there are 0.*Leave resources\.gpus out"):
        loaded.trials_at_a_time(cpus=4, gpus=0)


def test_wrong_overrides_are_reported_with_the_other_problems(tmp_path):
    with pytest.raises(ConfigError) as caught:
        overridden(tmp_path, "trails=3", algorithm="none")
    assert len(caught.value.problems) == 2


NUMBERS = st.floats(1e-3, 10)
ENTRIES = st.one_of(
    st.lists(st.integers(1, 8), min_size=1, max_size=4).map(lambda v: {"choice": v}),
    st.tuples(st.integers(1, 8), st.integers(1, 8)).map(lambda v: {"int": sorted(v)}),
)


@given(ENTRIES, st.tuples(NUMBERS, NUMBERS).map(sorted), st.integers(0, 100))
def test_a_written_definition_reads_as_itself(k, weights, seed):
    space = {"stage2.k": k, "stage2.lam_c": {"uniform": [weights[0], weights[1] + 0.1]}}
    first = check(definition(space=space, seed=seed))
    again = check(yaml.safe_load(first.to_yaml()))
    assert again == first
    assert spaces.draw(again.space, 2, seed=seed) == spaces.draw(first.space, 2, seed=seed)


def test_checking_a_definition_imports_neither_ray_nor_torch():
    heavy = {"ray", "torch", "mlflow", "optuna", "cmaes"}
    code = f"import sys, pipelines.sweep.definition.reading; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# What is blamed, and plain words ----------------------------------------------------------------------------


def lines(tmp_path, *overrides: str, name: str | None = None, **changes: object) -> list[str]:
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(definition(**changes)))
    with pytest.raises(ConfigError) as caught:
        load_definition(path, overrides=overrides, name=name)
    return caught.value.lines


def test_what_an_override_does_wrong_is_not_blamed_on_the_file(tmp_path):
    (line,) = lines(tmp_path, "share=7")
    assert line == "-s share=7: share: expected less than or equal to 1, got 7"
    (line,) = lines(tmp_path, "stage1.p=1", "stage2.lam_c=1")  # three trials of one configuration
    assert line.startswith("-s: trials: 3, but the space holds 1 configuration;")
    (line,) = lines(tmp_path, share=7)
    path = tmp_path / "sweep.yaml"
    at = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if text.startswith("share:"))
    assert line == f"{path}:{at}: share: expected less than or equal to 1, got 7"
    (line,) = lines(tmp_path, name="My sweep")
    assert line.startswith("--name: name: expected lower-case letters")
    mixed = lines(tmp_path, "trails=3", name="My sweep", share=7)
    assert [line.partition(":")[0] for line in sorted(mixed)] == sorted(["-s", "--name", str(path)])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"name": "My Sweep"},
            "name: expected lower-case letters, digits, - and _, a letter or digit first, 64 characters at most, "
            "got 'My Sweep'",
        ),
        (
            {"corpora": {"speech": {"name": "nemo", "version": "V1"}}},
            "corpora.speech.version: expected 6 to 64 hexadecimal digits in lower case, got 'V1'",
        ),
        (
            {"corpora": {"speech": {"name": "nemo", "version": 123456}}},
            "corpora.speech.version: expected text, got 123456; put it into quotes",
        ),
        ({"protocol": {"seeds": []}}, "protocol.seeds: expected at least 1 entry, got []"),
        ({"concurrent": 1.5}, "concurrent: expected an integer, got 1.5"),
        ({"spase": {}}, "spase: unknown key; did you mean 'space'?"),
        ({"seeed": 1}, "seeed: unknown key; did you mean 'seed'?"),
        (
            {"space": {"stage2.lamc": {"choice": [1]}, "stage2.k": {"choice": [1, 2, 3]}}},
            "space: unknown setting 'stage2.lamc'; did you mean 'stage2.lam_c'?",
        ),
        (
            {"space": {"lam_c": {"choice": [1]}, "stage2.k": {"choice": [1, 2, 3]}}},
            "space: unknown setting 'lam_c'; did you mean 'stage2.lam_c'?",
        ),
        (
            {"space": {"stage9.lr": {"choice": [1]}, "stage2.k": {"choice": [1, 2, 3]}}},
            "space: unknown setting 'stage9.lr'; did you mean 'stage1.lr' or 'stage2.lr'?",
        ),
        (
            {"space": {5: {"choice": [1]}, "stage2.k": {"choice": [1, 2, 3]}}},
            "space: unknown setting '5'; expected a setting of stage1, stage2, peers, classifier",
        ),
    ],
)
def test_problems_in_plain_words(changes, expected):
    assert problems(**changes) == [expected]


def test_a_setting_far_from_any_lists_those_of_its_section():
    (found,) = problems(space={"peers.q": {"choice": [1]}, "stage2.k": {"choice": [1, 2, 3]}})
    assert "peers.temperature" in found
    assert "stage1" not in found


# Overrides --------------------------------------------------------------------------------------------------


def test_a_version_without_a_name_is_of_the_corpus_of_the_task(tmp_path):
    changed = overridden(tmp_path, "corpora.speech.version=0123456")
    assert (changed.corpora.speech.name, changed.corpora.speech.version) == (None, "0123456")
    assert check(changed.plain()) == changed


def test_an_entry_of_the_space_can_be_taken_out(tmp_path):
    changed = overridden(tmp_path, "stage1.p=null", "classifier.options.max_iter=choice(null)")
    assert list(changed.space) == ["stage2.lam_c", "classifier.options.max_iter"]
    assert changed.space["classifier.options.max_iter"].values == (None,)
    (line,) = lines(tmp_path, "stage1.pp=null")
    assert line.endswith(
        "stage1.pp is not in the space; did you mean 'stage1.p'? (valid: stage1.p, stage2.lam_c)"
    )


def test_a_ready_made_definition_becomes_a_population_or_cma_es():
    fixed = [f"{key}=null" for key in load_definition("stage2").space if key not in CHANGEABLE]
    population = load_definition("stage2", overrides=["algorithm=pbt", "scheduler=none", *fixed])
    assert set(population.space) == {"stage2.lr", "stage2.lam_r", "stage2.lam_x", "stage2.lam_c"}
    assert population.pbt is not None
    ordered = load_definition("stage2", overrides=["algorithm=cma-es", "classifier.name=null"])
    assert "stage2.k" in ordered.space


# The documentation ------------------------------------------------------------------------------------------

DOCS = Path(__file__).parents[4] / "docs" / "sweeps.md"


def example() -> dict[str, object]:
    (block,) = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)
    return parse_yaml(block)


def test_the_example_of_the_documentation_fits_the_default_project():
    params = load_params(DOCS.parents[1] / "params.yaml")
    loaded = check(example())
    check_against(loaded, params.method)
    assert loaded.corpora.speech.name == params.task.speech
    assert loaded.corpora.eeg.name == params.task.eeg
    assert (loaded.corpora.speech.version, loaded.corpora.eeg.version) == (None, None)


def test_the_table_of_the_documentation_has_every_key():
    rows = re.findall(r"^\| (`.*?) \|", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    named = [key for row in rows for key in re.findall(r"`([\w.]+)`", row)]
    for key in named:
        section, _, part = key.partition(".")
        assert section in SweepDefinition.model_fields, key
        assert not part or key in KEYS.names(), key
    assert {key.partition(".")[0] for key in named} == set(SweepDefinition.model_fields) - {
        "name",
        "description",
    }
