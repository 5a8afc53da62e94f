"""The arithmetic that a fitted recogniser takes to classify one utterance from its speech features."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC
from torch import nn

from jmml.errors import ModelError
from jmml.recogniser import EmotionRecogniser


def inference_cost(recogniser: EmotionRecogniser) -> float:
    r"""Multiply-adds to classify one utterance from its D speech features by a fitted recogniser.

    One for every weight of a matrix and every column of a scaling; biases, activations and the softmax are not counted.
    With d the width of what the classifier sees, the parts that a model has add up:

    - stage 1: D + (C + 1) (D h_1 + h_1 p + p) + (C + 1) p r: the scaler, the branches with their division by the root
      of p, the rotation;
    - encoder of stage 2, or of a peer (D in place of r): r + r h_2 + h_2 k + k: the scaler, the layers, the
      normalisation; linear CCA has r k in place of the layers;
    - imagined EEG: k h_2 + h_2 r_e + r_e: the decoder, and the scaler back;
    - classifier: d for its scaler, and C d (logistic regression and linear SVM; d with two classes), d H + H C (MLP,
      1 for C with two classes), n_sv (d + 1) + the dual coefficients (SVM with n_sv support vectors; the 1 is the
      kernel), or, for a forest, the expected number of comparisons (the depth at which training samples leave a tree,
      summed over trees) and C per tree for the mean. Calibration adds one per sigmoid.

    It depends on the fitted model and not on a machine.
    """
    if "speech" not in recogniser.heads:
        raise ModelError("the model has no classifier for speech yet", where="inference cost")
    total, head = 0, recogniser.heads["speech"]
    if "speech" in recogniser.stage1:
        one = recogniser.stage1["speech"]
        net = one.network_
        # w1 holds the first layers of all branches, w2 (C + 1, h_1, p) the second ones.
        total += len(one.scaler_.mean) + net.w1.numel() + net.w2.numel() + len(net.b1) // one.hidden * one.p
        total += 0 if one.pls_ is None else one.pls_.rotation.size
    two: Any = recogniser.stage2
    if two is not None:
        paired = hasattr(two, "scalers_")
        encoder = two.network_.f_s if paired else two.network_.f
        scaler = two.scalers_["speech"] if paired else two.scaler_
        total += len(scaler.mean) + _of_layers(encoder.layers) + len(encoder.mean)
        if recogniser.imagines:
            total += _of_layers(two.network_.h_se) + len(two.scalers_["eeg"].mean)
    return float(
        total + len(head.named_steps["scaler"].mean_) + _of_classifier(head.named_steps["classifier"])
    )


def _of_layers(layers: nn.Module) -> int:
    return sum(layer.weight.numel() for layer in layers.modules() if isinstance(layer, nn.Linear))


def _of_classifier(estimator: Any) -> float:
    """Multiply-adds of a fitted scikit-learn classifier for one row."""
    if isinstance(estimator, CalibratedClassifierCV):
        (calibrated,) = estimator.calibrated_classifiers_
        return _of_classifier(calibrated.estimator) + len(calibrated.calibrators)
    if isinstance(estimator, SVC):
        return float(estimator.support_vectors_.size + len(estimator.support_) + estimator.dual_coef_.size)
    if isinstance(estimator, RandomForestClassifier):
        depths = [_mean_depth(tree.tree_) for tree in estimator.estimators_]
        return float(sum(depths) + len(depths) * len(estimator.classes_))
    if isinstance(estimator, MLPClassifier):
        return float(sum(weights.size for weights in estimator.coefs_))
    return float(estimator.coef_.size)


def _mean_depth(tree: Any) -> float:
    """Comparisons that a training sample of the tree meets on average: it passes every inner node above its leaf."""
    inner = tree.children_left != tree.children_right
    return float(np.sum(tree.n_node_samples[inner]) / tree.n_node_samples[0])
