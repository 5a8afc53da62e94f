"""Whether a definition fits the project that it is to run in: its corpora, their versions, the folds, the space.

Everything that is wrong is found together. What cannot be known is left out: the folds of corpora that are not there,
or whether a cluster has the GPUs that a trial asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jmml.config import MethodConfig, Modality, Params
from jmml.data.splits import Split
from jmml.data.table import FeatureTable
from jmml.errors import ConfigError, CorpusError, DataError, JMMLError, ProjectError, ProtocolError, nearest
from jmml.models.pairs import ROWS_PER_DIMENSION
from jmml.task import TaskData, make_inner_split, training_part
from pipelines.corpora.on_demand import have_features
from pipelines.definitions.checks import corner_problems
from pipelines.definitions.spaces import Space
from pipelines.protocol.folds import draw_split, read_split
from pipelines.reporting.wording import many
from pipelines.sweep.definition.choices import GRACEFUL
from pipelines.sweep.definition.model import CorpusRef, SweepDefinition
from pipelines.workspace import lineage
from pipelines.workspace.project import Project
from pipelines.workspace.task import check_pairs, read_task, with_task

MODALITIES: tuple[Modality, Modality] = ("speech", "eeg")
_SHORT = 12  # digits of a digest that are shown


@dataclass(frozen=True)
class Fit:
    """Settings, data and folds that a definition runs on.

    Attributes
    ----------
    params : the project's settings with those that the definition names.
    training : the task without the groups of the outer fold.
    project : with those corpora at a revision of which the definition names one.
    corpora : names of the corpora, speech and EEG.
    """

    project: Project
    params: Params
    task: TaskData
    split: Split
    training: TaskData
    corpora: tuple[str, str]


def fit(project: Project, definition: SweepDefinition) -> Fit:
    """Params, data and folds of a checked definition.

    Raises
    ------
    JMMLError : of the kind of its only problem; :class:`ConfigError` with all problems where there are several.
    """
    found, problems = _compared(project, definition)
    if len(problems) == 1:
        raise problems[0]
    if problems or found is None:
        raise ConfigError(_texts(problems), where=definition.name)
    return found


def project_problems(project: Project, definition: SweepDefinition) -> list[str]:
    """Problems that :func:`fit` finds, as texts."""
    return _texts(_compared(project, definition)[1])


def check_against(definition: SweepDefinition, base: MethodConfig) -> None:
    """Check a definition with the settings of a project, which hold wherever it says nothing.

    Raises
    ------
    ConfigError : the scheduler waits longer than trials run, settings contradict each other somewhere in the
        space, or a classifier lacks an option.
    """
    found = corner_problems(definition.space, base)
    longest, scheduler = definition.max_epochs(base), definition.scheduler
    runs = f"but trials run at most {many(longest, 'epoch')} of stage 2 (method.stage2.epochs)"
    if scheduler.name in GRACEFUL and scheduler.grace_epochs > longest:
        found.append(f"scheduler.grace_epochs: {scheduler.grace_epochs}, {runs}")
    if definition.pbt is not None and definition.pbt.interval >= longest:
        found.append(f"pbt.interval: {definition.pbt.interval}, {runs}, so that nothing would ever change")
    if scheduler.name == "hyperband" and longest < scheduler.reduction:
        found.append(f"scheduler.reduction: {scheduler.reduction}, {runs}")
    if definition.budget.epochs is not None and definition.budget.epochs < longest:
        found.append(
            f"budget.epochs: {definition.budget.epochs}, but one trial alone runs {many(longest, 'epoch')} of stage 2"
        )
    if found:
        raise ConfigError(found, where=definition.name)


def _texts(problems: Sequence[JMMLError]) -> list[str]:
    texts: list[str] = []
    for problem in problems:
        texts += problem.problems if isinstance(problem, ConfigError) else [str(problem)]
    return list(dict.fromkeys(texts))


def _compared(project: Project, definition: SweepDefinition) -> tuple[Fit | None, list[JMMLError]]:
    problems: list[JMMLError] = []
    try:
        check_against(definition, project.params.method)
    except ConfigError as error:
        problems.append(error)
    try:
        project = _at_revisions(project, definition)
    except JMMLError as error:
        return None, [*problems, error]
    names = {modality: _corpus(project, definition, modality, problems) for modality in MODALITIES}
    speech, eeg = names["speech"], names["eeg"]
    if speech is None or eeg is None:
        return None, problems
    try:
        params = _merged(project, definition, speech, eeg)
        task = read_task(project, params)
        split = _split(project, params, task)
    except JMMLError as error:
        return None, [*problems, error]
    fold = definition.protocol.outer_fold
    if fold >= len(split):
        text = f"protocol.outer_fold: {fold}, but the split has folds 0 to {len(split) - 1}"
        return None, [*problems, ConfigError([text], where=definition.name)]
    training = training_part(task, split, fold)
    problems += _of_the_data(definition, params, task, training)
    return Fit(project, params, task, split, training, (speech, eeg)), problems


def _at_revisions(project: Project, definition: SweepDefinition) -> Project:
    """The project with the corpora at the revisions that the definition names; they are brought here where need be."""
    wanted = {}
    for modality in MODALITIES:
        ref: CorpusRef | None = getattr(definition.corpora, modality)
        name = getattr(project.params.task, modality) if ref is None or ref.name is None else ref.name
        if ref is not None and ref.rev is not None and name in project.params.corpora:
            wanted[name] = ref.rev
    if not wanted:
        return project
    from pipelines.versions.reading import at_revisions  # and with it DVC

    return at_revisions(project, wanted)


def _corpus(
    project: Project,
    definition: SweepDefinition,
    modality: Modality,
    problems: list[JMMLError],
) -> str | None:
    """Name of the corpus of a modality; None where it cannot be used, which is added to ``problems``."""
    where = f"corpora.{modality}"
    ref: CorpusRef | None = getattr(definition.corpora, modality)
    name: str | None = ref.name if ref is not None and ref.name else getattr(project.params.task, modality)
    if name is None:
        problems.append(
            ProtocolError(
                "a sweep searches both stages and needs EEG",
                fix="set task.eeg in params.yaml, or corpora.eeg in the definition",
            )
        )
        return None
    corpus = project.params.corpora.get(name)
    if corpus is None:
        known = [other for other, entry in project.params.corpora.items() if entry.modality == modality]
        problems.append(
            CorpusError(
                f"unknown corpus '{name}'; {nearest(name, known)}",
                where=where,
                fix=f"name one of params.yaml, or add it with `jmml data add {name} PATH`",
            )
        )
        return None
    if corpus.modality != modality:
        problems.append(
            ConfigError([f"{where}: corpus '{name}' holds {corpus.modality}"], where=definition.name)
        )
        return None
    try:
        _check_features(project, name, ref, where)
    except DataError as error:
        problems.append(error)
        return None
    return name


def _of_the_data(
    definition: SweepDefinition, params: Params, task: TaskData, training: TaskData
) -> list[JMMLError]:
    """Problems with the data: too little in the training part for the definition."""
    problems: list[JMMLError] = []
    try:
        inner = make_inner_split(training, n_folds=params.protocol.inner_folds, seed=definition.seed)
        parts = [training_part(training, inner, number) for number in range(len(inner))]
        if found := _too_wide(definition.space, params, parts):
            problems.append(ConfigError(found, where=definition.name))
    except ProtocolError as error:
        problems.append(error)
    searched = definition.space.get("stage2.pairing")
    pairings = {str(value) for value in searched.values} if searched else {params.method.stage2.pairing}
    try:
        check_pairs(task, pairings)
    except ProtocolError as error:
        problems.append(error)
    return problems


def _merged(project: Project, definition: SweepDefinition, speech: str, eeg: str) -> Params:
    """The project's settings with those that the definition names."""
    base = project.params
    return with_task(
        base,
        speech=speech,
        eeg=eeg,
        label_space=definition.protocol.label_space,
        protocol=definition.protocol.model_dump(mode="python", exclude={"label_space", "outer_fold"}),
    )


def _check_features(project: Project, corpus: str, ref: CorpusRef | None, where: str) -> None:
    """:class:`DataError` when the features of a corpus are not there, or not of the version that is named."""
    have_features(project, [corpus])
    path = project.features_path(corpus)
    if not path.is_file():
        there = sorted(name for name in project.params.corpora if project.features_path(name).is_file())
        raise DataError(
            f"features of '{corpus}' are missing; there are {', '.join(there) or 'none'}",
            where=where,
            fix="run `dvc repro`, or `dvc pull` where a remote has them",
        )
    if ref is None or ref.version is None:
        return
    found = {"content": FeatureTable.load(path).digest}
    try:
        for recorded in lineage.versions(project, corpus):
            found["features" if recorded.context == "features" else "recordings"] = recorded.dvc_hash
    except ProjectError as error:
        remark = f" ({error.what})"
    else:
        remark = ""
    if not any(value.startswith(ref.version) for value in found.values()):
        here = ", ".join(f"{what} {value[:_SHORT]}" for what, value in found.items())
        raise DataError(
            f"version {ref.version} of '{corpus}' is not the one here: {here}{remark}",
            where=where,
            fix="get it with `git checkout REVISION -- dvc.lock` and `dvc checkout`, or name the version that is here",
        )


def _split(project: Project, params: Params, task: TaskData) -> Split:
    """The outer folds of the project where they are those of the sweep, else drawn in the same way."""
    own = project.params
    if project.versions:  # the project's own are drawn of what the work tree has
        return draw_split(project, params, task)
    drawn_by = ("groups_per_fold", "disjoint", "folds")
    if params.task == own.task and all(
        getattr(params.protocol, name) == getattr(own.protocol, name) for name in drawn_by
    ):
        return read_split(project, task)
    return draw_split(project, params, task)


def _too_wide(space: Space, params: Params, parts: Sequence[TaskData]) -> list[str]:
    """Where the space allows more components than the data can carry; such trials could only fail."""

    def reach(key: str, default: int) -> tuple[int, int]:
        values = [int(v) for v in space[key].corners() if v is not None] if key in space else [default]
        return min(values), max(values)

    method, problems = params.method, []
    narrowest, r = reach("stage1.p", method.stage1.p)[0], reach("stage1.r", method.stage1.r)[1]
    classes = len(parts[0].classes)
    limits = {f"(C + 1) p of {classes} classes and stage1.p = {narrowest}": (classes + 1) * narrowest}
    for part in parts:
        for name, view in (("speech", part.speech), ("eeg", part.eeg)):
            assert view is not None
            limits[f"features of {name}"] = view.X.shape[1]
            rows = f"rows of {name} in an inner fold, less one"
            limits[rows] = min(limits.get(rows, len(view) - 1), len(view) - 1)
    tightest = min(limits, key=lambda what: limits[what])
    if r > limits[tightest]:
        problems.append(
            f"space: it allows stage1.r = {r}, but the data carry at most {limits[tightest]} ({tightest}); narrow it"
        )
    k, pairs = reach("stage2.k", method.stage2.k)[1], min(len(part.speech) for part in parts)
    searched = space.get("stage2.lam_c")
    correlates = any(searched.corners()) if searched else method.stage2.lam_c > 0
    if correlates and ROWS_PER_DIMENSION * k > pairs:
        problems.append(
            f"space: it allows stage2.k = {k}, which takes {ROWS_PER_DIMENSION * k} pairs, and an inner fold has "
            f"{pairs}; narrow it"
        )
    return problems
