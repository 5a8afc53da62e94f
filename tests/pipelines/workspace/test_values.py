from __future__ import annotations

import os
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jmml.errors import TrackingError
from pipelines.workspace.values import (
    as_text,
    environment,
    flatten,
    redacted,
    refuse_long,
    without_secrets,
)

SECRET = "p@ss/w:rd#1"


@pytest.mark.parametrize(
    "address",
    [
        f"https://ada:{quote(SECRET, safe='')}@host/x",
        f"postgresql://ada:{quote(SECRET, safe='')}@db",
        "https://a-token@host",
    ],
)
def test_an_address_shows_neither_name_nor_password(address: str) -> None:
    shown = redacted(f"cannot reach {address} now")
    assert "//***@" in shown
    assert not any(word in shown for word in ("ada", quote(SECRET, safe=""), "a-token"))


@example("000%")
@example("0//@")
@given(
    st.text(
        st.characters(codec="ascii", exclude_characters=" \t\n\r", categories=["L", "N", "P"]), min_size=4
    )
)
def test_a_password_is_hidden_in_both_its_forms(secret: str) -> None:
    uri = f"https://ada:{quote(secret, safe='')}@host"
    said = without_secrets(f"login [{secret}] refused; tried [{quote(secret, safe='')}]", uri)
    assert said == "login [***] refused; tried [***]"


@pytest.mark.parametrize("text", ["password=hunter2", "sslpassword=hunter2", "PWD=hunter2", "passwd=hunter2"])
def test_options_with_secrets_are_hidden(text: str) -> None:
    assert without_secrets(f"x?{text}&y=1") == f"x?{text.partition('=')[0]}=***&y=1"


def test_a_password_of_three_characters_does_not_mangle_the_message() -> None:
    assert without_secrets("abcdef", "https://ada:abc@host") == "abcdef"


def test_environment_is_as_before_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JMML_ONE", "1")
    monkeypatch.delenv("JMML_TWO", raising=False)
    with pytest.raises(ZeroDivisionError), environment({"JMML_ONE": "2", "JMML_TWO": "3"}):
        assert (os.environ["JMML_ONE"], os.environ["JMML_TWO"]) == ("2", "3")
        raise ZeroDivisionError
    assert os.environ["JMML_ONE"] == "1"
    assert "JMML_TWO" not in os.environ


def test_flatten_joins_keys_and_keeps_what_is_empty() -> None:
    assert dict(flatten({"a": {"b": 1, "c": {}}, "d": [1]})) == {"a.b": 1, "a.c": {}, "d": [1]}


def test_as_text_gives_floats_six_digits() -> None:
    assert (as_text(1 / 3), as_text(2), as_text(None)) == ("0.333333", "2", "None")


def test_what_mlflow_would_cut_off_is_refused() -> None:
    refuse_long({"a": "x" * 5}, 5, "tag", "r1")
    with pytest.raises(TrackingError, match="tag 'a' has 6 characters"):
        refuse_long({"a": "x" * 6}, 5, "tag", "r1")
