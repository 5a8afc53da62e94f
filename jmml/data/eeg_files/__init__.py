"""EEG files of laboratories, read through MNE: EDF, BDF, GDF, BrainVision, EEGLAB, FIF, Neuroscan CNT."""
