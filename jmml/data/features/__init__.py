"""Features of speech and EEG, with a name and a unit each.

``audio`` reads and checks files; ``speech`` (with ``spectrum``, ``pitch`` and ``functionals``) and ``eeg``
turn one recording into numbers; ``extract`` does so for a corpus, in parallel and through ``cache``;
``normalise`` measures speakers against themselves. Nothing is imported here: librosa alone takes two seconds.
"""
