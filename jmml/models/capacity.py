"""Capacity of the path from speech features to the code, and the encoder of a peer that has the same.

JMML reads speech x in R^D through the C + 1 branches of stage 1 (D -> h_1 -> p each), the rotation of the PLS
((C + 1) p -> r) and the encoder of stage 2 (r -> h_2 -> k):

    P = (C + 1) (D h_1 + h_1 + h_1 p + p)  +  (C + 1) p r  +  (r h_2 + h_2 + h_2 k + k)

An encoder D -> H -> k has H (D + k + 1) + k parameters. Peers that learn from speech alone get the H that brings
this nearest to P, so that a difference to JMML cannot be one of size. Decoders, class vectors and heads take no part
in the code of a sample and are not counted, nor are means and variances, which nothing trains.

What a fitted model costs to apply is another number, :func:`inference_cost`: it counts the arithmetic of one utterance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC
from torch import nn

from jmml.config import MethodConfig, Stage1Config
from jmml.errors import ModelError

if TYPE_CHECKING:
    from jmml.recogniser import EmotionRecogniser

TOLERANCE = 0.05


def parameters_of_jmml(D: int, C: int, config: MethodConfig) -> int:
    """Parameters P between ``D`` speech features and the code of JMML, for ``C`` classes."""
    two = config.stage2
    return parameters_of_stage1(D, C, config.stage1) + parameters_of_encoder(
        config.stage1.r, two.hidden, two.k
    )


def parameters_of_stage1(D: int, C: int, config: Stage1Config) -> int:
    """Of these, those of stage 1: its branches and the rotation of its PLS."""
    branch = D * config.hidden + config.hidden + config.hidden * config.p + config.p
    return (C + 1) * (branch + config.p * config.r)


def parameters_of_encoder(D: int, hidden: int, k: int) -> int:
    """Weights and biases of an encoder D -> hidden -> k."""
    return hidden * (D + k + 1) + k


def matched_hidden(D: int, C: int, config: MethodConfig) -> int:
    """The hidden width H with which an encoder D -> H -> k has as many parameters as JMML, within 5 %.

    Raises
    ------
    ModelError : no H comes within 5 %, as JMML itself is no larger than a few hidden units of that encoder.

    Example
    -------
    >>> config = MethodConfig()
    >>> H = matched_hidden(88, 4, config)
    >>> H, parameters_of_encoder(88, H, config.stage2.k), parameters_of_jmml(88, 4, config)
    (336, 31926, 31886)
    """
    wanted, k = parameters_of_jmml(D, C, config), config.stage2.k
    hidden = max(1, round((wanted - k) / (D + k + 1)))
    found = parameters_of_encoder(D, hidden, k)
    if abs(found - wanted) > TOLERANCE * wanted:
        raise ModelError(
            f"an encoder {D} -> {hidden} -> {k} has {found} parameters and JMML has {wanted}",
            where="matched capacity",
            expected="a difference of at most 5 %",
            fix="raise stage1.hidden",
        )
    return hidden


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
