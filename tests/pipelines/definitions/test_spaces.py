from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from jmml.config import MethodConfig
from jmml.errors import ConfigError
from pipelines.definitions import spaces
from pipelines.definitions.spaces import Dimension

BASE = MethodConfig()


def dimension(**entry: object) -> Dimension:
    return Dimension.model_validate(entry)


def message(**entry: object) -> str:
    with pytest.raises(ValidationError) as caught:
        dimension(**entry)
    return str(caught.value.errors()[0]["ctx"]["error"])


@pytest.mark.parametrize(
    ("entry", "size"),
    [
        ({"choice": [4, 8, 4]}, 2),
        ({"int": [2, 6]}, 5),
        ({"logint": [16, 17]}, 2),
        ({"uniform": [0, 1]}, math.inf),
        ({"uniform": [0.5, 0.5]}, 1),
        ({"loguniform": [1e-4, 1e-2]}, math.inf),
    ],
)
def test_size(entry, size):
    assert dimension(**entry).size == size


def test_exponents_without_a_dot_are_numbers_although_yaml_reads_them_as_text():
    assert dimension(loguniform=["1e-4", "1e-2"]) == dimension(loguniform=[1e-4, 1e-2])


@pytest.mark.parametrize(
    ("entry", "part"),
    [
        ({"chioce": [1]}, "unknown distribution 'chioce'; did you mean 'choice'?"),
        ({"choice": []}, "no value given"),
        ({"choice": [[1]]}, "plain values"),
        ({"choice": [math.nan]}, "finite"),
        ({"choice": 4}, "expected choice: [value, value, ...], got 4"),
        ({"int": [6, 2]}, "the lower bound 6 is above the upper bound 2"),
        ({"int": [2.0, 6.0]}, "two integers"),
        ({"int": [True, 6]}, "two integers"),
        ({"uniform": [1]}, "two numbers [low, high]"),
        ({"uniform": ["a", 2]}, "two numbers"),
        ({"uniform": [0, math.inf]}, "finite bounds"),
        ({"loguniform": [0.0, 1.0]}, "above 0"),
        ({"logint": [0, 8]}, "above 0"),
        ({"choice": [1], "int": [1, 2]}, "one distribution"),
    ],
)
def test_a_wrong_dimension_says_what_was_expected(entry, part):
    assert part in message(**entry)


RANGES = st.one_of(
    st.tuples(st.just("int"), st.integers(-50, 50), st.integers(0, 50)),
    st.tuples(st.just("logint"), st.integers(1, 50), st.integers(0, 500)),
    st.tuples(st.just("uniform"), st.floats(-5, 5), st.floats(0, 10)),
    st.tuples(st.just("loguniform"), st.floats(1e-6, 5), st.floats(0, 10)),
)


@given(RANGES, st.integers(0, 2**31))
def test_draws_stay_inside_their_bounds_and_have_the_type_of_the_kind(drawn, seed):
    kind, low, width = drawn
    value = dimension(**{kind: [low, low + width]}).draw(np.random.default_rng(seed))
    assert low <= value <= low + width
    assert type(value) is (int if kind in ("int", "logint") else float)


def test_loguniform_is_uniform_in_the_logarithm():
    rng = np.random.default_rng(0)
    values = np.log10([dimension(loguniform=[1e-4, 1e-1]).draw(rng) for _ in range(2000)])
    assert stats.kstest(values, stats.uniform(-4, 3).cdf).pvalue > 0.01


def test_logint_reaches_both_ends_and_prefers_small_values():
    rng = np.random.default_rng(0)
    values = [dimension(logint=[1, 8]).draw(rng) for _ in range(2000)]
    counts = np.bincount(values, minlength=9)[1:]
    expected = np.diff(np.log(np.arange(1, 10) - 0.5)) / np.log(8.5 / 0.5)
    assert stats.chisquare(counts, 2000 * expected).pvalue > 0.01


SPACE = {"stage1.p": dimension(choice=[4, 8]), "stage2.k": dimension(int=[2, 4])}


def test_the_grid_holds_every_configuration_once():
    configurations = [tuple(c.values()) for c in spaces.grid(SPACE)]
    assert configurations == [(4, 2), (4, 3), (4, 4), (8, 2), (8, 3), (8, 4)]
    assert len(configurations) == spaces.size(SPACE)


@given(st.integers(1, 6), st.integers(0, 1000))
def test_drawn_configurations_differ_and_depend_on_the_seed_alone(n, seed):
    drawn = spaces.draw(SPACE, n, seed=seed)
    assert len({tuple(c.values()) for c in drawn}) == n
    assert drawn == spaces.draw(SPACE, n, seed=seed)


def test_more_trials_begin_with_the_same_configurations():
    space = SPACE | {"stage2.lr": dimension(loguniform=[1e-4, 1e-2])}
    assert spaces.draw(space, 20, seed=1)[:5] == spaces.draw(space, 5, seed=1)
    assert spaces.draw(space, 5, seed=1) != spaces.draw(space, 5, seed=2)


@given(st.integers(0, 11))
def test_a_configuration_of_the_grid_by_its_number(i):
    space = SPACE | {"stage2.imagined": dimension(choice=[True, False])}
    assert spaces.nth(space, i) == list(spaces.grid(space))[i]


def test_a_stream_ends_with_the_space():
    assert len(list(spaces.stream(SPACE, seed=3))) == 6
    wide = {"stage1.hidden": dimension(int=[1, 400]), "stage2.hidden": dimension(int=[1, 400])}
    first = list(itertools.islice(spaces.stream(wide, seed=3), 500))
    assert len({tuple(c.values()) for c in first}) == 500


def test_what_a_space_holds():
    space = SPACE | {"stage2.lr": dimension(uniform=[0, 1]), "stage2.imagined": dimension(choice=[True])}
    inside = {"stage1.p": 4, "stage2.k": 3, "stage2.lr": 0.5, "stage2.imagined": True}
    assert spaces.holds(space, inside)
    for change in (
        {"stage1.p": 5},
        {"stage1.p": 4.0},
        {"stage2.k": 5},
        {"stage2.k": True},
        {"stage2.lr": 1.5},
    ):
        assert not spaces.holds(space, inside | change)
    assert not spaces.holds(space, inside | {"stage2.imagined": 1})
    assert not spaces.holds(space, {"stage1.p": 4})


def test_a_value_is_brought_back_into_its_range():
    assert dimension(int=[2, 6]).clipped(7.4) == 6
    assert dimension(uniform=[0, 1]).clipped(-1) == 0.0
    assert dimension(choice=["a"]).clipped("b") == "b"


def test_drawing_more_than_there_is_is_refused():
    with pytest.raises(ValueError, match="7 configurations from a space of 6"):
        spaces.draw(SPACE, 7, seed=0)


def test_configure_changes_only_what_is_named():
    config = spaces.configure(
        BASE, {"stage2.k": 5, "classifier.name": "linear-svm", "classifier.options.C": 0.1}
    )
    assert config.stage2 == BASE.stage2.model_copy(update={"k": 5})
    assert config.stage1 == BASE.stage1
    assert config.classifier.name == "linear-svm"
    assert config.classifier.options == {"C": 0.1}
    assert BASE.classifier.options == {}


def test_configure_refuses_values_outside_the_setting():
    with pytest.raises(ConfigError, match=r"stage2\.k"):
        spaces.configure(BASE, {"stage2.k": 0})
