"""The feature cache: what it finds, what it must not find, and damage."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jmml.data.features.cache import Entry, FeatureCache
from jmml.errors import DataError
from tests.jmml.data.features.test_extract import run, speech_corpus

HASH = "a" * 64
ENTRY = Entry(("F3", "Größe"), np.arange(6, dtype=np.float32).reshape(2, 3))


def same(a: Entry | None, b: Entry) -> bool:
    return a is not None and a.channels == b.channels and np.array_equal(a.X, b.X) and a.X.dtype == np.float32


def test_what_was_put_is_found_again(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, "eeg", "digest")
    assert cache.get(HASH) is None
    cache.put(HASH, ENTRY)
    assert same(cache.get(HASH), ENTRY)
    assert cache.path(HASH).relative_to(tmp_path).parent.as_posix().count("/") == 1
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [cache.path(HASH)]


def test_the_file_is_a_plain_numpy_array(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, "eeg", "digest")
    cache.put(HASH, ENTRY)
    np.testing.assert_array_equal(np.load(cache.path(HASH), allow_pickle=False)["X"], ENTRY.X)


def test_other_content_modality_or_extractor_is_a_miss(tmp_path: Path) -> None:
    FeatureCache(tmp_path, "eeg", "digest").put(HASH, ENTRY)
    assert FeatureCache(tmp_path, "eeg", "digest").get("b" * 64) is None
    assert FeatureCache(tmp_path, "speech", "digest").get(HASH) is None
    assert FeatureCache(tmp_path, "eeg", "other").get(HASH) is None


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_damage_is_a_miss(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    cache = FeatureCache(tmp_path_factory.mktemp("cache"), "eeg", "digest")
    cache.put(HASH, ENTRY)
    content = bytearray(cache.path(HASH).read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[at] ^= data.draw(st.integers(1, 255))
    else:
        del content[at:]
    cache.path(HASH).write_bytes(content)
    assert cache.get(HASH) is None
    cache.put(HASH, ENTRY)
    assert same(cache.get(HASH), ENTRY)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.raises(DataError, match="the feature cache cannot be written"):
        FeatureCache(tmp_path / "cache", "eeg", "digest").put(HASH, ENTRY)


@pytest.mark.parametrize("address", ["memory://features-of-tests", "local"])
def test_an_address_is_shared_like_a_folder(tmp_path: Path, address: str) -> None:
    if address == "local":
        address = f"file://{tmp_path}/shared"
    first, second = (FeatureCache(address, "eeg", "digest") for _ in range(2))
    assert first.get(HASH) is None
    first.put(HASH, ENTRY)
    assert same(second.get(HASH), ENTRY)
    system, place = second._remote(HASH)
    system.pipe_file(place, system.cat_file(place)[:-40])
    assert second.get(HASH) is None
    second.put(HASH, ENTRY)
    assert same(first.get(HASH), ENTRY)
    assert first.prune(0) == 0


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, "eeg", "digest")
    hashes = [character * 64 for character in "abcd"]
    for age, one in enumerate(hashes):
        cache.put(one, ENTRY)
        os.utime(cache.path(one), (1000 + age, 1000 + age))
    assert cache.get(hashes[0]) is not None  # used now
    size = cache.path(hashes[0]).stat().st_size
    assert cache.prune(4 * size) == 0
    assert cache.prune(2 * size) == 2
    assert [cache.get(one) is not None for one in hashes] == [True, False, False, True]


def test_an_extraction_leaves_no_more_than_the_limit(tmp_path: Path) -> None:
    frame, read = speech_corpus(tmp_path)
    table, _ = run(frame, read, cache_dir=tmp_path / "cache", cache_limit=0)
    assert len(table) == 4
    assert not list((tmp_path / "cache").rglob("*.npy"))


def test_an_address_of_no_known_kind_is_one_line_without_its_password() -> None:
    cache = FeatureCache("nowhere://ann:s3cret@host/features", "speech", "0" * 64)
    with pytest.raises(DataError, match="the feature cache cannot be reached") as caught:
        cache.get("a" * 64)
    assert "JMML_FEATURE_CACHE" in str(caught.value)
    assert "s3cret" not in str(caught.value)
