"""Settings of a project (``params.yaml``), checked as a whole before any work starts.

Every section is a pydantic model that refuses unknown keys. :func:`load_params` reports all problems at
once, each with the nearest valid key. :func:`digest` gives the short, stable fingerprint by which caches,
evidence and tracked runs name a configuration.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic_core import ErrorDetails

from jmml.errors import ConfigError, nearest
from jmml.plugins import CLASSIFIERS, CORPORA, EXTRACTORS, METHODS, PAIRINGS

Modality = Literal["speech", "eeg"]
LabelSpace = Literal["discrete", "quadrants", "binary-arousal", "binary-valence"]
Normalisation = Literal["none", "per-group"]
Key = Literal["person", "text", "session", "recording", "device"]
# Checked against what is registered, in the package and by the project (jmml.plugins).
AdapterName = Annotated[str, AfterValidator(CORPORA.check)]
ClassifierName = Annotated[str, AfterValidator(CLASSIFIERS.check)]
MethodName = Annotated[str, AfterValidator(METHODS.check)]
PairingName = Annotated[str, AfterValidator(PAIRINGS.check)]

PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


def matching(pattern: str, words: str) -> AfterValidator:
    """Refuses text that does not match ``pattern`` as a whole; ``words`` say what was expected."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"expected {words}, got {_show(text)}")
        return text

    return AfterValidator(check)


def _distinct(values: list[Any]) -> list[Any]:
    twice = sorted({str(value) for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} is named more than once")
    return values


def _people_alone() -> list[Key]:
    return ["person"]


def _with_person(keys: list[Any]) -> list[Any]:
    if "person" not in keys:
        raise ValueError("person is always among them: no speaker is on both sides of a split")
    return _distinct(keys)


Disjoint = Annotated[list[Key], AfterValidator(_with_person)]


class Section(BaseModel):
    """Base of every section: unknown keys are errors, values are immutable and checked strictly.

    Strict means that ``"8"`` is not an integer and ``1.5`` not a count; an integer is accepted as a float.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SyntheticConfig(Section):
    """The embedded default: two non-parallel corpora, see ``jmml.data.synthetic``.

    ``speakers`` say two statements in eight emotions, ``repetitions`` times each; ``subjects`` watch ``trials``
    trials of ``trial_s`` seconds, after 3 s of baseline. Effect sizes scale how far arousal and valence move
    the signals (0: not at all); ``difficulty`` scales all that hides it (differences between speakers and
    between subjects, variation between performances, artefacts).
    """

    seed: Annotated[int, Field(ge=0)] = 0
    speakers: Annotated[int, Field(ge=2, le=99)] = 8
    repetitions: Annotated[int, Field(ge=1, le=99)] = 2
    subjects: Annotated[int, Field(ge=2, le=99)] = 8
    trials: Annotated[int, Field(ge=4, le=400)] = 16
    trial_s: Annotated[float, Field(ge=1.0)] = 8.0
    difficulty: PositiveFloat = 1.0
    speech_effect: Weight = 1.0
    eeg_effect: Weight = 1.0


#: Adapters whose ratings do not go from 1 to 9 -> the middle of their scale.
RATING_MIDPOINTS: dict[str, float] = {"dreamer": 3.0}


class CorpusConfig(Section):
    """One corpus of the project: which adapter reads it, and where it lies.

    ``labels`` overrides the adapter's map (native label to a class of the label space);
    ``unmapped`` says what happens to labels that have no place: an error that lists them, or dropped;
    ``skip_bad`` leaves unreadable recordings out instead of stopping.

    Of a table of features, ``features`` names columns that are features although they look like an index, a rating or a
    code, ``leave_out`` columns that are none, and ``windows`` says whether rows whose ids differ in their last number
    alone are windows of one recording. Where they say nothing they are not part of the settings.
    """

    adapter: AdapterName
    modality: Modality
    path: str
    labels: dict[str, str] = Field(default_factory=dict)
    unmapped: Literal["error", "drop"] = "error"
    skip_bad: bool = False
    rating_threshold: float = 5.0
    features: Annotated[list[str], AfterValidator(_distinct)] = Field(default_factory=list)
    leave_out: Annotated[list[str], AfterValidator(_distinct)] = Field(default_factory=list)
    windows: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _midpoint_of_the_scale(cls, data: Any) -> Any:
        """Where nothing is said, ratings are told apart at the middle of the scale on which the corpus has them."""
        if (
            not isinstance(data, dict)
            or "rating_threshold" in data
            or data.get("adapter") not in RATING_MIDPOINTS
        ):
            return data
        return {**data, "rating_threshold": RATING_MIDPOINTS[data["adapter"]]}

    @model_validator(mode="after")
    def _of_tables_alone(self) -> CorpusConfig:
        said = [name for name in _OF_TABLES if getattr(self, name) not in ([], None)]
        if said and self.adapter != "table":
            raise ValueError(f"{said[0]}: is of tables of features, not of '{self.adapter}'")
        if both := sorted(set(self.features) & set(self.leave_out)):
            raise ValueError(f"leave_out: '{both[0]}' is among the features")
        return self

    @model_serializer(mode="wrap")
    def _said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        return {key: value for key, value in data.items() if key not in _OF_TABLES or value not in ([], None)}


_OF_TABLES = ("features", "leave_out", "windows")


class TaskConfig(Section):
    """Recognition task: the corpora and the label space. ``eeg: null`` leaves the methods that need no EEG."""

    speech: str
    eeg: str | None
    label_space: LabelSpace = "quadrants"


class ExtractorSettings(Section):
    """``extractor`` is one of the project's own in place of the package's (null), ``options`` are what it is given.

    Where they say nothing they are not part of the settings: features of the package are known by what made them before
    others could be named.
    """

    extractor: Annotated[str, AfterValidator(EXTRACTORS.check)] | None = None
    options: dict[str, bool | int | float | str | None] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _plain(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        return {key: value for key, value in data.items() if key not in _UNSAID or value != _UNSAID[key]}


_UNSAID: dict[str, Any] = {
    "extractor": None,
    "options": {},
    "segments": None,
    "sets": ["standard"],
    "estimate": "fir",
    "pairs": "homologous",
}


class SegmentsConfig(Section):
    """Segments of long recordings, a row of features each: ``length_s`` long, every ``hop_s`` (null: ``length_s``).

    They are cut between ``start_s`` and ``end_s`` (null: the end of the recording). A tail shorter than a segment is
    left out, unless it is all there is; so are silent segments.
    """

    length_s: Annotated[float, Field(ge=0.2)] = 10.0
    hop_s: PositiveFloat | None = None
    start_s: Weight = 0.0
    end_s: PositiveFloat | None = None

    @model_validator(mode="after")
    def _in_order(self) -> SegmentsConfig:
        if self.end_s is not None and self.end_s <= self.start_s:
            raise ValueError(f"end_s: {self.end_s:g} is not after start_s: {self.start_s:g}")
        return self


SpeechSet = Literal["standard", "voice"]


class SpeechFeatureConfig(ExtractorSettings):
    """Settings of the speech extractor; lengths in seconds, frequencies in Hz.

    ``sample_rate_hz`` is what every recording is resampled to. ``n_mfcc`` counts from coefficient 0. F0 is
    searched between ``f0_min_hz`` and ``f0_max_hz``, in frames of three periods of the lowest. ``segments: null`` gives
    one row per recording. ``sets`` are which features: ``standard``, and ``voice`` (jitter, shimmer, HNR, formants,
    loudness, speaking rate).
    """

    sample_rate_hz: Annotated[int, Field(ge=8000, le=48000)] = 16000
    frame_s: Annotated[float, Field(ge=0.016, le=0.1)] = 0.032
    hop_s: Annotated[float, Field(ge=0.001, le=0.05)] = 0.010
    n_mels: Annotated[int, Field(ge=2, le=99)] = 26
    n_mfcc: PositiveInt = 13
    f0_min_hz: Annotated[float, Field(ge=30)] = 65.0
    f0_max_hz: Annotated[float, Field(le=1200)] = 500.0
    segments: SegmentsConfig | None = None
    sets: Annotated[list[SpeechSet], Field(min_length=1), AfterValidator(_distinct)] = ["standard"]

    @model_validator(mode="after")
    def _in_order(self) -> SpeechFeatureConfig:
        if self.n_mfcc > self.n_mels:
            raise ValueError(f"n_mfcc: {self.n_mfcc} cepstral coefficients of n_mels: {self.n_mels} bands")
        if self.hop_s > self.frame_s:
            raise ValueError(f"hop_s: {self.hop_s:g} skips samples between frames of {self.frame_s:g} s")
        if self.f0_max_hz < 2 * self.f0_min_hz:
            raise ValueError(f"f0_max_hz: {self.f0_max_hz:g} is less than an octave above f0_min_hz")
        return self


EEGSet = Literal["standard", "hjorth", "wavelets", "asymmetry", "coherence", "plv"]
Pair = Annotated[list[str], Field(min_length=2, max_length=2), AfterValidator(_distinct)]


class EEGFeatureConfig(ExtractorSettings):
    """Settings of the EEG extractor; ``window_s: null`` summarises the whole trial in one row.

    ``bands_hz`` are half-open, [low, high); the band named ``alpha``, if any, gives the frontal asymmetries.
    ``estimate`` says where the variance in a band comes from: ``fir``, a band pass per band, or ``stft``, the one
    windowed transform that gives the band powers too, in a fifteenth of the time. ``sets`` are which features:
    ``standard`` and the families of :mod:`jmml.data.features.eeg_options`; ``pairs`` are those of coherence and PLV.
    """

    window_s: Annotated[float, Field(ge=1)] | None = 4.0
    bands_hz: Annotated[
        dict[str, Annotated[list[float], Field(min_length=2, max_length=2)]], Field(min_length=1)
    ] = Field(
        default_factory=lambda: {
            "theta": [4.0, 8.0],
            "alpha": [8.0, 13.0],
            "beta": [13.0, 30.0],
            "gamma": [30.0, 45.0],
        },
    )

    estimate: Literal["fir", "stft"] = "fir"
    sets: Annotated[list[EEGSet], Field(min_length=1), AfterValidator(_distinct)] = ["standard"]
    pairs: Literal["homologous", "all"] | Annotated[list[Pair], Field(min_length=1, max_length=496)] = (
        "homologous"
    )

    @model_validator(mode="after")
    def _coherence_has_segments(self) -> EEGFeatureConfig:
        if "coherence" in self.sets and self.window_s is not None and self.window_s < 2:
            raise ValueError(
                f"window_s: {self.window_s:g} s is one segment, of which every coherence is 1; "
                "expected 2 or more, or sets without coherence"
            )
        return self

    @model_validator(mode="after")
    def _bands_are_wide_enough(self) -> EEGFeatureConfig:
        for name, (low, high) in self.bands_hz.items():
            if low < 1 or high < low + 1:
                raise ValueError(
                    f"bands_hz.{name}: [{low:g}, {high:g}] is not a valid band; "
                    "expected a lower edge and a width of 1 Hz or more"
                )
        return self


class FeaturesConfig(Section):
    speech: SpeechFeatureConfig = Field(default_factory=SpeechFeatureConfig)
    eeg: EEGFeatureConfig = Field(default_factory=EEGFeatureConfig)


class ProtocolConfig(Section):
    """Nested, grouped evaluation: outer folds leave speakers (and EEG subjects) out.

    ``normalisation: per-group`` z-scores every speaker (subject) by their own recordings: label free, but
    transductive, and it needs enrolment recordings at inference. Off by default. ``disjoint`` is what training and test
    parts must not share; ``folds`` are published lists in place of drawn folds, a path in the project.
    """

    groups_per_fold: PositiveInt = 2
    disjoint: Disjoint = Field(default_factory=_people_alone)
    folds: str | None = None
    inner_folds: Annotated[int, Field(ge=2)] = 3
    normalisation: Normalisation = "none"
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), AfterValidator(_distinct)] = (
        Field(default_factory=lambda: [0, 1, 2])
    )


class Stage1Config(Section):
    """JEC-SSL (docs/method.md): branch width ``p``, latent width ``r``, loss weights alpha, beta, gamma.

    ``r`` is at most min((C + 1) p, features, samples - 1). The learning rate also converges on a corpus of a
    few hundred recordings, which is three or four batches per epoch.
    """

    p: PositiveInt = 8
    r: PositiveInt = 8
    hidden: PositiveInt = 64
    epochs: PositiveInt = 30
    batch_size: Annotated[int, Field(ge=2)] = 64
    lr: PositiveFloat = 3e-3
    weight_decay: Weight = 1e-4
    alpha: Weight = 1.0
    beta: Weight = 0.1
    gamma: Weight = 0.1


class Stage2Config(Section):
    """E-DCC-CAE: shared width ``k``; lam_x = 0 gives DCCAE, lam_r = 0 DCC-CAE, both 0 DCCA.

    ``k`` is at most ``stage1.r``. Class pairing correlates C - 1 directions at most; wider codes keep, through
    the reconstruction terms, what else the speech view holds. Whether that helps is open: k = 3 and k = 6 score alike
    on inner folds of the synthetic corpora. Batches have at least 8 k pairs. ``imagined`` appends the cross-decoded
    EEG to the code, and has no effect where lam_x is 0 and no cross decoder is trained.
    """

    k: PositiveInt = 6
    hidden: PositiveInt = 32
    epochs: PositiveInt = 40
    batch_size: Annotated[int, Field(ge=2)] = 64
    lr: PositiveFloat = 5e-3
    weight_decay: Weight = 1e-4
    lam_r: Weight = 1.0
    lam_x: Weight = 1.0
    lam_c: Weight = 1.0
    lam_y: Weight = 0.0
    ridge: PositiveFloat = 1e-3
    smoothing: PositiveFloat = 1e-2
    pairing: PairingName = "class"
    imagined: bool = True


class PeersConfig(Section):
    """Settings of single peers, besides the widths and the optimiser of ``stage2``.

    ``temperature``: of the supervised contrastive loss. ``barlow_weight``: of the off-diagonal terms of Barlow Twins.
    ``vicreg_*``: weights of the three terms of VICReg. ``distillation_*``: share of the teacher's soft labels in the
    student's loss, and their temperature. The papers' weights of redundancy (5e-3 and 1) are for codes of 8192
    dimensions; in a code of a few they leave all dimensions alike, which would make the peers unfairly weak baselines.
    """

    temperature: PositiveFloat = 0.1
    barlow_weight: Weight = 0.1
    vicreg_invariance: Weight = 25.0
    vicreg_variance: Weight = 25.0
    vicreg_covariance: Weight = 25.0
    distillation_weight: Fraction = 0.5
    distillation_temperature: PositiveFloat = 2.0


class ClassifierConfig(Section):
    """The final scikit-learn estimator by name; ``options`` are its keyword arguments."""

    name: ClassifierName = "logistic-regression"
    options: dict[str, bool | int | float | str | None] = Field(default_factory=dict)


class MethodConfig(Section):
    """Everything that defines one trial: both stages, the peers' own settings and the classifier."""

    stage1: Stage1Config = Field(default_factory=Stage1Config)
    stage2: Stage2Config = Field(default_factory=Stage2Config)
    peers: PeersConfig = Field(default_factory=PeersConfig)
    classifier: ClassifierConfig = Field(default_factory=ClassifierConfig)

    @model_validator(mode="after")
    def _code_fits_into_the_view(self) -> MethodConfig:
        if self.stage2.k > self.stage1.r:
            raise ValueError(f"stage2.k = {self.stage2.k} is wider than stage1.r = {self.stage1.r}")
        return self


class EvaluationConfig(Section):
    """Which methods are compared on the outer folds, and how intervals are drawn."""

    methods: Annotated[list[MethodName], Field(min_length=1), AfterValidator(_distinct)] = [
        "raw",
        "jec-ssl",
        "jmml",
        "one-hot",
    ]
    bootstrap: Annotated[int, Field(ge=100)] = 2000
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95


class Params(Section):
    """The whole of ``params.yaml``."""

    device: Annotated[str, matching(r"cpu|cuda(:\d+)?", "cpu, cuda or cuda:N")] = "cpu"
    synthetic: SyntheticConfig = Field(default_factory=SyntheticConfig)
    corpora: Annotated[dict[str, CorpusConfig], Field(min_length=1)]
    task: TaskConfig
    features: FeaturesConfig = Field(default_factory=FeaturesConfig)
    protocol: ProtocolConfig = Field(default_factory=ProtocolConfig)
    method: MethodConfig = Field(default_factory=MethodConfig)
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)

    @model_validator(mode="after")
    def _task_names_known_corpora(self) -> Params:
        wanted: list[tuple[str, Modality]] = [(self.task.speech, "speech")]
        if self.task.eeg is not None:
            wanted.append((self.task.eeg, "eeg"))
        for name, modality in wanted:
            if name not in self.corpora:
                raise ValueError(f"task.{modality}: unknown corpus '{name}'; {nearest(name, self.corpora)}")
            if self.corpora[name].modality != modality:
                raise ValueError(f"task.{modality}: corpus '{name}' holds {self.corpora[name].modality}")
        return self


SectionT = TypeVar("SectionT", bound=Section)


def validate(model: type[SectionT], data: object, *, where: object = None) -> SectionT:
    """``model`` built from plain ``data``, or one :class:`ConfigError` that holds every problem.

    Example
    -------
    >>> validate(Stage2Config, {"lam_cc": 1.0, "k": "three"})
    Traceback (most recent call last):
        ...
    jmml.errors.ConfigError: 2 problems: k: expected an integer, got 'three' | lam_cc: unknown key; \
did you mean 'lam_c'?
    """
    if not isinstance(data, dict):
        raise ConfigError([f"expected a mapping of settings, got {_show(data)}"], where=where)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ConfigError([_describe(model, item) for item in error.errors()], where=where) from None


_DEEPEST = 64  # levels; settings have six, and each takes several calls of the parser
_KINDS = {"int": "integer", "float": "number", "timestamp": "date", "bool": "truth value (true or false)"}


class _Loader(yaml.SafeLoader):
    """YAML with the floats of version 1.2, in which ``3e-3`` is a number, as it is for DVC.

    Values that look like a number or a date and are none, and nesting without end, are errors with their line, where
    PyYAML lets through what Python raised.
    """

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if parent is not None and self.depth == _DEEPEST:
            problem = f"more than {_DEEPEST} levels of nesting"
            raise yaml.composer.ComposerError(None, None, problem, parent.start_mark)
        self.depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep=deep)
            if isinstance(value, int):
                str(value)  # Python refuses to write, and so to report, what has thousands of digits
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            kind = node.tag.rpartition(":")[2]
            problem = f"{_show(node.value)} is not a valid {_KINDS.get(kind, kind)}; put text into quotes"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None
        return value


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+"),
    list("-+.0123456789"),
)


_MARKS = (
    "tag:yaml.org,2002:merge",
    "tag:yaml.org,2002:value",
)  # the keys << and =, which have no value of their own


class RepeatedKeysError(yaml.YAMLError):
    """Keys that stand more than once in one mapping, maybe in two spellings: YAML's last one would win, without a word.

    Attributes
    ----------
    problems : one text per key and place.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


def parse_yaml(text: str) -> Any:
    """Plain values of a YAML text; nothing in it is executed.

    Raises
    ------
    yaml.YAMLError : it is not YAML; :class:`RepeatedKeysError` where a key stands twice in a mapping.
    """
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        if problems := _repeated_keys(loader, root):
            raise RepeatedKeysError(problems)
        return loader.construct_document(root)
    finally:
        loader.dispose()


def _repeated_keys(loader: _Loader, root: yaml.Node) -> list[str]:
    """Every key that stands again in its mapping, with both lines, in the order of the text."""
    found: list[tuple[int, str]] = []
    seen: set[int] = set()  # an alias leads to the same node again
    waiting: list[tuple[yaml.Node, str]] = [(root, "")]
    while waiting:
        node, path = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += [(item, f"{path}[{number}]") for number, item in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            first: dict[tuple[str, Any], tuple[str, int]] = {}
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    continue  # no setting; the constructor says so
                name = str(key.value)
                at, line = f"{path}.{name}".lstrip("."), key.start_mark.line + 1
                known = ("text", name), ("value", name if key.tag in _MARKS else loader.construct_object(key))
                if (before := first.get(known[0]) or first.get(known[1])) is not None:
                    lines = f"lines {before[1]} and {line}" if before[1] != line else f"line {line}"
                    what = "stands twice" if before[0] == name else f"is the same key as {before[0]}"
                    found.append((line, f"{at}: {what}, in {lines}; keep one"))
                for form in known:
                    first.setdefault(form, (name, line))
                waiting.append((value, at))
    return [problem for _, problem in sorted(found)]


def load_yaml(path: Path) -> Any:
    """Parsed YAML; :class:`ConfigError` when the file is missing or not YAML."""
    try:
        return parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(["no such file"], where=path) from None
    except UnicodeDecodeError:
        raise ConfigError(["is not text; expected YAML in UTF-8"], where=path) from None
    except RepeatedKeysError as error:
        raise ConfigError(error.problems, where=path) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(
            [f"no valid YAML{at}: {getattr(error, 'problem', None) or error}"], where=path
        ) from None


def load_params(path: Path) -> Params:
    """The settings of a project, read from ``params.yaml``."""
    return validate(Params, load_yaml(path), where=path)


def digest(value: object, *, length: int = 16) -> str:
    """First ``length`` hexadecimal digits of the SHA-256 of ``value`` as canonical JSON.

    Pydantic models are dumped first; keys are sorted, so equal settings have equal digests whatever their
    order in a file.
    """
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _describe(model: type[Section], item: ErrorDetails) -> str:
    path = ".".join(str(part) for part in item["loc"])
    at = f"{path}: " if path else ""
    kind, got = item["type"], _show(item.get("input"))
    if kind == "extra_forbidden":
        return f"{at}unknown key; {nearest(str(item['loc'][-1]), _keys_at(model, item['loc'][:-1]))}"
    if kind == "missing":
        return f"{at}missing"
    if kind == "value_error":
        return at + str(item["ctx"]["error"])
    if kind.endswith("_type"):
        wanted = {"int": "an integer", "float": "a number", "bool": "true or false", "string": "text",
                  "dict": "a mapping", "list": "a list", "model": "a mapping"}  # fmt: skip
        quotes = "; put it into quotes" if kind == "string_type" and _is_number(item.get("input")) else ""
        return f"{at}expected {wanted.get(kind.removesuffix('_type'), kind)}, got {got}{quotes}"
    if kind == "int_from_float":
        return f"{at}expected an integer, got {got}"
    if kind in ("too_short", "too_long"):
        least, count = kind == "too_short", item["ctx"]["min_length" if kind == "too_short" else "max_length"]
        entries = "entry" if count == 1 else "entries"
        return f"{at}expected {'at least' if least else 'at most'} {count} {entries}, got {got}"
    if kind == "string_pattern_mismatch":
        return f"{at}expected text of the form {item['ctx']['pattern']}, got {got}"
    if kind == "invalid_key":
        return f"{at}expected text as a key; put it into quotes"
    message = item["msg"].replace("Input should be ", "expected ")
    return f"{at}{message}, got {got}"


def _keys_at(model: type[Section], loc: tuple[int | str, ...]) -> list[str]:
    """Valid keys of the section reached by ``loc``; dictionary keys on the way are stepped over."""
    current: type[Section] = model
    for part in loc:
        field = current.model_fields.get(str(part))
        if field is None:
            continue
        for candidate in (field.annotation, *get_args(field.annotation)):
            if isinstance(candidate, type) and issubclass(candidate, Section):
                current = candidate
    return list(current.model_fields)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _show(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
