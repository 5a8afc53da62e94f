from __future__ import annotations

import hashlib
import pickle
import pickletools
import warnings
from functools import cache
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import signal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import GroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from jmml.config import FeaturesConfig, SyntheticConfig
from jmml.data.corpora import detect_adapter, get_corpus
from jmml.data.features import eeg as eeg_features
from jmml.data.features import speech as speech_features
from jmml.data.labels import emotion_class, map_labels
from jmml.data.synthetic import (
    EMOTION_POINTS,
    brain,
    eeg,
    speech,
    voice,
    write_synthetic_eeg,
    write_synthetic_speech,
    write_utterance,
)
from jmml.data.synthetic.affect import Stream, generator
from jmml.data.synthetic.deap_file import write_deap_file
from jmml.errors import ConfigError, LabelError, RecordingError

SMALL = SyntheticConfig(speakers=2, repetitions=1, subjects=2, trials=6, trial_s=2.0)
FEW_EMOTIONS = {name: EMOTION_POINTS[name] for name in ("neutral", "anger")}
RATE = voice.SAMPLE_RATE_HZ
EEG_RATE = brain.SAMPLE_RATE_HZ
VALENCE, AROUSAL = 0, 1


@pytest.fixture(scope="module")
def small_speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both speakers of ``SMALL`` with all emotions. Not to be changed."""
    root = tmp_path_factory.mktemp("small") / "speech"
    write_synthetic_speech(root, SMALL)
    return root


@pytest.fixture
def few_emotions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speech corpora of two emotions, where all eight show nothing more: a second takes 50 ms to synthesise."""
    monkeypatch.setattr(speech, "EMOTION_POINTS", FEW_EMOTIONS)


def tree(root: Path) -> dict[str, str]:
    """Relative path -> digest of every file below ``root``."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def read_deap(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file:
        return pickle.load(file, encoding="latin1")  # noqa: S301 (written by this test)


def delivery(**changes: float) -> voice.Delivery:
    """An even, clean male voice."""
    plain = {
        "f0_hz": 120.0, "range_st": 0.3, "final_st": 0.0, "syllable_s": 0.2, "pause_s": 0.05, "level_db": -25.0,
        "tilt_db": 0.0, "formant_scale": 1.0, "open_quotient": 0.6, "jitter": 0.002, "breath_db": -35.0,
        "noise_db": -80.0,
    }  # fmt: skip
    return voice.Delivery(**(plain | changes))


def slope(f: np.ndarray, power: np.ndarray) -> float:
    """Exponent of a power law fitted to a spectrum."""
    return float(np.polyfit(np.log(f), np.log(power), 1)[0])


# Layouts ---------------------------------------------------------------------------------------------------


def test_speech_has_the_layout_of_ravdess(small_speech: Path) -> None:
    assert detect_adapter(small_speech) == "ravdess"
    frame = get_corpus("ravdess").scan(small_speech).frame
    assert len(frame) == 2 * 8 * 2
    assert set(frame["group"]) == {"01", "02"}
    assert frame["sample_rate_hz"].eq(16000).all()
    assert frame["duration_s"].between(1.1, 3.2).all()
    assert frame.groupby(["group", "label"]).size().eq(2).all()
    counts = np.unique(map_labels(frame, "ravdess", "quadrants"), return_counts=True)
    assert counts[1].tolist() == [8, 8, 8, 8]
    info = soundfile.info(small_speech / frame["path"].iloc[0])
    assert (info.format, info.subtype, info.channels) == ("WAV", "PCM_16", 1)


def test_file_names_mark_strong_performances_but_never_of_neutral(small_speech: Path) -> None:
    names = [path.stem.split("-") for path in small_speech.rglob("*.wav")]
    assert {intensity for _, _, emotion, intensity, *_ in names if emotion != "01"} == {"01", "02"}
    assert {intensity for _, _, emotion, intensity, *_ in names if emotion == "01"} == {"01"}


def test_eeg_has_the_layout_of_deap(tmp_path: Path) -> None:
    write_synthetic_eeg(tmp_path / "eeg", SMALL)
    assert detect_adapter(tmp_path / "eeg") == "deap"
    corpus = get_corpus("deap")
    frame = corpus.scan(tmp_path / "eeg").frame
    assert len(frame) == 2 * 6
    assert frame["duration_s"].eq(2.0).all()
    native = read_deap(tmp_path / "eeg" / "s02.dat")
    assert native["data"].shape == (6, 40, (3 + 2) * 128)
    assert native["data"].dtype == np.float32
    assert native["labels"].shape == (6, 4)
    row = frame[frame["group"] == "s02"].iloc[4]
    assert (row["valence"], row["arousal"]) == tuple(native["labels"][4, :2])
    np.testing.assert_allclose(
        corpus.read(tmp_path / "eeg", row).signal, native["data"][4, :32, 384:] * 1e-6, rtol=1e-5
    )


@settings(max_examples=25, deadline=None)
@given(
    data=hnp.arrays(
        st.sampled_from([np.float32, np.float64]), hnp.array_shapes(min_dims=1, max_dims=3, max_side=6)
    ),
    labels=hnp.arrays(np.float64, (3, 4)),
)
def test_deap_files_hold_the_arrays_in_a_pickle_of_python_2(
    tmp_path_factory: pytest.TempPathFactory, data: np.ndarray, labels: np.ndarray
) -> None:
    path = tmp_path_factory.mktemp("deap") / "s01.dat"
    write_deap_file(path, data, labels)
    assert max(op.proto for op, _, _ in pickletools.genops(path.read_bytes())) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        native = read_deap(path)
    assert sorted(native) == ["data", "labels"]
    for written, read in ((data, native["data"]), (labels, native["labels"])):
        assert read.dtype == written.dtype
        np.testing.assert_array_equal(read, written)


def test_the_default_corpora_stay_well_below_100_megabytes(small_speech: Path) -> None:
    config = SyntheticConfig()
    per_utterance = np.mean([path.stat().st_size for path in small_speech.rglob("*.wav")])
    utterances = config.speakers * len(EMOTION_POINTS) * len(voice.STATEMENTS) * config.repetitions
    eeg_bytes = config.subjects * config.trials * 40 * (3 + config.trial_s) * 128 * 4
    assert per_utterance * utterances + eeg_bytes < 60e6


# Determinism -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("few_emotions")
@pytest.mark.parametrize("write", [write_synthetic_speech, write_synthetic_eeg])
def test_same_settings_same_bytes_and_another_seed_other_bytes(tmp_path: Path, write) -> None:
    write(tmp_path / "a", SMALL)
    write(tmp_path / "b", SMALL)
    write(tmp_path / "c", SMALL.model_copy(update={"seed": 1}))
    first, again, other = (tree(tmp_path / name) for name in "abc")
    assert first == again
    assert not set(first.values()) & set(other.values())
    assert len(set(first.values())) == len(first)


@pytest.mark.usefixtures("few_emotions")
def test_more_speakers_subjects_and_repetitions_leave_earlier_recordings_alone(tmp_path: Path) -> None:
    more = SMALL.model_copy(update={"speakers": 3, "repetitions": 2, "subjects": 3})
    for name, config in (("few", SMALL), ("more", more)):
        write_synthetic_speech(tmp_path / name / "speech", config)
        write_synthetic_eeg(tmp_path / name / "eeg", config)
    few, many = tree(tmp_path / "few"), tree(tmp_path / "more")
    assert few.items() < many.items()


@pytest.mark.usefixtures("few_emotions")
@pytest.mark.parametrize(
    ("write", "target"),
    [
        (write_synthetic_speech, "jmml.data.synthetic.speech._write_wav"),
        (write_synthetic_eeg, "jmml.data.synthetic.eeg.write_deap_file"),
    ],
)
def test_a_failure_leaves_the_earlier_corpus_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write, target: str
) -> None:
    write(tmp_path / "corpus", SMALL)
    before = tree(tmp_path)

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(target, full)
    with pytest.raises(OSError, match="no space"):
        write(tmp_path / "corpus", SMALL.model_copy(update={"seed": 1}))
    assert tree(tmp_path) == before


# A fresh utterance -----------------------------------------------------------------------------------------


def test_a_fresh_utterance_is_spoken_by_nobody_in_the_corpus(tmp_path: Path) -> None:
    fresh = [speech._draw_speaker(generator(0, Stream.FRESH_SPEAKER, seed), seed, 1.0) for seed in range(20)]
    known = [speech._draw_speaker(generator(0, Stream.SPEAKER, actor), actor, 1.0) for actor in range(1, 99)]
    habits = np.array([speaker.habit for speaker in fresh + known])
    assert len(np.unique(habits, axis=0)) == len(habits)

    for name, seed in (("a.wav", 5), ("b.wav", 5), ("c.WAV", 6)):
        write_utterance(tmp_path / name, "anger", SMALL, speaker_seed=seed)
    a, b, c = ((tmp_path / name).read_bytes() for name in ("a.wav", "b.wav", "c.WAV"))
    assert a == b != c
    info = soundfile.info(tmp_path / "a.wav")
    assert (info.samplerate, info.subtype, info.channels) == (16000, "PCM_16", 1)


@pytest.mark.parametrize(
    ("name", "emotion", "seed", "error", "message"),
    [
        ("a.wav", "angry", 0, LabelError, "unknown emotion 'angry'; did you mean 'anger'"),
        ("a.mp3", "anger", 0, RecordingError, "expected a name that ends in .wav"),
        ("a.wav", "anger", -1, ConfigError, "expected 0 or more, got -1"),
    ],
)
def test_a_fresh_utterance_refuses_what_it_cannot_write(
    tmp_path: Path, name: str, emotion: str, seed: int, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        write_utterance(tmp_path / name, emotion, SMALL, speaker_seed=seed)
    assert not list(tmp_path.iterdir())


# Emotions and ratings --------------------------------------------------------------------------------------


@pytest.mark.parametrize("emotion", EMOTION_POINTS)
def test_every_emotion_lies_in_the_quadrant_of_its_label(emotion: str) -> None:
    arousal, valence = EMOTION_POINTS[emotion]
    assert f"{'H' if valence > 0 else 'L'}V{'H' if arousal > 0 else 'L'}A" == emotion_class(
        emotion, "quadrants"
    )


def test_ratings_surround_their_quadrants_and_are_never_at_the_midpoint(tmp_path: Path) -> None:
    config = SMALL.model_copy(update={"subjects": 6, "trials": 40, "trial_s": 1.0, "difficulty": 3.0})
    write_synthetic_eeg(tmp_path / "eeg", config)
    per_subject = [read_deap(path)["labels"] for path in sorted((tmp_path / "eeg").iterdir())]
    for labels in per_subject:
        quadrant = 2 * (labels[:, VALENCE] > 5) + (labels[:, AROUSAL] > 5)
        assert np.bincount(quadrant).tolist() == [10, 10, 10, 10]
    ratings = np.concatenate(per_subject)
    assert ratings.min() >= 1
    assert ratings.max() <= 9
    assert not np.any(ratings == 5.0)
    assert len(np.unique(ratings[:, VALENCE])) > 100
    assert 0.5 < np.abs(ratings[:, :2] - 5).std() < 1.1
    assert 0.4 < np.corrcoef(ratings[:, VALENCE], ratings[:, 3])[0, 1] < 0.95


# The voice -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("f0_hz", [90.0, 140.0, 260.0])
def test_f0_of_the_waveform_is_the_f0_asked_for(f0_hz: float) -> None:
    samples = voice.synthesise(delivery(f0_hz=f0_hz), 0, np.random.default_rng(0))
    f0 = librosa.yin(samples, fmin=65, fmax=500, sr=RATE, frame_length=1024)
    power = librosa.feature.rms(y=samples, frame_length=1024, hop_length=256)[0]
    assert np.median(f0[power > np.median(power)]) == pytest.approx(
        f0_hz, rel=0.06
    )  # declination: +-1 semitone


def test_level_tempo_and_range_follow_the_delivery() -> None:
    def spoken(**changes: float) -> np.ndarray:
        return voice.synthesise(delivery(**changes), 1, np.random.default_rng(3))

    def level_db(x: np.ndarray) -> float:
        return float(10 * np.log10(np.mean(x**2)))

    assert level_db(spoken(level_db=-20)) - level_db(spoken(level_db=-30)) == pytest.approx(10, abs=1.0)
    syllables = sum(relative for _, relative, _ in voice.STATEMENTS[1])
    slower = len(spoken(syllable_s=0.25)) - len(spoken(syllable_s=0.2))
    assert slower / RATE == pytest.approx(0.05 * syllables, rel=0.15)  # syllables vary by 10 % each
    assert (len(spoken(pause_s=0.3)) - len(spoken(pause_s=0.1))) / RATE == pytest.approx(0.2, abs=0.01)


def test_speech_never_leaves_full_scale() -> None:
    loud = voice.synthesise(delivery(level_db=-3), 0, np.random.default_rng(0))
    assert 0.5 < np.abs(loud).max() <= 1.0


def test_the_filter_is_the_formant_cascade_and_the_tilt() -> None:
    """White noise through it has the response of the same poles in scipy, tilted by dB per octave."""
    formants = np.array([500.0, 1500.0, 2500.0, 3500.0, 4500.0])
    n = 20 * RATE
    white = np.random.default_rng(0).standard_normal(n)
    tracks = np.tile(formants, (n // voice.HOP, 1))
    f, flat = signal.welch(voice._filter(white, tracks, 0.0), RATE, nperseg=1024)
    _, tilted = signal.welch(voice._filter(white, tracks, -6.0), RATE, nperseg=1024)
    bandwidths = 30 + formants * np.array(voice._BANDWIDTHS)
    inside = (f > 200) & (f < 6000)
    expected = np.ones(inside.sum())
    for formant, bandwidth in zip(formants, bandwidths, strict=True):
        _, response = signal.freqs([formant**2], [1, bandwidth, formant**2], worN=f[inside])
        expected = expected * np.abs(response) ** 2
    difference = 10 * np.log10(flat[inside] / expected)
    # Two-sided against one-sided density is a constant; the frames smear sharp resonances a little.
    assert np.abs(difference - np.median(difference)).max() < 2.5
    above = (f > 600) & (f < 6000)
    per_octave = np.polyfit(np.log2(f[above]), 10 * np.log10(tilted[above] / flat[above]), 1)[0]
    assert per_octave == pytest.approx(-6.0, abs=0.3)


def test_the_glottal_flow_derivative_closes_every_period() -> None:
    """Without jitter the pulses are periodic, have unit RMS, and integrate to zero."""
    # Closure at 0.53 * 160 samples falls between two samples: rounding of the phase cannot move it.
    even = delivery(jitter=0.0, open_quotient=0.53)
    pulses = voice._glottis(np.full(RATE, 100.0), even, np.random.default_rng(0))
    period = RATE // 100
    np.testing.assert_allclose(pulses[period : 20 * period], pulses[: 19 * period], atol=1e-6)
    assert np.sqrt(np.mean(pulses**2)) == pytest.approx(1.0)
    assert abs(pulses.mean()) < 0.02
    spectrum = np.abs(np.fft.rfft(pulses))
    assert np.argmax(spectrum[1:500]) + 1 in (100, 200)


def test_arousal_raises_f0_and_level_and_quickens_speech(tmp_path: Path) -> None:
    config = SyntheticConfig(speakers=2, repetitions=1, difficulty=0.2)
    write_synthetic_speech(tmp_path / "speech", config)
    cues: dict[tuple[str, bool], list[tuple[float, float, float]]] = {}
    for path in sorted(tmp_path.rglob("*.wav")):
        emotion = list(speech.RAVDESS_CODES)[int(path.stem.split("-")[2]) - 1]
        samples, _ = soundfile.read(path)
        f0 = librosa.yin(samples, fmin=65, fmax=500, sr=RATE, frame_length=1024)
        power = librosa.feature.rms(y=samples, frame_length=1024, hop_length=256)[0]
        cues.setdefault((path.parent.name, EMOTION_POINTS[emotion][0] > 0), []).append(
            (float(np.median(f0[power > np.median(power)])), float(power.mean()), -float(len(samples)))
        )
    for actor in {actor for actor, _ in cues}:
        assert np.all(np.mean(cues[actor, True], axis=0) > np.mean(cues[actor, False], axis=0)), actor


# The EEG signal --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exponent", [0.8, 1.2, 1.6])
def test_noise_has_unit_variance_and_the_asked_power_law(exponent: float) -> None:
    n = 64 * EEG_RATE
    f = brain.frequencies(int(n))
    waves = brain.noise(np.random.default_rng(0), (64,), int(n), brain.power_law(f, exponent))
    assert waves.var() == pytest.approx(1.0, rel=0.05)
    bins, power = signal.welch(waves, EEG_RATE, nperseg=1024)
    inside = (bins >= 2) & (bins <= 50)
    assert slope(bins[inside], power.mean(axis=0)[inside]) == pytest.approx(-exponent, abs=0.06)


def test_near_electrodes_share_more_than_far_ones() -> None:
    n = 1024
    white = brain.noise(np.random.default_rng(0), (200, 32), n, brain.power_law(brain.frequencies(n), 0.0))
    mixed = np.concatenate(list(brain.spatial_mixing() @ white), axis=1)
    correlation = np.corrcoef(mixed)
    np.testing.assert_allclose(correlation, brain.spatial_mixing() @ brain.spatial_mixing().T, atol=0.02)
    order = {name: i for i, name in enumerate(brain.EEG_CHANNELS)}
    assert correlation[order["F3"], order["FC1"]] > 0.5 > correlation[order["F3"], order["O2"]]


@cache
def eeg_at_low_difficulty() -> tuple[np.ndarray, np.ndarray]:
    """Data (subjects, trials, 40, samples) and ratings (subjects, trials, 4)."""
    import tempfile

    config = SyntheticConfig(subjects=4, trials=24, difficulty=0.2)
    with tempfile.TemporaryDirectory() as folder:
        write_synthetic_eeg(Path(folder) / "eeg", config)
        files = [read_deap(path) for path in sorted((Path(folder) / "eeg").iterdir())]
    return np.stack([file["data"] for file in files]), np.stack([file["labels"] for file in files])


def log_band_power(data: np.ndarray, low: float, high: float) -> np.ndarray:
    f, power = signal.welch(data, EEG_RATE, nperseg=256)
    return np.log(power[..., (f >= low) & (f < high)].mean(axis=-1))


def correlations(x: np.ndarray, y: np.ndarray) -> list[float]:
    """Pearson correlation over the trials of each subject."""
    return [float(np.corrcoef(a, b)[0, 1]) for a, b in zip(x, y, strict=True)]


@pytest.mark.parametrize(
    ("band", "electrodes", "sign"),
    [
        ((4, 8), ("Fz", "FC1", "FC2"), 1),
        ((8, 13), ("O1", "Oz", "O2"), -1),
        ((13, 30), ("Cz", "C3", "C4"), 1),
        ((30, 45), ("Cz", "CP1", "CP2"), 1),
    ],
)
def test_band_power_moves_with_arousal_once_the_baseline_is_over(
    band: tuple[float, float], electrodes: tuple[str, ...], sign: int
) -> None:
    data, labels = eeg_at_low_difficulty()
    picks = [brain.EEG_CHANNELS.index(name) for name in electrodes]
    during = log_band_power(data[:, :, picks, 4 * 128 :], *band).mean(axis=2)
    before = log_band_power(data[:, :, picks, : 3 * 128], *band).mean(axis=2)
    arousal = labels[..., AROUSAL]
    assert sign * np.mean(correlations(during, arousal)) > 0.6
    assert abs(np.mean(correlations(before, arousal))) < 0.3


def test_frontal_alpha_asymmetry_follows_valence() -> None:
    data, labels = eeg_at_low_difficulty()
    alpha = log_band_power(data[:, :, :32, 4 * 128 :], 8, 13)

    def asymmetry(left: str, right: str) -> np.ndarray:
        return alpha[..., brain.EEG_CHANNELS.index(right)] - alpha[..., brain.EEG_CHANNELS.index(left)]

    valence = labels[..., VALENCE]
    assert np.mean(correlations(asymmetry("F3", "F4"), valence)) > 0.6
    assert abs(np.mean(correlations(asymmetry("P3", "P4"), valence))) < 0.35


def test_background_falls_as_one_over_f_and_alpha_peaks_differ_between_subjects(tmp_path: Path) -> None:
    write_synthetic_eeg(tmp_path / "eeg", SyntheticConfig(subjects=4, trials=12, difficulty=0.3))
    peaks, exponents, gains = [], [], []
    for path in sorted((tmp_path / "eeg").iterdir()):
        data = read_deap(path)["data"][:, :32]
        f, power = signal.welch(data, EEG_RATE, nperseg=512)
        power = power.mean(axis=0)
        alone = ((f >= 1) & (f <= 3.5)) | ((f >= 55) & (f <= 62))  # where no rhythm is
        exponents.append(slope(f[alone], power[brain.EEG_CHANNELS.index("CP1"), alone]))
        alpha = (f >= 8) & (f <= 13)
        peaks.append(f[alpha][np.argmax(power[brain.EEG_CHANNELS.index("Oz"), alpha])])
        gains.append(data.std())
    assert all(-1.8 < exponent < -0.7 for exponent in exponents)
    assert np.ptp(peaks) > 0.5
    assert all(3 < gain < 60 for gain in gains)  # microvolts
    assert np.ptp(gains) > 0.5


def test_blinks_reach_the_front_and_muscle_the_temples() -> None:
    n = 40 * 128
    silent = np.zeros((4, 32, n))
    source = brain.add_blinks(silent, np.random.default_rng(0), rate_hz=0.3, amplitude_uv=100)
    peak = dict(zip(brain.EEG_CHANNELS, np.abs(silent).max(axis=(0, 2)), strict=True))
    assert peak["Fp1"] == pytest.approx(source.max())
    assert peak["Fp1"] > 60 > 5 > peak["Oz"]
    silent = np.zeros((4, 32, n))
    brain.add_muscle(silent, np.random.default_rng(0), rate_hz=0.3, amplitude_uv=10)
    rms = dict(zip(brain.EEG_CHANNELS, silent.std(axis=(0, 2)), strict=True))
    assert min(rms["T7"], rms["T8"]) > 5 * max(rms["Cz"], rms["Oz"])
    f, power = signal.welch(silent[:, brain.EEG_CHANNELS.index("T7")], EEG_RATE, nperseg=256)
    power = power.mean(axis=0)
    assert power[(f >= 20) & (f <= 60)].sum() > 0.95 * power.sum()


# What a linear model makes of it ---------------------------------------------------------------------------


@cache
def speech_rows(
    effect: float, difficulty: float, speakers: int = 8
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    config = SyntheticConfig(speakers=speakers, repetitions=1, speech_effect=effect, difficulty=difficulty)
    return _rows("ravdess", write_synthetic_speech, config)


@cache
def eeg_rows(effect: float, difficulty: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return _rows("deap", write_synthetic_eeg, SyntheticConfig(eeg_effect=effect, difficulty=difficulty))


def _rows(adapter: str, write, config: SyntheticConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of this project, quadrants and groups, one row per utterance or window."""
    import tempfile

    cfg, corpus = FeaturesConfig(), get_corpus(adapter)
    X, y, groups = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "corpus"
        write(root, config)
        frame = corpus.scan(root).frame
        for row, label in zip(frame.itertuples(), map_labels(frame, adapter, "quadrants"), strict=True):
            recording = corpus.read(root, row)
            at = (recording.signal, recording.sample_rate_hz)
            if adapter == "ravdess":
                features = speech_features.extract(*at, cfg.speech, where=row.id)[None]
            else:
                features = eeg_features.extract(*at, recording.channels, cfg.eeg, where=row.id)
            X.append(features)
            y += [str(label)] * len(features)
            groups += [row.group] * len(features)
    return np.concatenate(X), np.array(y), np.array(groups)


def uar(rows: tuple[np.ndarray, np.ndarray, np.ndarray], *, grouped: bool = True) -> float:
    """Pooled UAR of logistic regression: a quarter of the speakers out, or as many random folds."""
    X, y, groups = rows
    folds = GroupKFold(4) if grouped else StratifiedKFold(4, shuffle=True, random_state=0)
    predicted = np.empty_like(y)
    for train, test in folds.split(X, y, groups if grouped else None):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
        predicted[test] = model.fit(X[train], y[train]).predict(X[test])
    return float(recall_score(y, predicted, average="macro"))


# Standard error of the UAR at chance: 0.038 with 128 utterances, about 0.03 with 256 windows of 128 trials.
CHANCE = 0.25


@pytest.mark.parametrize("speakers", [4, pytest.param(8, marks=pytest.mark.long)])
def test_speech_is_above_chance_below_perfect_and_harder_on_unseen_speakers(speakers: int) -> None:
    rows = speech_rows(1.0, 1.0, speakers)
    unseen, mixed = uar(rows), uar(rows, grouped=False)
    assert CHANCE + 0.15 < unseen < 0.80
    assert unseen + 0.05 < mixed < 0.95


def test_eeg_is_above_chance_and_below_perfect_on_unseen_subjects() -> None:
    assert CHANCE + 0.12 < uar(eeg_rows(1.0, 1.0)) < 0.75


def test_without_effect_an_utterance_does_not_depend_on_its_emotion() -> None:
    """The same draws, all emotions: the same samples; with an effect, others for each."""
    speaker = speech._draw_speaker(generator(0, Stream.SPEAKER, 1), 1, 1.0)

    def utterances(effect: float) -> set[bytes]:
        config = SMALL.model_copy(update={"speech_effect": effect})
        return {
            speech._utter(speaker, emotion, 0, config, np.random.default_rng(0))[0].tobytes()
            for emotion in EMOTION_POINTS
        }

    assert len(utterances(0.0)) == 1
    assert len(utterances(1.0)) == len(EMOTION_POINTS)


def test_without_effect_eeg_does_not_depend_on_the_ratings() -> None:
    subject = eeg._draw_subject(np.random.default_rng(0), 1.0)
    ratings = np.random.default_rng(1).uniform(1, 9, size=(4, 4))

    def record(labels: np.ndarray, effect: float) -> bytes:
        config = SMALL.model_copy(update={"eeg_effect": effect})
        return eeg._record(subject, labels, config, np.random.default_rng(2)).tobytes()

    assert record(ratings, 0.0) == record(ratings[::-1], 0.0)
    assert record(ratings, 1.0) != record(ratings[::-1], 1.0)


@pytest.mark.long
def test_without_effects_both_corpora_are_at_chance() -> None:
    assert abs(uar(speech_rows(0.0, 1.0)) - CHANCE) < 0.10
    assert abs(uar(eeg_rows(0.0, 1.0)) - CHANCE) < 0.10
    # Every speaker says every class equally often: a row held out at random leaves its own class the rarest of
    # its speaker's, so random folds fall below chance. They must not rise above it.
    assert uar(speech_rows(0.0, 1.0), grouped=False) < CHANCE + 0.10


def test_difficulty_is_how_far_speakers_and_their_utterances_lie_apart(monkeypatch) -> None:
    monkeypatch.setattr(speech, "synthesise", lambda delivery, *arguments: delivery)

    def pitches(speakers: int, utterances: int, difficulty: float) -> np.ndarray:
        """Semitones above the voice's own F0, for the same draws."""
        config = SyntheticConfig(difficulty=difficulty)
        rng = np.random.default_rng(0)
        drawn = [speech._draw_speaker(rng, 1, difficulty) for _ in range(speakers)]
        said = [speech._utter(one, "neutral", 0, config, rng)[0] for one in drawn for _ in range(utterances)]
        return 12 * np.log2([one.f0_hz / drawn[0].f0_hz for one in said])

    for speakers, utterances in ((1, 20), (20, 1)):
        none, some, more = (pitches(speakers, utterances, d).std() for d in (1e-9, 0.5, 1.0))
        assert none == pytest.approx(0, abs=1e-6)
        assert 1.5 * some < more < 3 * some


@pytest.mark.long
def test_difficulty_lowers_what_can_be_recognised_of_speech() -> None:
    assert uar(speech_rows(1.0, 3.0)) + 0.05 < uar(speech_rows(1.0, 1.0))


@pytest.mark.long
def test_difficulty_lowers_what_can_be_recognised_of_eeg() -> None:
    assert uar(eeg_rows(1.0, 3.0)) + 0.05 < uar(eeg_rows(1.0, 1.0))
