"""Copies are found by what is heard, and different utterances are not taken for copies."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from jmml.config import SyntheticConfig
from jmml.data.copies import copies, fingerprint, together
from jmml.data.features.audio import load_audio
from jmml.data.synthetic import speech, voice
from jmml.data.synthetic.affect import Stream, generator

RATE = 16000
REALDATA = os.environ.get("JMML_REALDATA")


@pytest.fixture(scope="module")
def utterances() -> list[np.ndarray]:
    """One sentence by three speakers, twice each."""
    config, said = SyntheticConfig(), []
    for number in (1, 2, 3):
        speaker = speech._draw_speaker(generator(0, Stream.SPEAKER, number), number, 1.0)
        said += [
            speech._utter(speaker, "anger", 0, config, np.random.default_rng(10 * number + n))[0]
            for n in (0, 1)
        ]
    return [resample_poly(one, RATE, voice.SAMPLE_RATE_HZ) for one in said]


def through(signal: np.ndarray, rate: int, kind: str, subtype: str) -> tuple[np.ndarray, int]:
    file = io.BytesIO()
    soundfile.write(file, signal, rate, format=kind, subtype=subtype)
    file.seek(0)
    return soundfile.read(file)


rng = np.random.default_rng(0)
CHANGES = {
    "gain": lambda x: (0.05 * x, RATE),
    "sign": lambda x: (-x, RATE),
    "offset": lambda x: (x + 0.1, RATE),
    "trimmed": lambda x: (x[4000:-3000], RATE),
    "begun later": lambda x: (np.concatenate([np.zeros(5123), x]), RATE),
    "telephone": lambda x: through(resample_poly(x, 1, 2), 8000, "WAV", "ULAW"),
    "other rate": lambda x: (resample_poly(x, 441, 160), 44100),
    "ogg": lambda x: through(x, RATE, "OGG", "VORBIS"),
    "mp3": lambda x: through(x, RATE, "MP3", "MPEG_LAYER_III"),
    "noise at 20 dB": lambda x: (x + rng.normal(0, 0.1 * x.std(), len(x)), RATE),
    "a second channel mixed in": lambda x: (0.5 * x + 0.05 * rng.normal(0, x.std(), len(x)), RATE),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_is_found_whatever_was_done_to_it(utterances, change: str) -> None:
    prints = [fingerprint(one, RATE) for one in utterances]
    for place in (0, 3):
        changed, rate = CHANGES[change](utterances[place])
        assert copies([*prints, fingerprint(changed, rate)]) == [(place, len(prints))]


def test_one_sentence_by_several_speakers_or_twice_is_no_copy(utterances) -> None:
    assert copies([fingerprint(one, RATE) for one in utterances]) == []


@pytest.mark.skipif(not REALDATA, reason="JMML_REALDATA names no folder with real recordings")
def test_no_two_real_utterances_are_taken_for_copies() -> None:
    files = sorted((Path(str(REALDATA)) / "nemo_dev" / "samples").glob("*.wav"))[::4]
    assert len(files) > 200
    assert copies([fingerprint(*load_audio(file)) for file in files]) == []


def test_an_excerpt_is_a_copy_and_a_shared_vowel_is_not(utterances) -> None:
    whole = np.concatenate(utterances[::2])
    excerpt = whole[RATE // 2 : RATE * 3 // 2]
    assert copies([fingerprint(whole, RATE), fingerprint(excerpt, RATE)]) == [(0, 1)]
    mostly_other = np.concatenate([utterances[1], utterances[3], whole[: RATE // 2]])
    assert copies([fingerprint(whole, RATE), fingerprint(mostly_other, RATE)]) == []


@pytest.mark.parametrize("signal", [np.zeros(RATE), np.zeros(10), np.ones(RATE), np.full(RATE, 1e-30)])
def test_silence_is_a_copy_of_nothing(signal: np.ndarray) -> None:
    assert copies([fingerprint(signal, RATE), fingerprint(signal, RATE)]) == []


def test_equal_contents_and_equal_sounds_are_put_together() -> None:
    sounds = np.random.default_rng(1).normal(size=(3, RATE))
    prints = [
        fingerprint(one, RATE) for one in (sounds[0], sounds[1], 0.1 * sounds[0], sounds[2], sounds[2][:100])
    ]
    assert together(prints, ["a", "b", "c", "d", "b"]) == [[0, 2], [1, 4]]
    assert together([], []) == []


def test_a_long_recording_is_read_in_blocks_to_the_same_bits(utterances, monkeypatch) -> None:
    whole = np.concatenate(utterances)
    before = fingerprint(whole, RATE)
    assert len(before) > 100
    monkeypatch.setattr("jmml.data.copies.BLOCK", 7)
    assert np.array_equal(fingerprint(whole, RATE), before)
