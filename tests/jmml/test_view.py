from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from jmml.view import View


def view(n: int = 4) -> View:
    names = np.array([f"s{row}" for row in range(n)])
    return View(np.arange(2.0 * n).reshape(n, 2), np.arange(n) % 2, names, names, names, ("a", "b"))


def changed(values: np.ndarray, at: int) -> np.ndarray:
    other = values.copy()
    other.flat[at] += 1
    return other


@pytest.mark.parametrize("at", [0, -1])
@pytest.mark.parametrize("part", ["X", "y"])
def test_content_is_another_where_one_feature_or_class_is(part: str, at: int) -> None:
    one = view()
    assert replace(one, **{part: changed(getattr(one, part), at)}).content != one.content


def test_content_is_of_values_types_and_shapes_in_this_order() -> None:
    one = view()
    assert replace(one).content == one.content
    assert replace(one, X=np.asfortranarray(one.X)).content == one.content
    assert replace(one, X=one.X.astype(np.float32)).content != one.content
    assert replace(one, X=one.X.reshape(2, 4)).content != one.content
    assert one.rows(np.array([1, 0, 2, 3])).content != one.content


def test_rows_keep_what_belongs_together() -> None:
    told = replace(view(), keys={"text": np.array(list("abcd"))})
    assert list(told.rows(np.array([False, True, False, True])).keys["text"]) == ["b", "d"]
    kept = view().rows(np.array([False, True, False, True]))
    assert len(kept) == 2
    np.testing.assert_array_equal(kept.X, [[2, 3], [6, 7]])
    np.testing.assert_array_equal(kept.y, [1, 1])
    assert list(kept.groups) == list(kept.ids) == list(kept.recordings) == ["s1", "s3"]
    assert kept.names == ("a", "b")
    assert kept.mapped(kept.X[:, :1]).names == ()
