from __future__ import annotations

import hashlib

from jmml.data.manifest import Manifest, ManifestRow
from pipelines.versions.diff import diff
from pipelines.versions.difference import compared, counts
from pipelines.workspace.project import Project
from tests.pipelines.versions.conftest import NAME, wav

NAN = float("nan")


def manifest(**rows: tuple[str, str, str]) -> Manifest:
    """Recordings by id: bytes, label, person."""
    return Manifest.from_rows(
        "x",
        [
            ManifestRow(
                name, f"{name}.wav", 0, "speech", label, NAN, NAN, person, 1.0, 8000.0,
                hashlib.sha256(content.encode()).hexdigest(),
            )
            for name, (content, label, person) in rows.items()
        ],
    )  # fmt: skip


def told(before: Manifest, after: Manifest) -> dict[str, tuple[str, ...]]:
    return {row.id: row.kinds for row in compared(before.frame, after.frame)}


def test_every_kind_of_difference() -> None:
    before = manifest(
        same=("a", "joy", "ann"), gone=("b", "joy", "ann"), other=("c", "joy", "ann"),
        label=("d", "joy", "ann"), person=("e", "joy", "ann"), both=("f", "joy", "ann"), name1=("g", "joy", "ann"),
    )  # fmt: skip
    after = manifest(
        same=("a", "joy", "ann"), new=("z", "joy", "ann"), other=("C", "joy", "ann"),
        label=("d", "fear", "ann"), person=("e", "joy", "ben"), both=("F", "fear", "ben"), name2=("g", "joy", "ann"),
    )  # fmt: skip
    assert told(before, after) == {
        "new": ("added",),
        "gone": ("removed",),
        "both": ("replaced", "relabelled", "re-attributed"),
        "other": ("replaced",),
        "label": ("relabelled",),
        "person": ("re-attributed",),
        "name2": ("renamed",),
    }
    rows = compared(before.frame, after.frame)
    assert [row.id for row in rows] == ["new", "gone", "both", "other", "label", "person", "name2"]
    assert counts(rows) == {
        "added": 1, "removed": 1, "replaced": 2, "relabelled": 2, "re-attributed": 2, "redescribed": 0, "renamed": 1,
    }  # fmt: skip
    assert rows[2].line() == (
        "replaced, relabelled, re-attributed: both (group ann -> ben, label joy -> fear)"
    )
    assert rows[0].line() == "added: new (ann, joy)"
    assert rows[6].before is not None
    assert rows[6].before["id"] == "name1"


def test_the_same_is_no_difference_and_a_way_back_is_the_opposite() -> None:
    one = manifest(a=("a", "joy", "ann"), b=("b", "joy", "ann"))
    two = manifest(a=("a", "joy", "ann"), c=("c", "joy", "ann"))
    assert told(one, one) == {}
    assert told(one, two) == {"c": ("added",), "b": ("removed",)}
    assert told(two, one) == {"b": ("added",), "c": ("removed",)}


def test_copies_are_matched_one_to_one() -> None:
    one = manifest(a=("x", "joy", "ann"), b=("x", "joy", "ann"))
    assert told(one, manifest(c=("x", "fear", "ann"))) == {"c": ("relabelled", "renamed"), "b": ("removed",)}


def test_between_revisions(project: Project) -> None:
    found = diff(project, "v1", "v2")
    (one,) = found.corpora
    assert one.name == NAME
    kinds = {row.id: row.kinds for row in one.rows}
    assert kinds.pop("03-01-06-01-01-01-01") == ("relabelled", "renamed")
    assert kinds.pop("03-01-03-01-01-01-01") == ("replaced",)
    assert kinds.pop("03-01-08-01-01-01-01") == ("added",)
    assert set(kinds.values()) == {("removed",)}
    assert sorted(kinds) == [f"03-01-0{emotion}-01-01-01-03" for emotion in (1, 3, 4, 5)]
    assert found.lines()[0] == (
        "speech: v1 -> v2: 12 -> 9 recordings; 1 added, 4 removed, 1 replaced, 1 relabelled, 1 renamed"
    )
    (plain,) = found.as_dict()["corpora"]
    assert plain["recordings"] == [12, 9]
    assert plain["people"] == [3, 2]


def test_with_the_work_tree(project: Project) -> None:
    assert diff(project).corpora == []
    wav(project.raw_dir / NAME, 8, 1).unlink()
    (one,) = diff(project).corpora
    assert [(row.kinds, row.id) for row in one.rows] == [(("removed",), "03-01-08-01-01-01-01")]
    assert diff(project, "v2", "v2").lines() == ["no corpus differs between v2 and v2"]
