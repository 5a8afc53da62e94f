"""Stand-ins for EEG in the training of stage 2, to find out how much of its effect is due to EEG.

    control           rows of the second view              partners                    tells of EEG
    one-hot           one-hot code of each class           the row of the class        the label
    prototypes        one random Gaussian row per class    the row of the class        the label
    class-means       mean EEG of each class               the row of the class        the label, class means
    noise             as many Gaussian rows as EEG has     any row, redrawn            nothing
    shuffled-labels   EEG                                  any row, redrawn            nothing
    frozen-pairs      EEG                                  of the class, drawn once    all, in a single draw

Label-only controls carry the label and, with class means, where the classes lie in EEG; what the individual EEG
sample adds is the difference to the best of them. No-information controls carry nothing and show what stage 2 does by
itself.

Partners in the no-information controls are drawn across classes and anew in every epoch. Fixed partners, one shuffle
of the labels or noise rows with fixed classes, would not be free of the label: an encoder of the second view learns
their few hundred rows by heart, so that its code tells the class the row was given, and the speech code is trained
to predict that class. (DCCA, 400 speech and 300 EEG rows of four Gaussian classes, UAR of unseen speech, mean of 16
seeds, standard error below 0.02: noise with fixed classes 0.53, redrawn 0.45; labels shuffled once 0.55, redrawn 0.48;
true class pairs 0.60.) Nor may the shuffle come before stage 1: trained on shuffled labels, stage 1 of EEG would learn
them by heart in the same way and hand them on. It is stage 1 of the true labels that the shuffled pairs take apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from jmml.errors import ConfigError, ModelError, nearest
from jmml.models.pairing import Index, Values, pair, schedule
from jmml.plugins import on_change

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Rows = tuple[FloatArray, IntArray]


class Maker(Protocol):
    """Rows (m, w) in place of EEG and their classes (m,), from stage-1 outputs (n, r) of EEG and theirs (n,)."""

    def __call__(
        self,
        u_eeg: npt.NDArray[Any],
        y_eeg: npt.NDArray[Any],
        *,
        n_classes: int,
        k: int,
        rng: np.random.Generator,
    ) -> Rows: ...


@dataclass(frozen=True)
class Control:
    """A stand-in for EEG.

    Attributes
    ----------
    rows : makes the second view.
    partners : whom a speech row meets: a row of its ``class``, redrawn in every epoch; the same, drawn once
        (``frozen``); or ``any`` row, redrawn.
    label_only : whether it tells of EEG no more than labels and class means: one of those that JMML has to beat.
    """

    rows: Maker
    partners: Literal["class", "frozen", "any"] = "class"
    label_only: bool = False


def second_view(
    control: str,
    u_eeg: npt.NDArray[Any],
    y_eeg: npt.NDArray[Any],
    *,
    n_classes: int,
    k: int,
    seed: int,
) -> tuple[FloatArray, IntArray]:
    """Rows (m, w) that stage 2 is trained on in place of EEG, and the class number of each, (m,).

    Parameters
    ----------
    u_eeg, y_eeg : stage-1 outputs (n, r) of EEG and their class numbers 0..C-1. Of ``u_eeg``, one-hot codes read
        nothing, prototypes the number of columns, noise the shape; the first two read nothing of ``y_eeg``.
    n_classes : C.
    k : width of the shared code, which is the least width of a view.
    seed : of prototypes, noise and the shuffle.

    Raises
    ------
    ModelError : class means of a class without EEG, or a number of labels other than that of rows.
    ConfigError : an unknown control.

    Example
    -------
    >>> import numpy as np
    >>> u, y = np.array([[0.0, 1.0], [2.0, 3.0], [5.0, 5.0]]), np.array([0, 0, 1])
    >>> second_view("class-means", u, y, n_classes=2, k=1, seed=0)[0].tolist()
    [[1.0, 2.0], [5.0, 5.0]]
    """
    return known_control(control).rows(
        u_eeg, y_eeg, n_classes=n_classes, k=k, rng=np.random.default_rng(seed)
    )


def control_pairs(
    control: str | None,
    kind: str,
    y_speech: Values,
    y_second: Values,
    *,
    seed: int,
    pair_ids: tuple[Values, Values] | None = None,
) -> Callable[[int], Index]:
    """A function from the training epoch to the row of the second view that each speech row meets.

    Parameters
    ----------
    control : what stands in place of EEG; ``None`` for EEG itself.
    kind, pair_ids : of EEG's pairs, see :func:`jmml.models.pairing.schedule`. Label-only and no-information controls
        have partners of their own; ``frozen-pairs`` draws those of the class once.
    y_speech, y_second : class numbers of the speech rows and of the rows of :func:`second_view`.

    Raises
    ------
    ProtocolError : a class that only one of the two has, or a speech row without a partner.
    ConfigError : an unknown control or pairing.
    """
    if control is None:
        return schedule(kind, y_speech, y_second, seed=seed, pair_ids=pair_ids)
    partners = known_control(control).partners
    if partners != "any":
        return schedule("class-frozen" if partners == "frozen" else "class", y_speech, y_second, seed=seed)

    def across(epoch: int) -> Index:
        rng = np.random.default_rng([seed, epoch])
        return pair("class", y_speech, rng.permutation(np.asarray(y_second)), rng=rng)

    across(0)  # Bad input is refused before training starts.
    return across


def one_hot_view(n_classes: int, k: int) -> tuple[FloatArray, IntArray]:
    """One-hot codes (C, w), w the multiple of C from k on, and class numbers (C,).

    A view must be as wide as the shared code. Repeating the code, rather than padding it with zeros, adds no
    information and leaves the mean reconstruction error per column as it is.
    """
    return np.tile(np.eye(n_classes), -(-k // n_classes)), np.arange(n_classes)


def _one_hot(
    u_eeg: npt.NDArray[Any], y_eeg: npt.NDArray[Any], *, n_classes: int, k: int, rng: object
) -> Rows:
    return one_hot_view(n_classes, k)


def _prototypes(
    u_eeg: npt.NDArray[Any], y_eeg: npt.NDArray[Any], *, n_classes: int, k: int, rng: np.random.Generator
) -> Rows:
    return rng.standard_normal((n_classes, u_eeg.shape[1])), np.arange(n_classes)


def _class_means(
    u_eeg: npt.NDArray[Any], y_eeg: npt.NDArray[Any], *, n_classes: int, k: int, rng: object
) -> Rows:
    _check_rows(u_eeg, y_eeg, "class-means")
    absent = sorted(set(range(n_classes)) - set(y_eeg.tolist()))
    if absent:
        raise ModelError(
            f"no EEG row of {len(absent)} of {n_classes} classes (numbers {', '.join(map(str, absent))})",
            where="control 'class-means'",
            expected="EEG of every class",
        )
    return np.stack([u_eeg[y_eeg == c].mean(axis=0) for c in range(n_classes)]), np.arange(n_classes)


def _noise(
    u_eeg: npt.NDArray[Any], y_eeg: npt.NDArray[Any], *, n_classes: int, k: int, rng: np.random.Generator
) -> Rows:
    _check_rows(u_eeg, y_eeg, "noise")
    return rng.standard_normal(u_eeg.shape), np.asarray(y_eeg, dtype=np.int64)


def _shuffled(
    u_eeg: npt.NDArray[Any], y_eeg: npt.NDArray[Any], *, n_classes: int, k: int, rng: np.random.Generator
) -> Rows:
    _check_rows(u_eeg, y_eeg, "shuffled-labels")
    return np.asarray(u_eeg, dtype=np.float64), rng.permutation(np.asarray(y_eeg, dtype=np.int64))


def _eeg(u_eeg: npt.NDArray[Any], y_eeg: npt.NDArray[Any], *, n_classes: int, k: int, rng: object) -> Rows:
    _check_rows(u_eeg, y_eeg, "frozen-pairs")
    return np.asarray(u_eeg, dtype=np.float64), np.asarray(y_eeg, dtype=np.int64)


def _check_rows(u_eeg: npt.NDArray[Any], y_eeg: npt.NDArray[Any], control: str) -> None:
    if len(u_eeg) != len(y_eeg):
        raise ModelError(f"{len(u_eeg)} rows of EEG and {len(y_eeg)} labels", where=f"control '{control}'")


CONTROLS: dict[str, Control] = {
    "one-hot": Control(_one_hot, label_only=True),
    "prototypes": Control(_prototypes, label_only=True),
    "class-means": Control(_class_means, label_only=True),
    "noise": Control(_noise, partners="any"),
    "shuffled-labels": Control(_shuffled, partners="any"),
    "frozen-pairs": Control(_eeg, partners="frozen"),
}


_OWN = frozenset(CONTROLS)


def register_control(name: str, control: Control) -> None:
    """Enter a control, before the method that has it (:func:`jmml.methods.register_method`).

    Raises
    ------
    ConfigError : the package has one of that name.
    """
    if name in _OWN:
        raise ConfigError([f"there is a control '{name}' already; choose another name"])
    CONTROLS[name] = control


def _forget() -> None:
    """Drop what a project has entered."""
    for name in CONTROLS.keys() - _OWN:
        del CONTROLS[name]


on_change(_forget)


def known_control(name: str) -> Control:
    """The control of that name; :class:`ConfigError` for any other."""
    if name not in CONTROLS:
        raise ConfigError([f"unknown control '{name}'; {nearest(name, CONTROLS)}"])
    return CONTROLS[name]
