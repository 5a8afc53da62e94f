"""What settings add to the EEG features of :mod:`jmml.data.features.eeg`: families of features, each off by default.

``families`` names and orders them; ``hjorth``, ``wavelets`` and ``connectivity`` compute them.
"""
