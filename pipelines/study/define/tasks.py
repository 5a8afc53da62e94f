"""The tasks of a study: where their data come from, their folds, and the candidates every method is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from jmml.config import MethodConfig, Params, validate
from jmml.data.splits import Split
from jmml.data.synthetic.worlds import world_params, world_tables
from jmml.data.table import FeatureTable
from jmml.errors import ConfigError, ProtocolError
from jmml.evaluation.shares import in_words, shares, summary
from jmml.methods import METHODS
from jmml.task import TaskData, load_task, make_inner_split, training_part
from pipelines.corpora.confounding import of_corpora
from pipelines.corpora.on_demand import have_features
from pipelines.definitions import spaces
from pipelines.definitions.checks import corner_problems, part_of
from pipelines.protocol.folds import draw_split
from pipelines.reporting.wording import many
from pipelines.study.define.checks import merged
from pipelines.study.define.model import StudyDefinition, StudyTask
from pipelines.study.define.widths import Sizes, width_problems
from pipelines.workspace.project import CorpusVersion, Project
from pipelines.workspace.task import check_pairs, with_task


@dataclass(frozen=True)
class TaskText:
    """How a task is presented: its title and what a reader should know of its data."""

    title: str = ""
    description: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PlannedTask:
    """One task with its data.

    Attributes
    ----------
    candidates : the configurations that every method is given; the first one holds the defaults.
    corpora : those of ``params.yaml`` that it reads, by name or at a revision; none for a synthetic world.
    confounds : what goes along with their labels besides how people sound, one line each.
    """

    name: str
    data: TaskData
    split: Split
    candidates: tuple[MethodConfig, ...]
    corpora: tuple[str | CorpusVersion, ...]
    confounds: tuple[str, ...] = ()

    @property
    def text(self) -> TaskText:
        """Title and description in the report."""
        data, context = self.data, self.data.context
        source = " with ".join(
            str(context[f"{m}_corpus"]) for m in ("speech", "eeg") if f"{m}_corpus" in context
        )
        held_out = max(len(fold.test) for fold in self.split.speech)
        description = {
            "data": source,
            "size": _size_of(data),
            "label space": data.label_space,
            "outer folds": f"{len(self.split)}, {many(held_out, 'speaker')} each",
            "pairing": self.candidates[0].stage2.pairing if data.eeg is not None else "no EEG",
            "normalisation": data.normalisation,
        }
        if versions := [str(corpus) for corpus in self.corpora if isinstance(corpus, CorpusVersion)]:
            description["version"] = "; ".join(versions)
        if data.disjoint:
            description["disjoint by"] = ", ".join(("person", *data.disjoint))
        if shared := in_words(summary(shares(data, self.split))):
            description["shared with training"] = "; ".join(shared)
        if self.confounds:
            description["confounds"] = "; ".join(self.confounds)
        return TaskText(title=self.name, description=description)

    def __str__(self) -> str:
        text = _size_of(self.data)
        pairing = self.candidates[0].stage2.pairing
        return f"{text}; {self.data.label_space}, {len(self.split)} folds, {pairing} pairs"


def draw_candidates(definition: StudyDefinition, base: MethodConfig) -> tuple[spaces.Configuration, ...]:
    """The configurations besides the defaults, once for all tasks and methods: that is the equal budget."""
    tuning = definition.tuning
    wanted = tuning.trials - 1
    if not wanted:
        return ()
    plain = base.model_dump(mode="python")
    everything = spaces.draw(
        tuning.space, int(min(tuning.trials, spaces.size(tuning.space))), seed=tuning.seed
    )
    others = [values for values in everything if any(_setting(plain, key) != v for key, v in values.items())]
    if len(others) < wanted:
        raise ConfigError(
            [
                f"tuning.trials: {tuning.trials}, but the space holds {many(len(others), 'configuration')} besides "
                "the defaults"
            ],
            where=f"study {definition.name}",
        )
    return tuple(others[:wanted])


def inner_folds(definition: StudyDefinition, params: Params) -> int:
    """Inner folds of every search; those of ``params.yaml`` unless the definition says otherwise."""
    return definition.tuning.inner_folds or params.protocol.inner_folds


def plan_task(
    project: Project,
    definition: StudyDefinition,
    drawn: Sequence[spaces.Configuration],
    name: str,
    task: StudyTask,
) -> PlannedTask:
    """Read the data of a task, draw its folds and settle its candidates.

    Raises
    ------
    ConfigError : settings contradict each other, or those of ``params.yaml``, somewhere in the space.
    DataError, ProtocolError : features are missing, or the data cannot carry methods, pairing or folds.
    """
    params, corpora = _params(project, definition, task)
    project = _at_revisions(project, task, corpora)
    problems = corner_problems(definition.tuning.space, params.method) if drawn else []
    if problems:
        raise ConfigError([f"tuning.{problem}" for problem in problems])
    candidates = (params.method, *(spaces.configure(params.method, values) for values in drawn))
    if task.world is not None:
        data = load_task(params, *world_tables(task.world, **_size(task)))
    else:
        have_features(project, corpora)
        tables = [FeatureTable.load(project.features_path(corpus)) for corpus in corpora]
        data = load_task(params, tables[0], tables[1] if len(tables) > 1 else None)
    if data.eeg is None and (needing := [name for name in definition.methods if METHODS[name].eeg]):
        raise ProtocolError(
            f"{', '.join(needing)} need{'s' if len(needing) == 1 else ''} EEG and the task has none",
            where=f"task {name}",
            fix="give it eeg, or leave these methods out",
        )
    check_pairs(data, {params.method.stage2.pairing}, where=f"task {name}")
    split, sizes = _folds(project, definition, params, name, task, data)
    place = partial(_place, definition, name, task)
    if problems := width_problems(data, sizes, definition.methods, candidates, place):
        words = partial(_in_words_of_a_study, name=name, world=task.world is not None)
        raise ConfigError(map(words, problems))
    confounds = of_corpora(project, corpora, data.label_space)
    read = tuple(project.versions.get(corpus, corpus) for corpus in corpora)
    return PlannedTask(name, data, split, candidates, read, tuple(confounds))


def _place(definition: StudyDefinition, name: str, task: StudyTask, candidate: int, key: str) -> str:
    """Where a setting of a candidate is written in the definition; where it would be, if it is not."""
    if candidate and key in definition.tuning.space:
        return f"tuning.space.{key}"
    section, _, setting = key.partition(".")
    return (
        f"tasks.{name}.method.{key}" if setting in (part_of(task.method, section) or ()) else f"method.{key}"
    )


def _folds(
    project: Project, definition: StudyDefinition, params: Params, name: str, task: StudyTask, data: TaskData
) -> tuple[Split, Sizes]:
    """The outer folds, once inner folds can be drawn in each of them with every seed, and the sizes of these."""
    inner = []
    where = f"task {name}"
    try:
        split = draw_split(project, params, data)
        for fold in range(len(split)):
            where = f"task {name}, inner folds of outer fold {fold}"
            training = training_part(data, split, fold)
            for seed in definition.seeds:
                inner.append(make_inner_split(training, n_folds=inner_folds(definition, params), seed=seed))
    except ProtocolError as error:
        raise ProtocolError(
            error.what,
            where=where if error.where is None else f"{where}, {error.where}",
            expected=error.expected,
            fix=error.fix and _in_words_of_a_study(error.fix, name, world=task.world is not None),
        ) from None
    return split, Sizes.of(data, inner)


def _in_words_of_a_study(fix: str, name: str, *, world: bool) -> str:
    """A next step that speaks of ``params.yaml``, with the keys of a study's definition."""
    words = {
        "protocol.groups_per_fold": f"groups_per_fold (of the study or of tasks.{name})",
        "protocol.inner_folds": "tuning.inner_folds",
    }
    if world:
        words |= {
            "take more data": f"raise tasks.{name}.trials",
            "add speakers": f"raise tasks.{name}.people",
            "add recordings of other people": f"raise tasks.{name}.people",
            "drop or merge the class with corpora.<name>.labels": f"raise tasks.{name}.trials",
        }
    for theirs, ours in words.items():
        fix = fix.replace(theirs, ours)
    return fix


def _params(project: Project, definition: StudyDefinition, task: StudyTask) -> tuple[Params, tuple[str, ...]]:
    """The settings under which a task runs, and the corpora of ``params.yaml`` that it reads."""
    base = project.params
    pairing = {"stage2": {"pairing": task.pairing}} if task.pairing else {}
    method = merged(base.method, definition.method, task.method, pairing)
    protocol = {
        "groups_per_fold": task.groups_per_fold
        or definition.groups_per_fold
        or base.protocol.groups_per_fold,
        "disjoint": task.disjoint or (None if task.world else definition.disjoint),
        "normalisation": definition.normalisation or ("none" if task.world else base.protocol.normalisation),
    }
    if task.world is not None:
        data = world_params(task.world, method, pairing=task.pairing or "instance").model_dump(mode="python")
        data["protocol"] |= {key: value for key, value in protocol.items() if value is not None}
        return validate(Params, data), ()
    speech, eeg = (
        (base.task.speech, base.task.eeg)
        if task.project
        else (str(task.named("speech")[0]), task.named("eeg")[0])
    )
    corpora = tuple(corpus for corpus in (speech, eeg) if corpus)
    for corpus in corpora:
        project.corpus(corpus)
    params = with_task(
        base, speech=speech, eeg=eeg, label_space=task.label_space, method=method, protocol=protocol
    )
    return params, corpora


def _at_revisions(project: Project, task: StudyTask, corpora: Sequence[str]) -> Project:
    """The project with the corpora at the revisions that the task names; they are brought here where need be."""
    revisions = (task.named("speech")[1], task.named("eeg")[1])
    wanted = {name: rev for name, rev in zip(corpora, revisions, strict=False) if rev is not None}
    if not wanted:
        return project
    from pipelines.versions.reading import at_revisions  # and with it DVC

    return at_revisions(project, wanted)


def _size(task: StudyTask) -> dict[str, Any]:
    """Settings of a world that the task names; the rest keep the world's defaults."""
    named = {"people": task.people, "trials": task.trials, "seed": task.seed}
    return {name: value for name, value in named.items() if value is not None}


def _setting(settings: Any, key: str) -> Any:
    for part in key.split(".", 2):
        settings = settings.get(part) if isinstance(settings, dict) else None
    return settings


def _size_of(data: TaskData) -> str:
    text = f"{len(data.speech)} utterances of {many(len(set(data.speech.groups)), 'speaker')}"
    if data.eeg is None:
        return text
    text += f", {len(data.eeg)} EEG rows of {many(len(set(data.eeg.groups)), 'subject')}"
    return text + (", parallel" if data.parallel else ", recorded apart")
