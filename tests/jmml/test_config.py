from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jmml.config import (
    FeaturesConfig,
    Params,
    RepeatedKeysError,
    SpeechFeatureConfig,
    Stage2Config,
    digest,
    load_params,
    load_yaml,
    parse_yaml,
    validate,
)
from jmml.errors import ConfigError
from jmml.plugins import use_project
from tests.jmml.plugins import own

MINIMAL = """
corpora:
  a: {adapter: ravdess, modality: speech, path: data/raw/a}
task: {speech: a, eeg: null}
"""


def write(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    return path


def test_minimal_params_load_with_defaults(tmp_path):
    params = load_params(write(tmp_path, MINIMAL))
    assert params.method.stage2.k == 6
    assert params.protocol.normalisation == "none"


def test_all_problems_at_once_with_the_nearest_valid_key(tmp_path):
    path = write(
        tmp_path,
        MINIMAL
        + """
method:
  stage1: {pp: 4, lr: fast, epochs: 0}
  stage2: {lam_cc: 1.0, pairing: classs}
protcol: {inner_folds: 3}
""",
    )
    with pytest.raises(ConfigError) as caught:
        load_params(path)
    lines = caught.value.lines
    assert len(lines) == 6
    text = "\n".join(lines)
    assert "method.stage1.pp: unknown key; did you mean 'p'?" in text
    assert "method.stage1.lr: expected a number, got 'fast'" in text
    assert "method.stage1.epochs: expected greater than 0, got 0" in text
    assert "method.stage2.lam_cc: unknown key; did you mean 'lam_c'?" in text
    assert "method.stage2.pairing: unknown pairing 'classs'; did you mean 'class'?" in text
    assert "protcol: unknown key; did you mean 'protocol'?" in text
    assert all(line.startswith(str(path)) for line in lines)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("corpora: [", "no valid YAML at line"),
        ("- a\n- b\n", "expected a mapping of settings"),
        ("task: {speech: a, eeg: null}", "corpora: missing"),
        (MINIMAL.replace("speech: a,", "speech: aa,"), "unknown corpus 'aa'"),
        (MINIMAL.replace("modality: speech", "modality: eeg"), "holds eeg"),
        (MINIMAL + "device: gpu\n", "device"),
        (MINIMAL + "protocol: {seeds: []}\n", "protocol.seeds"),
        (MINIMAL + "protocol: {seeds: [0, 1, 1]}\n", "protocol.seeds: 1 is named more than once"),
        (MINIMAL + "protocol: {seeds: [-1]}\n", "protocol.seeds.0"),
        (MINIMAL + "evaluation: {methods: [raw, raw]}\n", "raw is named more than once"),
        (MINIMAL + "method: {stage1: {p: 4.5}}\n", "method.stage1.p: expected an integer, got 4.5"),
        (MINIMAL + "method: {stage1: {p: '4'}}\n", "method.stage1.p: expected an integer, got '4'"),
    ],
)
def test_bad_params(tmp_path, text, message):
    with pytest.raises(ConfigError) as caught:
        load_params(write(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("text", ["3e-3", "3E-3", "3.0e-3", "0.003", "+3e-03"])
def test_numbers_with_an_exponent_are_numbers(tmp_path, text):
    params = load_params(write(tmp_path, MINIMAL + f"method: {{stage1: {{lr: {text}}}}}\n"))
    assert params.method.stage1.lr == 0.003


def test_a_key_that_stands_twice_is_an_error_with_both_lines_wherever_it_stands(tmp_path):
    text = (
        MINIMAL + "method:\n  stage1: {p: 4, p: 5}\n  stage2:\n    k: 3\n    lr: 0.1\n    k: 4\nmethod: {}\n"
    )
    first = MINIMAL.count("\n") + 1
    with pytest.raises(ConfigError) as caught:
        load_params(write(tmp_path, text))
    assert caught.value.problems == [
        f"method.stage1.p: stands twice, in line {first + 1}; keep one",
        f"method.stage2.k: stands twice, in lines {first + 3} and {first + 5}; keep one",
        f"method: stands twice, in lines {first} and {first + 6}; keep one",
    ]


@given(st.lists(st.sampled_from("abcd"), max_size=6))
def test_keys_are_repeated_where_there_are_fewer_than_lines(keys):
    text = "".join(f"{key}: 1\n" for key in keys)
    if len(set(keys)) == len(keys):
        assert (parse_yaml(text) or {}) == dict.fromkeys(keys, 1)
    else:
        with pytest.raises(RepeatedKeysError):
            parse_yaml(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [("yes", "true"), ("1", "01"), ("1", "0x1"), ("1", "1.0"), ("1", "true"), ("~", "null"), ("a", "'a'")],
)
def test_two_spellings_of_one_key_repeat_it(tmp_path, one, other):
    for text, lines in (
        (f"{one}: 1\n{other}: 2\n", "lines 1 and 2"),
        (f"{{{one}: 1, {other}: 2}}", "line 1"),
    ):
        with pytest.raises(ConfigError) as caught:
            load_yaml(write(tmp_path, text))
        other_text, what = other.strip("'"), f"is the same key as {one}"
        what = "stands twice" if other_text == one else what
        assert caught.value.problems == [f"{other_text}: {what}, in {lines}; keep one"]


def test_keys_of_other_values_and_merges_repeat_nothing():
    assert parse_yaml("1: a\n2: b\nno: c\n") == {1: "a", 2: "b", False: "c"}
    assert parse_yaml("a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3, =: 4}\n")["b"] == {"k": 1, "l": 3, "=": 4}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("2026-13-01", "date"),
        ("!!timestamp x", "date"),
        ("0x_", "integer"),
        ("!!int abc", "integer"),
        ("!!int ''", "integer"),
        ("9" * 5000, "integer"),
        ("0x" + "f" * 5000, "integer"),
        ("!!float abc", "number"),
        ("!!bool abc", "truth value (true or false)"),
    ],
    ids=lambda text: text[:14],
)
def test_what_looks_like_a_number_or_a_date_and_is_none_is_an_error_with_its_line(tmp_path, value, kind):
    for text, at in (
        (f"a: 1\nb:\n  - {value}\n", "line 3, column 5"),
        (f"a: 1\n{value}: 1\n", "line 2, column 1"),
    ):
        if len(value) > 1000 and text.endswith(": 1\n"):
            continue  # too long for a key
        with pytest.raises(ConfigError) as caught:
            load_yaml(write(tmp_path, text))
        (line,) = caught.value.lines
        assert f"no valid YAML at {at}: '" in line
        assert line.endswith(f"' is not a valid {kind}; put text into quotes") or line.endswith(
            f"... is not a valid {kind}; put text into quotes"
        )
        assert len(line) < 300


@pytest.mark.parametrize("text", ["a: 1\nb: " + "[" * 2000, "a: 1\nb: " + "{a: " * 100, "#\n" + "- " * 100])
def test_nesting_without_end_is_an_error_with_its_line(tmp_path, text):
    with pytest.raises(ConfigError, match="levels of nesting") as caught:
        load_yaml(write(tmp_path, text))
    assert "no valid YAML at line 2, column " in str(caught.value)


def test_nesting_of_any_use_is_read():
    nested = 1
    for _ in range(40):
        nested = [nested]
    assert parse_yaml("[" * 40 + "1" + "]" * 40) == nested
    assert parse_yaml("- [1]\n" * 200) == [[1]] * 200  # beside each other, as many as there are


def test_an_alias_repeats_nothing():
    assert parse_yaml("a: &x {k: 1}\nb: *x\n") == {"a": {"k": 1}, "b": {"k": 1}}


def test_an_integer_is_a_number():
    assert validate(Stage2Config, {"lam_c": 1}).lam_c == 1.0


settings = st.dictionaries(
    st.text(max_size=5),
    st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    max_size=5,
)


@given(settings)
def test_digest_ignores_key_order(values):
    assert digest(values) == digest(dict(reversed(values.items())))


def test_digest_changes_with_any_value(tmp_path):
    params = load_params(write(tmp_path, MINIMAL))
    stage2 = params.method.stage2.model_copy(update={"k": 5})
    changed = params.model_copy(update={"method": params.method.model_copy(update={"stage2": stage2})})
    assert isinstance(changed, Params)
    assert digest(params) != digest(changed)


def test_an_extractor_is_part_of_the_settings_only_where_one_is_named(tmp_path):
    use_project(own.write(tmp_path, "features/energy.py"))
    plain = SpeechFeatureConfig()
    assert not {"extractor", "options"} & plain.model_dump(mode="json").keys()
    assert "extractor" not in FeaturesConfig().model_dump()["eeg"]
    named = validate(SpeechFeatureConfig, {"extractor": "energy", "options": {"frames": 3}})
    assert validate(SpeechFeatureConfig, named.model_dump(mode="json")) == named
    assert digest(named) != digest(plain)
    with pytest.raises(ConfigError, match="unknown feature extractor 'enrgy'; did you mean 'energy'"):
        validate(SpeechFeatureConfig, {"extractor": "enrgy"})
