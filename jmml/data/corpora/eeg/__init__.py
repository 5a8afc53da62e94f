"""Adapters of EEG corpora, and of those that hold speech and EEG of the same people."""
