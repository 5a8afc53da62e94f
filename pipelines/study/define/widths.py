"""Whether inner folds carry the widths of the methods, found without fitting: too wide a one fails after minutes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from jmml.config import MethodConfig, Modality
from jmml.data.splits import Fold, Side, Split
from jmml.errors import ModelError
from jmml.methods import METHODS, Method, Setting
from jmml.models.controls import second_view
from jmml.models.jec_ssl import JECSSL
from jmml.models.one_view import SpeechOnly
from jmml.task import TaskData, View, rows_of

_KEYS = {"k": "stage2.k", "r": "stage1.r"}  # of the widths, as the errors of the models name them
_OF_ROWS = re.compile(r"\b(pairs|rows)\b|samples - 1")  # in an error: there are too few, and more would do
_SHOWN = 3  # methods that are named


@dataclass(frozen=True)
class Sizes:
    """Rows of the smallest inner fold of a task: those that are fitted, and speech that is scored."""

    speech: int
    eeg: int
    scored: int

    @classmethod
    def of(cls, task: TaskData, inner: Iterable[Split]) -> Sizes:
        """The smallest of the folds of all these splits."""
        pairs = [split.fold(number) for split in inner for number in range(len(split))]
        eeg = [
            _rows(task.eeg, fold, "train") for _, fold in pairs if task.eeg is not None and fold is not None
        ]
        return cls(
            speech=min(_rows(task.speech, fold, "train") for fold, _ in pairs),
            eeg=min(eeg, default=0),
            scored=min(_rows(task.speech, fold, "test") for fold, _ in pairs),
        )


def width_problems(
    task: TaskData,
    sizes: Sizes,
    methods: Sequence[str],
    candidates: Sequence[MethodConfig],
    place: Callable[[int, str], str],
) -> list[str]:
    """Widths of the candidates that the smallest inner fold cannot carry: a line for each setting that is to
    be changed, with the first value that is too wide and the methods it concerns.

    Parameters
    ----------
    place : where a setting of a candidate, by its number, is written or can be.
    """
    found: dict[str, tuple[ModelError, list[str]]] = {}
    for number, config in enumerate(candidates):
        for name in methods:
            if error := _refusal(METHODS[name], config, task, sizes):
                _, named = found.setdefault(_next_step(error, partial(place, number)), (error, []))
                named += [] if name in named else [name]
    return [_line(error, names, fix) for fix, (error, names) in found.items()]


def _refusal(method: Method, config: MethodConfig, task: TaskData, sizes: Sizes) -> ModelError | None:
    """What the estimators of a method say to so many rows when they are called; nothing is fitted."""
    try:
        for _ in _begun(method, config, task, sizes):
            pass
    except ModelError as error:
        return error
    return None


def _begun(method: Method, config: MethodConfig, task: TaskData, sizes: Sizes) -> Iterator[object]:
    """The fits of a method, as :class:`jmml.recogniser.EmotionRecogniser` begins them, on empty rows."""
    classes, r = len(task.classes), config.stage1.r
    counts: dict[Modality, int] = {"speech": sizes.speech} if method.input == "stage1" else {}
    if method.eeg:
        counts["eeg"] = sizes.eeg
    views = task.views()
    for modality, rows in counts.items():
        stage1 = JECSSL(**config.stage1.model_dump())
        yield stage1.iter_fit(np.zeros((rows, views[modality].X.shape[1])), _labels(rows, classes))
    if method.build is None:
        return
    y, width = _labels(sizes.speech, classes), task.speech.X.shape[1]
    estimator = method.build(Setting(config, 0, "cpu", width, classes))
    if isinstance(estimator, SpeechOnly):
        yield estimator.iter_fit(np.zeros((sizes.speech, width)), y)
        return
    other, y_other = np.zeros((sizes.eeg or classes, r)), _labels(sizes.eeg or classes, classes)
    if method.control is not None:
        other, y_other = second_view(
            method.control, other, y_other, n_classes=classes, k=config.stage2.k, seed=0
        )
    watched = method.two_view and method.eeg and method.control in (None, "frozen-pairs")
    probe = (np.zeros((sizes.scored, r)),) * 2 if watched else None
    yield estimator.iter_fit(np.zeros((sizes.speech, r)), other, y, y_other, held_out=probe)


def _labels(rows: int, classes: int) -> np.ndarray:
    return np.arange(rows) % classes


def _rows(view: View, fold: Fold, side: Side) -> int:
    return int(rows_of(view, fold, side).sum())


def _next_step(error: ModelError, place: Callable[[str], str]) -> str:
    """Which setting to change."""
    text = f"{error.what} {error.expected}"
    width = re.search(r"\b([kr]) = \d", text)
    if width is None:
        return error.fix or "leave them out"
    most = re.search(r"\bat most (\d+)", f"{error.fix} {error.expected}")
    more = ", or take more data" if _OF_ROWS.search(text) else ""
    return f"lower {place(_KEYS[width[1]])}{f' to {most[1]} or less' if most else ''}{more}"


def _line(error: ModelError, names: Sequence[str], fix: str) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    whose = f"method{'' if len(names) == 1 else 's'} {', '.join(names[:_SHOWN])}{more}"
    expected = f"expected {error.expected}; " if error.expected else ""
    return f"{error.what} ({whose}; smallest inner fold); {expected}{fix}"
