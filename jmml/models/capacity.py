"""Capacity of the path from speech features to the code, and the encoder of a peer that has the same.

JMML reads speech x in R^D through the C + 1 branches of stage 1 (D -> h_1 -> p each), the rotation of the PLS
((C + 1) p -> r) and the encoder of stage 2 (r -> h_2 -> k):

    P = (C + 1) (D h_1 + h_1 + h_1 p + p)  +  (C + 1) p r  +  (r h_2 + h_2 + h_2 k + k)

An encoder D -> H -> k has H (D + k + 1) + k parameters. Peers that learn from speech alone get the H that brings
this nearest to P, so that a difference to JMML cannot be one of size. Decoders, class vectors and heads take no part
in the code of a sample and are not counted, nor are means and variances, which nothing trains.

What a fitted model costs to apply is another number: :func:`jmml.inference_cost.inference_cost`.
"""

from __future__ import annotations

from jmml.config import MethodConfig, Stage1Config
from jmml.errors import ModelError

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
