"""Confounds: what goes along with the label besides how people sound, and how much of it chance explains.

Of a factor with r values and labels with k, bias-corrected Cramer's V of their table (Bergsma 2013),

    V = sqrt( max(0, chi2 / n - (k - 1)(r - 1) / (n - 1)) / min(k' - 1, r' - 1) ),   k' = k - (k - 1)^2 / (n - 1),

r' likewise: 0 where labels say nothing of the factor, 1 where one gives the other. What chance gives is V where units
have changed places, the largest of 200 draws: all labels for the person; whole people for what is the same in all
recordings of each; and else the labels within each person, so that who has which label stays as it is.

Bergsma, W. (2013). A bias-correction for Cramer's V and Tschuprow's T. Journal of the Korean Statistical Society 42(3).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from jmml.errors import ProtocolError

NOTABLE = 0.3  # V from which a factor is a confound; two labels in shares of 65 % against 35 % give it
NATURAL = 0.7  # of durations: how long people take is a part of how they sound
DRAWS = 200
PARTS = 5  # of durations: a fifth of the recordings in each
TENTHS = 10  # of a session
ALONE = 0.5  # share of people with one label from which nothing else matters
SEVERAL = 3  # recordings of a person, from which one label alone says something
BEYOND = 0.1  # what V is above all draws, as many factors are looked at

Codes = npt.NDArray[np.int64]
FACTORS = {
    "person": "who it is",
    "sample rate": "the sample rate",
    "codec": "the kind of file",
    "duration": "how long it lasts",
    "session": "the session",
    "device": "the device",
    "order": "its number in the session",
    "position": "its place in the session",
}


@dataclass(frozen=True)
class Confound:
    """How far a factor and the label go together.

    Attributes
    ----------
    factor : a key of :data:`FACTORS`.
    values : different values of the factor.
    v : bias-corrected Cramer's V.
    chance : the largest V that chance gave in :data:`DRAWS` tables.
    alone : how many of its values have one label alone, in three recordings or more.
    leading : the commonest pairs of value and label, as ``16000 Hz: 90 % anger``.
    """

    factor: str
    values: int
    v: float
    chance: float
    alone: int
    leading: tuple[str, ...] = ()

    @property
    def notable(self) -> bool:
        """Whether it is a confound: beyond chance, and strong enough to carry a score."""
        if self.v < self.chance + BEYOND:
            return False
        alone = self.factor == "person" and self.alone >= ALONE * self.values
        return alone or self.v >= (NATURAL if self.factor == "duration" else NOTABLE)

    def warning(self) -> str:
        """What it is and what it does, in one line."""
        measure = f"V {self.v:.2f}, chance up to {self.chance:.2f}"
        if self.factor == "person":
            alone = f"{self.alone} of {self.values} people have one label alone"
            return (
                f"{alone if self.alone else 'people differ in labels'} (label by person: {measure}): a model may tell "
                "people apart instead of emotions, and no split by person changes that"
            )
        shown = "; ".join(self.leading)
        return f"label by {self.factor}: {measure} ({shown}): {FACTORS[self.factor]} gives the label away"

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "leading": list(self.leading), "notable": self.notable}


def confounds(frame: pd.DataFrame, labels: npt.ArrayLike, *, seed: int = 0) -> list[Confound]:
    """Every factor that is known of the samples and has several values, in the order of :data:`FACTORS`.

    Parameters
    ----------
    frame : rows of a manifest, or the index of a feature table; ``group`` and what there is of ``sample_rate_hz``,
        ``path``, ``duration_s``, ``session``, ``device``, ``order``.
    labels : (n,) class of each row; rows without one (None) do not count.

    Example
    -------
    >>> frame = pd.DataFrame({"group": list("aabb") * 10, "sample_rate_hz": [16000, 44100] * 20})
    >>> found = confounds(frame, ["joy", "fear"] * 20)
    >>> [(one.factor, round(one.v, 2), one.notable) for one in found]
    [('person', 0.0, False), ('sample rate', 1.0, True)]
    """
    named = pd.Series(np.asarray(labels, dtype=object))
    known = named.notna().to_numpy()
    frame, named = frame[known].reset_index(drop=True), named[known].reset_index(drop=True).astype(str)
    y = _codes(named)
    if len(frame) < 2 or y.max() == 0:
        return []
    people = _codes(frame["group"].astype(str))
    found = []
    for factor, values in _factors(frame).items():
        present = values.notna().to_numpy()
        x = _codes(values[present].astype(str))
        if len(x) < 2 or x.max() == 0:
            continue
        rng = np.random.default_rng(seed)
        found.append(
            _confound(
                factor, x, _codes(named[present]), people[present], values[present], named[present], rng
            )
        )
    return found


def without_false_hope(error: ProtocolError, groups: npt.ArrayLike, labels: npt.ArrayLike) -> ProtocolError:
    """An error of folds that cannot be drawn, which no other folds mend where people have one label alone."""
    carried = pd.crosstab(np.asarray(groups, dtype=str), np.asarray(labels, dtype=str)) > 0
    alone = int((carried.sum(axis=1) == 1).sum())
    if alone < ALONE * len(carried):
        return error
    return ProtocolError(
        f"{error.what}; {alone} of {len(carried)} people have one class alone, and who speaks gives it away",
        where=error.where,
        expected=error.expected,
        fix="add recordings of the same people in other classes; other folds or merged classes would hide it, and a "
        "score would be of voices",
    )


def _factors(frame: pd.DataFrame) -> dict[str, pd.Series]:
    factors: dict[str, pd.Series] = {"person": frame["group"]}
    if "sample_rate_hz" in frame:
        rate = frame["sample_rate_hz"]
        factors["sample rate"] = rate.map(lambda hz: f"{hz:g} Hz").where(rate.notna())
    if "path" in frame:
        kind = frame["path"].map(lambda path: PurePosixPath(path).suffix.lower().lstrip(".") or "none")
        factors["codec"] = kind
    if "duration_s" in frame and frame["duration_s"].nunique() > 1:
        cut = pd.qcut(frame["duration_s"].round(3), PARTS, duplicates="drop")
        factors["duration"] = cut.map(
            lambda part: f"{max(part.left, 0):.2f} to {part.right:.2f} s", na_action="ignore"
        ).astype(object)
    for name in ("session", "device"):
        if name in frame:
            factors[name] = frame[name]
    if "order" in frame and frame["order"].notna().any():
        session = frame["session"] if "session" in frame else pd.Series("", index=frame.index)
        turn = frame["order"].groupby([frame["group"], session.fillna("")])
        number, size = turn.rank(method="dense"), turn.transform("nunique")
        if (size > 1).any():
            factors["order"] = number.map(lambda n: f"number {n:g}").where(number.notna())
            tenth = np.floor((number - 1) / size * TENTHS)
            if size.max() > TENTHS:
                factors["position"] = tenth.map(lambda n: f"tenth {n + 1:g}").where(number.notna())
    return factors


def _confound(
    factor: str,
    x: Codes,
    y: Codes,
    people: Codes,
    values: pd.Series,
    labels: pd.Series,
    rng: np.random.Generator,
) -> Confound:
    v = cramers_v(x, y)
    chance = max(cramers_v(*_drawn(factor, x, y, people, rng)) for _ in range(DRAWS))
    table = pd.crosstab(values.astype(str).to_numpy(), labels.to_numpy())
    alone = int(((table > 0).sum(axis=1).eq(1) & (table.sum(axis=1) >= SEVERAL)).sum())
    return Confound(factor, int(x.max()) + 1, float(v), float(chance), alone, _leading(table))


def _leading(table: pd.DataFrame, most: int = 3) -> tuple[str, ...]:
    """The commonest values of a factor, each with the label that most of its samples have."""
    rows = table.loc[table.sum(axis=1).sort_values(ascending=False, kind="stable").index[:most]]
    return tuple(
        f"{value}: {100 * row.max() / row.sum():.0f} % {row.idxmax()}" for value, row in rows.iterrows()
    )


def _drawn(factor: str, x: Codes, y: Codes, people: Codes, rng: np.random.Generator) -> tuple[Codes, Codes]:
    """Factor and labels as they would be by chance."""
    if factor == "person":
        return x, rng.permutation(y)
    first = np.unique(people, return_index=True)[1]
    of_person = x[first]
    if (of_person[people] == x).all():
        return rng.permutation(of_person)[people], y
    order = np.lexsort((rng.random(len(y)), people))  # people together, their rows in any order
    mixed = np.empty_like(y)
    mixed[np.argsort(people, kind="stable")] = y[order]
    return x, mixed


def cramers_v(x: Codes, y: Codes) -> float:
    """Bias-corrected V of codes from 0 on, (n,) each; 0 where a table has one row or column."""
    n = len(x)
    table = np.bincount(x * (int(y.max()) + 1) + y, minlength=(int(x.max()) + 1) * (int(y.max()) + 1))
    table = table.reshape(int(x.max()) + 1, -1).astype(float)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    r, k = table.shape
    if n < 2 or min(r, k) < 2:
        return 0.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    phi = float(((table - expected) ** 2 / expected).sum()) / n - (k - 1) * (r - 1) / (n - 1)
    width = min(k - (k - 1) ** 2 / (n - 1), r - (r - 1) ** 2 / (n - 1)) - 1
    return float(np.sqrt(max(0.0, phi) / width)) if width > 1e-9 else 0.0


def _codes(values: pd.Series) -> Codes:
    return np.asarray(pd.factorize(values)[0], dtype=np.int64)
