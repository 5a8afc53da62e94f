"""Two synthetic worlds that differ in one thing: whether the EEG of a trial knows more of it than its label.

Person g goes through trial t with the nominal class c (a quadrant, balanced in every person) and the latent
state s in R^2, valence and arousal:

    s  = (m_c + tau * eps ) / sqrt(1 + tau^2)          m_c in {-1, 1}^2, eps and eps' independent N(0, I)
    s' = (m_c + tau * eps') / sqrt(1 + tau^2)

    x  = sqrt(a/2) A s   + sqrt(b/R) B n  + sqrt(q/R) P o_g   + sqrt(1 - a - b - q) w        speech
    e  = sqrt(a/2) A' z  + sqrt(b/R) B' n' + sqrt(q/R) P' o'_g + sqrt(1 - a - b - q) w'      EEG

    world 'trial':  z = s      the EEG of a trial sees the state that its speech expresses
    world 'label':  z = s'     the EEG of a trial sees another state of the same class

All n, o, w, and the entries of A, B, P are independent N(0, 1), each modality with its own and with its own
shares of variance: a of affect, b of a nuisance of rank R (what is said, how the day went), q of the person,
the rest noise. Features are dimensionless, with a variance of 1 on average.

What the worlds share: x with its labels is the same to the last byte, and (e, c) has the same distribution,
as s and s' have. Every draw of the EEG but eps' is the same as well. So no study of one modality can tell the
worlds apart, whatever it does with the labels; pairs of the same trial can. Both worlds hold the same people
and trials in both modalities (``recording`` is equal), so that ``instance`` pairing works in both.

Why the pairs can help speech alone: recognising c is estimating the direction in x along which s moves. A
label is a coarse witness of s (the squared correlation is 1 / (1 + tau^2), 0.41 at the default), so a few
hundred labels leave that direction uncertain among many noisy features; EEG that sees s is a sharper one.
Nothing of it is in the label: given c, s and s' are independent.

What the worlds do not stand for: people. Signals, speakers, and how affect moves either modality were written
down here, not measured; everything is linear and Gaussian. The affect share of EEG at the default is far
above what is found in scalp EEG across people, so that a study of minutes has power. A gain in world 'trial'
shows that the method can use information about the individual trial if pairs carry it, and that the study can
see it; it does not say that real EEG holds any. Offsets of speaker and subject are independent but belong to
the same people: pairs also say who is who, in both worlds, which is a nuisance that an aligned code can learn.

At the defaults, knowing s exactly gives an UAR of 0.64 (Phi(1/tau)^2), a linear classifier with unlimited
data about 0.60 from either modality. With :data:`METHOD`, 16 people, two left out, and five training seeds,
JMML on instance pairs minus the one-hot control was +0.035 to +0.086 in world 'trial' (mean of world seeds 0
to 7: +0.052, all eight 95 % intervals above 0) and -0.026 to +0.011 in world 'label' (mean -0.009, none above
0, one below). The project's own defaults (r = 8, k = 6) do not see the difference: +0.006 and -0.011, world seeds 0
to 2, four people left out, two training seeds. Effect sizes and METHOD were chosen so that a study of this size
sees it, on other draws of the same model.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Literal, get_args

import numpy as np
import pandas as pd

from jmml.config import MethodConfig, Modality, PairingName, Params, validate
from jmml.data.synthetic.affect import Floats
from jmml.data.table import FeatureTable
from jmml.errors import ConfigError, nearest

World = Literal["label", "trial"]

# One emotion for each quadrant, with the signs of its valence and arousal.
CLASSES: dict[str, tuple[float, float]] = {
    "happiness": (1.0, 1.0),
    "calm": (1.0, -1.0),
    "anger": (-1.0, 1.0),
    "sadness": (-1.0, -1.0),
}
# With k = 6 of r = 8 the code keeps nearly all of stage 1's output, whatever the second view says; a code of
# width C - 1 out of a wider view has to choose.
METHOD: dict[str, dict[str, object]] = {"stage1": {"r": 12}, "stage2": {"k": 3}}


@dataclass(frozen=True)
class Channel:
    """One modality: its number of features, and the shares of their variance.

    ``affect`` (a), ``nuisance`` (b, of rank ``rank``) and ``person`` (q) leave the rest to noise that is
    independent in every feature and trial.
    """

    features: int
    affect: float
    nuisance: float = 0.4
    person: float = 0.05
    rank: int = 4

    @property
    def noise(self) -> float:
        return 1.0 - self.affect - self.nuisance - self.person


SPEECH = Channel(features=80, affect=0.12, nuisance=0.40)
EEG = Channel(features=32, affect=0.30, nuisance=0.30)
TAU = 1.2


class _Part(IntEnum):
    """First key of every random stream; none is a :class:`jmml.data.synthetic.affect.Stream`."""

    STATE = 101
    OTHER_STATE = 102
    SPEECH = 110
    EEG = 120


def world_tables(
    world: World,
    *,
    people: int = 16,
    trials: int = 32,
    seed: int = 0,
    tau: float = TAU,
    speech: Channel = SPEECH,
    eeg: Channel = EEG,
) -> tuple[FeatureTable, FeatureTable]:
    """Speech and EEG of one world, row by row the same trials; see the model at the head of this module.

    Parameters
    ----------
    world : ``"trial"`` (pairs carry the state of the trial) or ``"label"`` (they carry its class alone).
    people : number of people, at least 2; each is a group of both tables.
    trials : trials of each person, a multiple of 4.
    seed : of every draw. More people or trials leave the earlier ones as they were.
    tau : spread of the state inside a class, in units of the distance of a class from the neutral point.
    speech, eeg : sizes and effect sizes of the modalities.

    Returns
    -------
    Tables of ``people * trials`` rows, corpora ``world-<world>-speech`` and ``world-<world>-eeg``, labelled
    with the emotions of :data:`CLASSES`.

    Raises
    ------
    ConfigError : an unknown world, or sizes and shares that are out of range, all in one message.

    Example
    -------
    >>> speech, eeg = world_tables("trial", people=2, trials=4)
    >>> speech.X.shape, eeg.X.shape, list(speech.index["recording"]) == list(eeg.index["recording"])
    ((8, 80), (8, 32), True)
    """
    _check(world, people, trials, seed, tau, speech, eeg)
    means = np.array(list(CLASSES.values()))[np.arange(trials) % len(CLASSES)]
    expressed = _states(means, tau, people, seed, _Part.STATE)
    felt = expressed if world == "trial" else _states(means, tau, people, seed, _Part.OTHER_STATE)
    settings = {"world": world, "people": people, "trials": trials, "seed": seed, "tau": tau}
    index = _index(people, trials)

    def table(modality: Modality, channel: Channel, states: Floats, part: _Part) -> FeatureTable:
        return FeatureTable(
            corpus=world_corpus(world, modality),
            modality=modality,
            index=index.copy(),
            X=_features(states, channel, seed, part).astype(np.float32),
            names=tuple(f"{modality}_{number:03d}" for number in range(channel.features)),
            units=("1",) * channel.features,
            settings={**settings, **asdict(channel)},
        )

    return table("speech", speech, expressed, _Part.SPEECH), table("eeg", eeg, felt, _Part.EEG)


def world_corpus(world: World, modality: Modality) -> str:
    """The corpus name of one modality of a world."""
    return f"world-{world}-{modality}"


def world_params(
    world: World, method: MethodConfig | None = None, *, pairing: PairingName = "instance"
) -> Params:
    """Settings with which ``jmml.task.load_task(params, *world_tables(world))`` makes the task of a world.

    ``method`` is the configuration of the method; left out, it is the project's defaults with the two
    settings of :data:`METHOD`. ``pairing`` replaces its pairing in either case. Corpora have no files.
    """
    _check_world(world)
    config = validate(MethodConfig, METHOD) if method is None else method
    chosen = config.model_dump(mode="json")
    chosen["stage2"]["pairing"] = pairing
    names = {modality: world_corpus(world, modality) for modality in get_args(Modality)}
    return validate(
        Params,
        {
            "corpora": {
                name: {"adapter": "table", "modality": modality, "path": f"embedded/{name}"}
                for modality, name in names.items()
            },
            "task": {**names, "label_space": "quadrants"},
            "method": chosen,
        },
    )


def _states(means: Floats, tau: float, people: int, seed: int, part: _Part) -> Floats:
    """States (people, trials, 2) with a variance of 1 on each axis."""
    spread = np.stack([_normal(seed, part, person, shape=means.shape) for person in range(people)])
    states: Floats = (means + tau * spread) / np.sqrt(1.0 + tau**2)
    return states


def _features(states: Floats, channel: Channel, seed: int, part: _Part) -> Floats:
    """Features (people * trials, D) of one modality that sees ``states``."""
    people, trials, axes = states.shape
    d, rank = channel.features, channel.rank
    affect = np.sqrt(channel.affect / axes) * _normal(seed, part, 0, shape=(axes, d))
    nuisance = np.sqrt(channel.nuisance / rank) * _normal(seed, part, 1, shape=(rank, d))
    person = np.sqrt(channel.person / rank) * _normal(seed, part, 2, shape=(rank, d))
    rows = []
    for number in range(people):
        content = _normal(seed, part, 3, number, shape=(trials, rank))
        offset = _normal(seed, part, 4, number, shape=(1, rank))
        noise = _normal(seed, part, 5, number, shape=(trials, d))
        rows.append(
            states[number] @ affect + content @ nuisance + offset @ person + np.sqrt(channel.noise) * noise
        )
    return np.concatenate(rows)


def _normal(seed: int, part: _Part, *keys: int, shape: tuple[int, ...]) -> Floats:
    """Standard normal deviates from a stream of their own."""
    sequence = np.random.SeedSequence(seed, spawn_key=(int(part), *keys))
    return np.random.default_rng(sequence).standard_normal(shape)


def _index(people: int, trials: int) -> pd.DataFrame:
    emotions = list(CLASSES)
    rows = [
        (f"p{person:02d}-t{trial:03d}", f"p{person:02d}", emotions[trial % len(emotions)])
        for person in range(1, people + 1)
        for trial in range(trials)
    ]
    names, groups, labels = zip(*rows, strict=True)
    return pd.DataFrame(
        {
            "id": names,
            "recording": names,
            "group": groups,
            "label": labels,
            "valence": np.nan,
            "arousal": np.nan,
            # What is drawn for a person and trial is the same in any world of so many: it stands for what they said.
            "content": [f"{number:064x}" for number in range(len(rows))],
        }
    )


def _check_world(world: str) -> None:
    if world not in get_args(World):
        raise ConfigError([f"unknown world '{world}'; {nearest(str(world), get_args(World))}"])


def _check(
    world: str, people: int, trials: int, seed: int, tau: float, speech: Channel, eeg: Channel
) -> None:
    _check_world(world)
    problems = []
    if people < 2:
        problems.append(f"people: expected at least 2, got {people}")
    if trials < len(CLASSES) or trials % len(CLASSES):
        problems.append(f"trials: expected a multiple of {len(CLASSES)}, got {trials}")
    if seed < 0:
        problems.append(f"seed: expected 0 or more, got {seed}")
    if not (np.isfinite(tau) and tau >= 0):
        problems.append(f"tau: expected 0 or more, got {tau}")
    for name, channel in (("speech", speech), ("eeg", eeg)):
        for size in ("features", "rank"):
            if getattr(channel, size) < 1:
                problems.append(f"{name}.{size}: expected at least 1, got {getattr(channel, size)}")
        shares = (channel.affect, channel.nuisance, channel.person)
        # Not `sum > 1`: a share that is not a number must be refused too.
        if not (min(shares) >= 0 and sum(shares) <= 1):
            problems.append(
                f"{name}: affect {channel.affect:g}, nuisance {channel.nuisance:g} and person {channel.person:g} "
                "are not valid shares of a variance of 1"
            )
    if problems:
        raise ConfigError(problems, where=f"world '{world}'")
