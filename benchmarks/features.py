"""Feature extraction side by side: processor time against a bare transform of the same signals, in one run.

    python benchmarks/features.py [FOLDER] [--files 40] [--rounds 5] [--without-pyin]

FOLDER holds speech in WAV; without it, vowels of known pitch are made. Each extractor takes every signal in turn, and
the least time of some rounds counts. What two of them compute alike is compared in the same run.

| speech | what it does |
|---|---|
| bare STFT | numpy, float32: 512 points every 10 ms of the signals at 16 kHz |
| jmml | all 297 features from the file's own rate on, pitch included |
| librosa | descriptors of the same kinds without pitch: mel, MFCC and derivatives, shape, contrast, flatness |
| librosa with pyin | these and a pitch track |
| kaldi-native-fbank | 80 mel bands and no more, where it is installed |
| opensmile | eGeMAPS v2, 88 functionals, where it is installed |

EEG: 40 trials of 32 channels, 60 s at 128 Hz, in windows of 1 s, against a bare ``numpy.fft.rfft`` of the windows.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import librosa
import mne
import numpy as np
from threadpoolctl import threadpool_limits

from jmml.config import EEGFeatureConfig, SpeechFeatureConfig
from jmml.data.features import eeg, speech
from jmml.data.features import pitch as tracker
from jmml.data.features.audio import load_audio

RATE, HOP, N_FFT = 16000, 160, 512
WINDOW = np.hanning(N_FFT + 1)[:-1].astype(np.float32)
CFG = SpeechFeatureConfig()
TRIALS, CHANNELS, SECONDS, EEG_RATE = 40, 32, 60, 128
Signal = tuple[np.ndarray, float, np.ndarray]  # as read, its rate, and at 16 kHz


def bare_stft(signal: Signal) -> np.ndarray:
    padded = np.pad(signal[2], N_FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]
    return np.fft.rfft(frames * WINDOW, axis=1)


def ours(signal: Signal) -> np.ndarray:
    return speech.extract(signal[0], signal[1], CFG)


def by_librosa(signal: Signal) -> dict[str, np.ndarray]:
    """Frame-wise descriptors; resampling is part of it, as it is of ours."""
    y = librosa.resample(signal[0], orig_sr=signal[1], target_sr=RATE, res_type="soxr_hq")
    power = np.abs(librosa.stft(y, n_fft=N_FFT, hop_length=HOP)) ** 2
    magnitude = np.sqrt(power)
    feature = librosa.feature
    mel = librosa.power_to_db(feature.melspectrogram(S=power, sr=RATE, n_mels=26))
    mfcc = feature.mfcc(S=mel, n_mfcc=13)
    return {
        "mfcc": mfcc,
        "delta": feature.delta(mfcc),
        "delta2": feature.delta(mfcc, order=2),
        "centroid": feature.spectral_centroid(S=magnitude, sr=RATE),
        "bandwidth": feature.spectral_bandwidth(S=magnitude, sr=RATE),
        "rolloff": feature.spectral_rolloff(S=magnitude, sr=RATE),
        "flatness": feature.spectral_flatness(S=magnitude),
        "contrast": feature.spectral_contrast(S=power, sr=RATE),
        "rms": feature.rms(S=magnitude, frame_length=N_FFT),
    }


def with_pyin(signal: Signal) -> np.ndarray:
    by_librosa(signal)
    f0, _, _ = librosa.pyin(signal[2], fmin=65, fmax=500, sr=RATE, hop_length=HOP)
    return np.asarray(f0)


def fbank(signal: Signal) -> int:
    knf = importlib.import_module("kaldi_native_fbank")

    options = knf.FbankOptions()
    options.mel_opts.num_bins = 80
    extractor = knf.OnlineFbank(options)
    extractor.accept_waveform(RATE, signal[2].tolist())
    extractor.input_finished()
    return int(extractor.num_frames_ready)


def smile() -> Callable[[Signal], Any]:
    opensmile = importlib.import_module("opensmile")

    extractor = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    return lambda signal: extractor.process_signal(signal[2], RATE)


def timed(runs: dict[str, Callable[[Any], object]], items: Sequence[Any], rounds: int) -> dict[str, float]:
    """Processor seconds of each: the least of some rounds for every item, summed."""
    best = {name: np.full(len(items), np.inf) for name in runs}
    for name, run in runs.items():
        run(items[0])  # compile and warm up
        for _ in range(1 if "pyin" in name else rounds):
            for number, item in enumerate(items):
                began = time.process_time()
                run(item)
                best[name][number] = min(best[name][number], time.process_time() - began)
    return {name: float(values.sum()) for name, values in best.items()}


def table(title: str, seconds: dict[str, float], per: float, unit: str) -> None:
    reference = next(iter(seconds.values()))
    print(f"\n{title:<22} {unit:>14} {'times bare':>11}")
    for name, value in seconds.items():
        print(f"{name:<22} {1e3 * value / per:>14.2f} {value / reference:>11.1f}")


def speech_part(signals: list[Signal], rounds: int, pyin: bool) -> None:
    runs: dict[str, Callable[[Any], object]] = {"bare STFT": bare_stft, "jmml": ours, "librosa": by_librosa}
    if pyin:
        runs["librosa with pyin"] = with_pyin
    if importlib.util.find_spec("kaldi_native_fbank"):
        runs["kaldi-native-fbank"] = fbank
    if importlib.util.find_spec("opensmile"):
        runs["opensmile eGeMAPS"] = smile()
    duration = sum(len(y) for _, _, y in signals) / RATE
    table("speech", timed(runs, signals, rounds), duration, "ms per second")
    names = speech.feature_names(CFG)
    columns = [names.index(f"{name}.mean") for name in ("mfcc_01", "mfcc_02", "mfcc_03")]
    values = np.array([ours(signal)[columns] for signal in signals])
    theirs = np.array([by_librosa(signal)["mfcc"][1:4].mean(axis=1) for signal in signals])
    agreement = [np.corrcoef(a, b)[0, 1] for a, b in zip(values.T, theirs.T, strict=True)]
    print(
        "mean MFCC 1 to 3 over the signals, jmml (active frames) with librosa (all): r",
        np.round(agreement, 3),
    )
    if pyin:
        errors = []
        for signal in signals[: 1 + len(signals) // 4]:
            track, other = tracker.track(signal[2], RATE, HOP, 65.0, 500.0).f0_hz, with_pyin(signal)
            size = min(len(track), len(other))
            errors.append(np.abs(12 * np.log2(track[:size] / other[:size])))
        print(
            f"F0 where both hear a voice, jmml with pyin: median {np.nanmedian(np.concatenate(errors)):.3f} semitones"
        )


def by_mne(trial: np.ndarray) -> np.ndarray:
    """Band powers (bands, channels, windows), uV^2, of windows of 1 s, one at a time."""
    windows = []
    for start in range(0, trial.shape[1], EEG_RATE):
        density, frequency = mne.time_frequency.psd_array_welch(
            1e6 * trial[:, start : start + EEG_RATE].astype(np.float64), EEG_RATE, n_fft=EEG_RATE,
            n_per_seg=EEG_RATE, window="hann", verbose="ERROR",
        )  # fmt: skip
        bands = EEGFeatureConfig().bands_hz.values()
        windows.append(
            [density[:, (frequency >= low) & (frequency < high)].sum(axis=1) for low, high in bands]
        )
    return np.moveaxis(np.array(windows), 0, -1)


def eeg_part(rounds: int) -> None:
    rng = np.random.default_rng(0)
    trials = [
        1e-5 * rng.normal(size=(CHANNELS, SECONDS * EEG_RATE)).astype(np.float32) for _ in range(TRIALS)
    ]
    names = tuple(f"C{number}" for number in range(CHANNELS))
    one, fir = (EEGFeatureConfig(window_s=1.0, estimate=estimate) for estimate in ("stft", "fir"))
    runs: dict[str, Callable[[Any], object]] = {
        "bare rfft": lambda x: np.fft.rfft(x.reshape(CHANNELS, SECONDS, EEG_RATE), axis=-1),
        "jmml, stft": lambda x: eeg.extract(x, EEG_RATE, names, one),
        "jmml, fir": lambda x: eeg.extract(x, EEG_RATE, names, fir),
        "mne, per window": by_mne,
    }
    table("EEG", timed(runs, trials, rounds), TRIALS, "ms per trial")
    got = eeg.extract(trials[0], EEG_RATE, names, one)
    powers = got[:, 4 * CHANNELS :].reshape(SECONDS, 4, CHANNELS)
    theirs = 10 * np.log10(np.moveaxis(by_mne(trials[0]), -1, 0))
    print(f"band power, jmml with mne: at most {np.abs(powers - theirs).max():.1e} dB apart")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--without-pyin", action="store_true")
    arguments = parser.parse_args()
    if arguments.folder is None:
        read = [(signal, float(RATE)) for signal in vowels(arguments.files)]
    else:
        found = sorted(arguments.folder.rglob("*.wav"))
        read = [load_audio(path) for path in found[:: max(1, len(found) // arguments.files)]]
    signals = [(signal, rate, speech.prepared(signal, rate, CFG)) for signal, rate in read]
    with threadpool_limits(limits=1):
        speech_part(signals, arguments.rounds, not arguments.without_pyin)
        eeg_part(arguments.rounds)


def vowels(count: int) -> list[np.ndarray]:
    """Gliding pulse trains through formants; those of ``benchmarks/pitch.py``."""
    from pitch import vowel

    return [vowel(np.random.default_rng(seed))[0] for seed in range(count)]


if __name__ == "__main__":
    main()
