"""Features of speech and EEG, with a name and a unit each.

``audio`` and ``sound`` read and check files, ``blocks`` long ones in parts; ``speech`` (with
``contours``, ``spectrum``, ``pitch``, ``functionals`` and ``voice``) and ``eeg`` (with ``bands``) turn one recording
into numbers; ``extract`` does so for a corpus, in parallel and through ``cache``; ``normalise`` measures speakers
against themselves. Nothing is imported here: MNE alone takes a second.
"""
