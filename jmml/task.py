"""The data of a task: features and labels of both modalities in one label space, and their grouped splits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import numpy as np

from jmml.config import LabelSpace, Modality, Normalisation, Params, validate
from jmml.data.confounds import without_false_hope
from jmml.data.features.normalise import zscore_per_group
from jmml.data.labels import SPACES, map_labels
from jmml.data.protocol.disjoint import disjoint_folds
from jmml.data.splits import Fold, Side, Split, inner_folds, outer_folds
from jmml.data.table import CONTEXT_COLUMNS, FeatureTable, row_hashes
from jmml.errors import DataError, ProtocolError
from jmml.view import View as View  # part of a task


@dataclass(frozen=True)
class TaskData:
    """Both views of a task in one label space.

    Attributes
    ----------
    classes : the C class names; ``y`` of both views counts in this order.
    disjoint : what the parts of a fold must not share besides people, such as ``text``.
    dropped : per modality, how many rows each unmapped label lost by the explicit setting ``unmapped: drop``.
    """

    speech: View
    eeg: View | None
    classes: tuple[str, ...]
    label_space: LabelSpace
    normalisation: Normalisation
    context: dict[str, object] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    disjoint: tuple[str, ...] = ()

    @property
    def parallel(self) -> bool:
        """Whether both views hold the same people, so that a person must be left out of both at once.

        They do when they share a recording or the name of a group: a name means one person.
        """
        if self.eeg is None:
            return False
        apart = set(self.speech.recordings).isdisjoint(self.eeg.recordings)
        return not (apart and set(self.speech.groups).isdisjoint(self.eeg.groups))

    def views(self) -> dict[Modality, View]:
        """The view of each modality there is."""
        return {"speech": self.speech} if self.eeg is None else {"speech": self.speech, "eeg": self.eeg}


def load_task(params: Params, speech: FeatureTable, eeg: FeatureTable | None) -> TaskData:
    """Map labels into the task's space, normalise as set, and settle the classes.

    Raises
    ------
    DataError
        The features were extracted with other settings than ``params.features``.
    LabelError
        A label has no place in the label space and ``unmapped`` is ``error``.
    ProtocolError
        Fewer than two classes are left, or a class exists in one modality only.
    """
    space = params.task.label_space
    dropped: dict[str, int] = {}
    views: dict[str, tuple[View, set[str]]] = {}
    tables = {"speech": speech} if eeg is None else {"speech": speech, "eeg": eeg}
    for modality, table in tables.items():
        _check_current(table, params)
        corpus = params.corpora[table.corpus]
        labels = map_labels(
            table.index,
            adapter=corpus.adapter,
            space=space,
            overrides=corpus.labels,
            unmapped=corpus.unmapped,
            rating_threshold=corpus.rating_threshold,
            where=table.corpus,
        )
        known = np.array([label is not None for label in labels], dtype=bool)
        dropped[modality] = int((~known).sum())
        X = table.X.astype(np.float64)
        recordings = table.index["recording"].to_numpy(dtype=object)
        if params.protocol.normalisation == "per-group":
            X = zscore_per_group(X, table.groups)
        order = {name: i for i, name in enumerate(SPACES[space])}
        y = np.array([order[label] for label in labels[known]], dtype=np.int64)
        keys = {name: table.index[name].to_numpy() for name in table.index if name in CONTEXT_COLUMNS}
        keys.setdefault("content", row_hashes(table.X))
        if "source" in keys:
            keys["recording"] = keys.pop("source")
        view = View(
            X[known], y, table.groups[known], table.ids[known], recordings[known], table.names,
            {name: values[known] for name, values in keys.items()},
        )  # fmt: skip
        views[modality] = view, {str(label) for label in labels[known]}

    view, present = views["speech"]
    if "eeg" in views and views["eeg"][1] != present:
        only = sorted(present ^ views["eeg"][1])
        raise ProtocolError(
            f"class {', '.join(only)} occurs in one modality only",
            where=f"{speech.corpus} and {eeg.corpus if eeg else None} in '{space}'",
            expected="the same classes in speech and EEG",
            fix="choose another task.label_space, or map the label elsewhere in corpora.<name>.labels",
        )
    classes = tuple(name for name in SPACES[space] if name in present)
    if len(classes) < 2:
        raise ProtocolError(
            f"{len(classes)} class in '{space}'", where=speech.corpus, expected="at least two classes"
        )
    renumber = np.full(len(SPACES[space]), -1)
    renumber[[SPACES[space].index(name) for name in classes]] = np.arange(len(classes))
    numbered = {m: replace(v, y=renumber[v.y]) for m, (v, _) in views.items()}
    context: dict[str, object] = {
        "label_space": space,
        "normalisation": params.protocol.normalisation,
        "speech_features": params.features.speech.model_dump(mode="json"),
        "speech_feature_names": list(speech.names),
        "speech_extractor": speech.extractor,
        "speech_corpus": speech.corpus,
        "speech_digest": speech.digest,
    }
    disjoint = tuple(key for key in params.protocol.disjoint if key != "person")
    if disjoint:
        context["disjoint"] = ["person", *disjoint]
    if eeg is not None:
        context |= {
            "eeg_features": params.features.eeg.model_dump(mode="json"),
            "eeg_feature_names": list(eeg.names),
            "eeg_extractor": eeg.extractor,
            "eeg_corpus": eeg.corpus,
            "eeg_digest": eeg.digest,
        }
    return TaskData(
        speech=numbered["speech"],
        eeg=numbered.get("eeg"),
        classes=classes,
        label_space=space,
        normalisation=params.protocol.normalisation,
        context=context,
        dropped=dropped,
        disjoint=disjoint,
    )


def make_task(
    speech: FeatureTable,
    eeg: FeatureTable | None = None,
    *,
    label_space: LabelSpace = "quadrants",
    normalisation: Normalisation = "none",
    labels: Mapping[str, Mapping[str, str]] | None = None,
    unmapped: Literal["error", "drop"] = "error",
    rating_threshold: float = 5.0,
    disjoint: Sequence[str] = ("person",),
) -> TaskData:
    """A task from feature tables alone, without a project: labels of both in one space of C classes.

    Parameters
    ----------
    speech, eeg : features as :func:`jmml.data.loading.extract_features` gives them, of two corpora with different
        names. A group or recording that has the same name in both is taken for the same person or trial, who then is
        left out of both at once. Without ``eeg``, methods that learn from EEG cannot be run.
    label_space : ``discrete``, ``quadrants`` of arousal and valence, ``binary-arousal`` or ``binary-valence``.
    normalisation : ``per-group`` z-scores every speaker and subject by their own recordings: label free, but
        transductive, and such a model needs enrolment recordings at inference.
    labels : by corpus name, native label -> class of the space, in place of the adapter's own map.
    unmapped : what becomes of a label without a class: an error that lists it, or ``drop``.
    rating_threshold : ratings above it are high (or positive), below it low; those on it have no class.

    disjoint : what the parts of a fold must not share: ``person``, and ``text``, ``session``, ``recording`` or
        ``device``, which every sample of the speech corpus must then have.

    Raises
    ------
    LabelError : labels without a class.
    ProtocolError : two tables of one name, fewer than two classes, or a class that one modality lacks.

    Example
    -------
    >>> from jmml.data.synthetic.worlds import world_tables
    >>> task = make_task(*world_tables("trial", people=4, trials=8))
    >>> task.classes, task.speech.X.shape, task.eeg.X.shape, task.parallel
    (('HVHA', 'HVLA', 'LVHA', 'LVLA'), (32, 80), (32, 32), True)
    """
    tables = [speech] if eeg is None else [speech, eeg]
    for table in tables:
        if not isinstance(table, FeatureTable):
            raise DataError(
                f"{type(table).__name__} is not a feature table",
                expected="what extract_features returned",
                fix="extract_features(load_corpus(path))",
            )
    if eeg is not None and speech.corpus == eeg.corpus:
        raise ProtocolError(
            f"speech and EEG are both named '{speech.corpus}'", fix="load one of them under another name"
        )
    for table, wanted in zip(tables, ("speech", "eeg"), strict=False):
        if table.modality != wanted:
            raise ProtocolError(f"holds {table.modality}", where=table.corpus, expected=wanted)
    if strange := sorted(set(labels or {}) - {table.corpus for table in tables}):
        raise ProtocolError(
            f"labels of '{strange[0]}'", expected=f"those of {' or '.join(table.corpus for table in tables)}"
        )
    corpora = {
        table.corpus: {
            "adapter": table.adapter or "table",
            "modality": table.modality,
            "path": table.corpus,
            "labels": dict((labels or {}).get(table.corpus, {})),
            "unmapped": unmapped,
            "rating_threshold": float(rating_threshold),
        }
        for table in tables
    }
    settings = {table.modality: table.settings for table in tables if table.extractor != "external"}
    task = {
        "speech": speech.corpus,
        "eeg": None if eeg is None else eeg.corpus,
        "label_space": label_space,
    }
    protocol = {"normalisation": normalisation, "disjoint": list(disjoint)}
    params = {"corpora": corpora, "task": task, "features": settings, "protocol": protocol}
    return load_task(validate(Params, params), speech, eeg)


def _check_current(table: FeatureTable, params: Params) -> None:
    wanted = getattr(params.features, table.modality).model_dump(mode="json")
    if table.extractor != "external" and table.settings != wanted:
        every = dict.fromkeys((*wanted, *table.settings))
        names = [name for name in every if table.settings.get(name) != wanted.get(name)]
        raise DataError(
            f"features were extracted with another {', '.join(names)}",
            where=table.corpus,
            fix="run `dvc repro`",
        )


def make_split(
    task: TaskData, *, groups_per_fold: int = 2, seed: int = 0, speech: Sequence[Fold] | None = None
) -> Split:
    """Outer folds of both views: ceil(G / groups_per_fold) of them, each person of the G speakers left out once.

    No speaker and no EEG subject is ever on both sides, and both sides have every class. Where there are fewer EEG
    folds than speech folds they repeat. Of a task that is ``disjoint`` by more than people, the parts share none of
    that either (:mod:`jmml.data.protocol.disjoint`), and there are twice as many folds for every key that most share.

    Parameters
    ----------
    speech : folds of the speech, such as published ones, in place of drawn ones.

    Raises
    ------
    ProtocolError : too few people, or a class that the people of one side lack.

    Example
    -------
    >>> from jmml.data.synthetic.worlds import world_tables
    >>> split = make_split(make_task(*world_tables("trial", people=4, trials=8)), groups_per_fold=2)
    >>> len(split), [len(fold.test) for fold in split.speech]
    (2, [2, 2])
    """
    return _draw_split(
        task, partial(outer_folds, groups_per_fold=groups_per_fold, seed=seed), seed, given=speech
    )


def make_inner_split(training: TaskData, *, n_folds: int, seed: int) -> Split:
    """Inner folds of an outer training part, for search and early stopping."""
    return _draw_split(training, partial(inner_folds, n_folds=n_folds, seed=seed), seed, crossed=False)


def training_part(task: TaskData, split: Split, fold: int) -> TaskData:
    """The task without the groups of fold ``fold``: all that anything fitted for it may see."""
    return _part(task, split, fold, "train")


def evaluated_part(task: TaskData, split: Split, fold: int) -> TaskData:
    """The groups of fold ``fold`` alone."""
    return _part(task, split, fold, "test")


def _part(task: TaskData, split: Split, fold: int, side: Side) -> TaskData:
    speech_fold, eeg_fold = split.fold(fold)
    speech = task.speech.rows(rows_of(task.speech, speech_fold, side))
    eeg = None
    if task.eeg is not None and eeg_fold is not None:
        eeg = task.eeg.rows(rows_of(task.eeg, eeg_fold, side))
    return replace(task, speech=speech, eeg=eeg)


def rows_of(view: View, fold: Fold, side: Side) -> np.ndarray:
    """(n,) True where a row of ``view`` is in a part of ``fold``."""
    return fold.rows(side, view.groups, view.recordings)


def _draw_split(
    task: TaskData,
    draw: Callable[..., list[Fold]],
    seed: int,
    *,
    crossed: bool = True,
    given: Sequence[Fold] | None = None,
) -> Split:
    """Folds of both views by ``draw``; of a parallel corpus, the same folds on both sides."""

    def folds(view: View, where: str, *others: View) -> tuple[Fold, ...]:
        if where == "speech" and given is not None:
            return tuple(given)
        y = np.asarray(task.classes)[view.y]
        try:
            found = draw(view.groups, y, content=view.keys.get("content"), where=where)
        except ProtocolError as error:
            raise without_false_hope(error, view.groups, y) from None
        # A stimulus is no text: of corpora recorded apart, each is disjoint by what it knows.
        keys = [key for key in task.disjoint if where == "speech" or key in view.keys]
        if not keys:
            return tuple(found)
        views = (view, *others)
        return tuple(
            disjoint_folds(
                found,
                np.concatenate([one.groups for one in views]),
                np.concatenate([np.asarray(task.classes)[one.y] for one in views]),
                np.concatenate([one.recordings for one in views]),
                {key: _values(views, key) for key in keys},
                seed=seed,
                crossed=crossed,
                where=where,
            )
        )

    if task.eeg is None:
        return Split(folds(task.speech, "speech"))
    if not task.parallel:
        return Split(folds(task.speech, "speech"), folds(task.eeg, "eeg"))
    speech = folds(task.speech, "speech", task.eeg)
    apart = sorted(set(task.speech.groups) ^ set(task.eeg.groups))
    if apart:
        raise ProtocolError(
            f"speech and EEG share people or recordings, but {', '.join(map(str, apart))} occur in one only",
            expected="the same names in both modalities for the same people, other names for other people",
        )
    return Split(speech, speech)


def _values(views: Sequence[View], key: str) -> np.ndarray:
    """(n,) of a key over all views; what one view says of a recording holds in another that says nothing of it."""
    known: dict[object, object] = {}
    for view in views:
        if key in view.keys:
            for recording, value in zip(view.recordings, view.keys[key], strict=True):
                if value is not None and value == value:
                    known.setdefault(recording, value)
    found = []
    for view in views:
        own = view.keys.get(key, np.full(len(view), None, dtype=object))
        for recording, value in zip(view.recordings, own, strict=True):
            found.append(known.get(recording) if value is None or value != value else value)
    return np.array(found, dtype=object)
