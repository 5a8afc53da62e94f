"""Maps of EEG power over the head, one per band."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FEWEST = 4  # electrodes with a place on the head


def topomaps(
    power: npt.NDArray[np.float64],
    hertz: npt.NDArray[np.float64],
    channels: Sequence[str],
    bands: Mapping[str, Sequence[float]],
) -> bytes | None:
    """PNG with a map per band of power (channels, f), in dB about the mean of all electrodes.

    None where too few electrodes have a place in the 10-05 system.
    """
    import mne
    from matplotlib.figure import Figure

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # its name from MNE 1.14 on is not known before
        montage = mne.channels.make_standard_montage("standard_1005")
    places = {name.casefold(): name for name in montage.ch_names}
    known = [n for n, name in enumerate(channels) if name.casefold() in places]
    named = [places[channels[n].casefold()] for n in known]
    if len(named) < FEWEST or len(set(named)) < len(named):
        return None
    info = mne.create_info(named, 100.0, "eeg")
    info.set_montage(montage)
    shown = [(name, low, high) for name, (low, high) in bands.items() if high <= hertz[-1]]
    if not shown:
        return None
    figure = Figure(figsize=(2.2 * len(shown), 2.7))
    drawn: Any = None
    for place, (name, low, high) in enumerate(shown):
        inside = (hertz >= low) & (hertz < high)
        level = 10 * np.log10(power[known][:, inside].mean(axis=1) + 1e-30)
        level = level - level.mean()
        axes = figure.add_subplot(1, len(shown), place + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the sphere that is fitted to few electrodes
            drawn, _ = mne.viz.plot_topomap(
                level, info, axes=axes, show=False, cmap="RdBu_r", vlim=(-6, 6), contours=4, sensors=True
            )
        axes.set_title(f"{name}, {low:g} to {high:g} Hz", fontsize=9)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.88, bottom=0.16, wspace=0.05)
    bar = figure.colorbar(drawn, cax=figure.add_axes((0.3, 0.09, 0.4, 0.03)), orientation="horizontal")
    bar.set_label("dB about the mean of the electrodes", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=130, metadata={"Software": None})
    return file.getvalue()
