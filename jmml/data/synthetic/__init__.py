"""The embedded default: a speech corpus and an EEG corpus of our own making, in real corpora's layouts.

Two corpora that were never recorded together, as the method (docs/method.md) supposes:

- speech: ``Actor_01/03-01-05-01-02-01-01.wav`` ..., named and arranged as RAVDESS, 16 kHz 16-bit mono;
- EEG: ``s01.dat`` ..., arranged and pickled as DEAP, 40 channels at 128 Hz in microvolts, 3 s baseline first.

Every emotion stands at a point of the arousal/valence plane (:mod:`.affect`). An utterance is made from a
*performed* point, the emotion's own times a random strength plus noise; an EEG trial from a *felt* point, the
subject's ratings plus noise. That point moves the signal: F0, range, final contour, tempo, pauses, level,
spectral tilt, formants, breath and voice quality in speech (:mod:`.speech`); band powers and frontal alpha
asymmetry in EEG (:mod:`.eeg`).
Speakers and subjects differ in all of these, and in how far each moves with emotion, so a model that has heard
the speaker does better than one that has not.

What results on these corpora can show: that the whole machinery runs; that a recogniser finds structure
that is really there, loses it when ``speech_effect`` or ``eeg_effect`` is 0, and suffers from unseen
speakers; that a leak shows (random splits score visibly higher than grouped ones, and with the effects at 0
nothing but a leak can beat chance).

What they cannot show: whether EEG helps to recognise emotion in the speech of real people. Given the emotion,
an EEG trial here is statistically independent of every utterance, and how emotion moves the signals was
written down by us, not measured. EEG can thus bring nothing to speech but the label itself; a gain of JMML
over a speech-only method on this data says nothing that the label-only controls do not say. Nor do the
absolute scores mean anything: ``difficulty`` and the effect sizes set them.

At the default settings and on this project's features, logistic regression reaches an UAR on quadrants (chance
0.25) of 0.44 to 0.62 for speech with two speakers left out (five seeds; 0.61 with seed 0; random folds: 0.73 to
0.80), and of 0.49 to 0.56 for EEG with two subjects left out (four seeds; 0.49 with seed 0).

Every random stream is keyed by what it is for: speaker or subject and, in speech, emotion, statement and
repetition. The same settings give the same bytes (on one machine with one set of library versions); more
speakers, subjects or repetitions leave the earlier recordings as they were; another effect size keeps the
speakers, the subjects and their ratings.
"""

from jmml.data.synthetic.affect import EMOTION_POINTS
from jmml.data.synthetic.eeg import write_synthetic_eeg
from jmml.data.synthetic.speech import write_synthetic_speech, write_utterance

__all__ = ["EMOTION_POINTS", "write_synthetic_eeg", "write_synthetic_speech", "write_utterance"]
