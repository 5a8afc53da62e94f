"""Files of a project that add one of each kind, as a person would write them."""

from __future__ import annotations

from pathlib import Path

CORPUS = '''
"""A laboratory's recordings: 01_anger_1.wav is speaker 01."""
from jmml.data.corpora import Listing, SpeechCorpus, Utterance, files_in, register_corpus


@register_corpus("lab-speech")
class LabSpeech(SpeechCorpus):
    name = "lab-speech"
    layout = "files named like 01_anger_1.wav"
    native_labels = {"anger": "anger", "calm": "calm", "joy": "happiness", "sad": "sadness"}

    def _named(self, root):
        files = files_in(root, suffixes=[".wav"])
        return [file for file in files if file.stem.split("_")[1:2] and file.stem.split("_")[1] in self.native_labels]

    def recognises(self, root):
        return bool(self._named(root))

    def list_sources(self, root):
        return Listing([Utterance(f.name, f.stem, *f.stem.split("_")[:2]) for f in self._named(root)])
'''

EXTRACTOR = '''
import numpy as np

from jmml.data.features.extractors import register_extractor


@register_extractor("energy")
class Energy:
    """Level, and how much it varies over `frames` parts."""

    modality, version = "speech", 1

    def described(self, channels, cfg):
        return [("level", "dB"), ("variation", "dB")]

    def extract(self, signal, sample_rate_hz, channels, cfg):
        parts = np.array_split(signal[0], int(cfg.options.get("frames", 10)))
        levels = [10 * np.log10(np.mean(part.astype(float) ** 2)) for part in parts]
        return [[np.mean(levels), np.std(levels)]]
'''

METHOD = '''
from dataclasses import dataclass
from typing import ClassVar

from jmml.methods import Method, register_method, speech_only
from jmml.models import SupervisedMLP


@dataclass(eq=False, repr=False, kw_only=True)
class Doubtful(SupervisedMLP):
    """The supervised MLP with a smaller loss."""

    name: ClassVar[str] = "doubtful"

    def _losses(self, net, x, y):
        return {name: 0.5 * value for name, value in super()._losses(net, x, y).items()}


register_method(
    Method(
        "doubtful-mlp", "doubtful MLP", "peer", "speech and labels, half as sure", input="features", part="doubtful",
        build=speech_only(Doubtful), estimator=Doubtful,
    )
)
'''

CONTROL = """
import numpy as np

from jmml.methods import Method, register_method, two_view
from jmml.models import EDCCCAE
from jmml.models.controls import Control, register_control


def ones(u_eeg, y_eeg, *, n_classes, k, rng):
    return np.ones((n_classes, k)) + 0.01 * rng.standard_normal((n_classes, k)), np.arange(n_classes)


register_control("ones", Control(ones, label_only=True))
register_method(
    Method(
        "ones", "ones", "control", "nearly the same row for every class", part="edcc_cae", build=two_view(EDCCCAE),
        control="ones", two_view=True, estimator=EDCCCAE,
    )
)
"""

GATE = '''
from pipelines.registry.gates import Verdict, register_gate


@register_gate("on-a-weekday")
def on_a_weekday(candidate):
    """The run says that it was made on a weekday."""
    day = candidate.tags.get("day", "no day")
    return Verdict("weekday", day not in ("no day", "Saturday", "Sunday"), f"made on {day}")
'''

FILES = {
    "corpora/lab_speech.py": CORPUS,
    "features/energy.py": EXTRACTOR,
    "methods/doubtful_mlp.py": METHOD,
    "methods/ones.py": CONTROL,
    "gates/on_a_weekday.py": GATE,
}


def write(root: Path, *names: str) -> Path:
    """Write the named files of :data:`FILES` (default: all) below ``root``."""
    for name in names or FILES:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(FILES[name], encoding="utf-8")
    return root
