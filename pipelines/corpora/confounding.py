"""Labels of the corpora of a project that say something else, or nothing: told wherever data are; confounds are refused
where a claim is made of them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from jmml.config import CorpusConfig, LabelSpace
from jmml.data.confounds import Confound, confounds
from jmml.data.labels import map_labels
from jmml.data.manifest import Manifest
from jmml.errors import LabelError, ProtocolError
from pipelines.corpora.scan import read_manifest
from pipelines.reporting.wording import many
from pipelines.workspace.project import Project

ACCEPT = "--accept-confound"


def classes_of(manifest: Manifest, config: CorpusConfig, space: LabelSpace) -> np.ndarray:
    """(n,) class of each sample by the settings of its corpus, None where it is dropped; :class:`LabelError` as of
    :func:`jmml.data.labels.map_labels`."""
    return map_labels(
        manifest.frame,
        adapter=config.adapter,
        space=space,
        overrides=config.labels,
        unmapped=config.unmapped,
        rating_threshold=config.rating_threshold,
        where=manifest.corpus,
    )


def of_manifest(manifest: Manifest, config: CorpusConfig, space: LabelSpace) -> list[Confound]:
    """Confounds of one corpus with its labels as classes of a space; with its own labels where they have no place."""
    frame = manifest.frame
    try:
        labels = classes_of(manifest, config, space)
    except LabelError:
        labels = frame["label"].to_numpy(dtype=object)
    return confounds(frame, labels)


def of_corpus(project: Project, name: str, space: LabelSpace | None = None) -> list[Confound]:
    """Confounds of a corpus of the project; none where it is unknown or not ingested."""
    config = project.params.corpora.get(name)
    manifest = None if config is None else read_manifest(project, name)
    if config is None or manifest is None:
        return []
    return of_manifest(manifest, config, space or project.params.task.label_space)


def warnings(found: Iterable[Confound]) -> list[str]:
    """What is to be told of confounds, one line each."""
    return [one.warning() for one in found if one.notable]


def of_corpora(project: Project, names: Iterable[str | None], space: LabelSpace | None = None) -> list[str]:
    """Warnings of several corpora, each with the name of its corpus."""
    return [
        f"{name}: {line}"
        for name in dict.fromkeys(names)
        if name is not None
        for line in warnings(of_corpus(project, name, space))
    ]


def refuse(lines: Iterable[str], *, accepted: bool, where: object) -> None:
    """:class:`ProtocolError` unless there is nothing to warn of, or it is accepted."""
    told = list(dict.fromkeys(lines))
    if told and not accepted:
        raise ProtocolError(
            f"nothing can be claimed of data in which the label goes along with something else: {'; '.join(told)}",
            where=where,
            fix=f"balance the corpora (`jmml data show` has the table), or claim it all the same with {ACCEPT}",
        )


def label_warnings(manifest: Manifest, config: CorpusConfig, space: LabelSpace) -> list[str]:
    """A line for labels without a place, for ratings that all lie on one side of the threshold, for a single class."""
    frame, entry = manifest.frame, f"corpora.{manifest.corpus}"
    try:
        mapped = classes_of(manifest, config, space)
    except LabelError as error:
        return [f"{error.what}; {error.fix}" if error.fix else error.what]
    lines = []
    rated = frame[frame["label"].isna()]
    for scale in ("valence", "arousal"):
        values = rated[scale].dropna().to_numpy(np.float64)
        above, below = (values > config.rating_threshold).sum(), (values < config.rating_threshold).sum()
        if len(values) > 1 and not (above and below):
            lines.append(
                f"no rating of {scale} is {'above' if below else 'below'} {config.rating_threshold:g}; they go from "
                f"{values.min():g} to {values.max():g}: {entry}.rating_threshold is the middle of the scale"
            )
    classes = sorted({str(name) for name in mapped if name is not None})
    if len(classes) == 1 and not lines:
        lines.append(f"all {many(len(frame), 'sample')} are {classes[0]} in '{space}'")
    return lines
