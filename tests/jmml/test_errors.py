from __future__ import annotations

import inspect
import pickle
import re

import pytest

from jmml import errors
from jmml.errors import ConfigError, DataError, JMMLError, ProjectError, RecordingError, nearest
from jmml.printable import printable

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, JMMLError)]


def test_message_is_one_line_of_what_where_expected_fix():
    error = DataError("is empty\n", where="data/raw/a", expected="WAV files", fix="add some")
    assert str(error) == "data/raw/a: is empty; expected WAV files. Add some"
    assert "\n" not in str(error)


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_is_drawn_in_the_tree_with_its_exit_code(cls):
    line = next(line for line in errors.__doc__.splitlines() if re.search(rf"\b{cls.__name__}\b", line))
    drawn = re.search(rf"{cls.__name__} +(\d+) ", line)
    if cls is JMMLError or cls.__bases__[0] is JMMLError:
        assert drawn is not None
        assert int(drawn[1]) == cls.exit_code
    else:
        assert cls.exit_code == cls.__bases__[0].exit_code


def test_branches_have_codes_of_their_own_and_leave_2_to_usage():
    codes = [c.exit_code for c in CLASSES if c is JMMLError or c.__bases__[0] is JMMLError]
    assert len(set(codes)) == len(codes)
    assert 0 not in codes
    assert 2 not in codes


@pytest.mark.parametrize(
    "error",
    [RecordingError("is silent", where="a.wav", fix="record again"), ConfigError(["a", "b"], where="x")],
)
def test_errors_cross_process_borders(error):
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert str(copy) == str(error)
    assert copy.lines == error.lines
    assert type(copy) is type(error)


def test_nearest_suggests_or_lists():
    assert nearest("alpa", ["alpha", "beta"]).startswith("did you mean 'alpha'?")
    assert nearest("zzz", ["alpha", "beta"]) == "valid: alpha, beta"


@pytest.mark.parametrize("what", ["is not a file", "is not a file.", "is not a file..."])
def test_a_message_that_ends_with_a_full_stop_gets_no_second_one(what):
    assert str(ProjectError(what, fix="make one")) == "is not a file. Make one"


HOSTILE = "take \x1b[31m\x9b2J\u202e\r\nerror: forged"


@pytest.mark.parametrize(
    "error",
    [
        *(
            cls(HOSTILE, where=HOSTILE, expected=HOSTILE, fix=HOSTILE)
            for cls in CLASSES
            if cls is not ConfigError
        ),
        ConfigError([HOSTILE], where=HOSTILE),
        ConfigError([HOSTILE, HOSTILE], where=HOSTILE),
        RecordingError.of([HOSTILE, HOSTILE]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_line_of_any_error_is_one_line_that_a_terminal_shows(error):
    for line in [str(error), *error.lines]:
        assert line == printable(line)
        assert "take \N{SYMBOL FOR ESCAPE}[31m" in line
