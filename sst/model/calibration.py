"""How far the probabilities of classes may be believed."""

import numpy as np
from jaxtyping import Float, Int

TEMPERATURES = (0.25, 4.0)  # that are looked at
FEWEST = 20  # labelled sounds, to choose one by
BINS = 15


def probabilities(
    logits: Float[np.ndarray, "*b c"], temperature: float = 1.0
) -> Float[np.ndarray, "*b c"]:
    """The softmax of the logits over the temperature: above 1 less sure, below 1 surer."""
    scaled = np.asarray(logits, np.float64) / temperature
    raised = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def temperature(logits: Float[np.ndarray, "n c"], labels: Int[np.ndarray, " n"]) -> float:
    """The temperature (Guo et al., 2017) at which the labels surprise least; 1 for too few.

    Args:
        logits: of sounds that were not trained on.
        labels: the class of each, -1 where there is none.
    """
    from scipy.optimize import minimize_scalar

    rows = np.flatnonzero(np.asarray(labels) >= 0)
    if len(rows) < FEWEST:
        return 1.0
    known, own = np.asarray(logits, np.float64)[rows], np.asarray(labels)[rows]

    def surprise(power: float) -> float:
        shares = probabilities(known, np.exp(power))[np.arange(len(own)), own]
        return float(-np.log(np.maximum(shares, 1e-30)).mean())

    low, high = np.log(TEMPERATURES)
    return float(np.exp(minimize_scalar(surprise, bounds=(low, high), method="bounded").x))


def error(
    sure: Float[np.ndarray, " n"],
    right: Float[np.ndarray, " n"],
    weights: Float[np.ndarray, "*r n"] | None = None,
) -> Float[np.ndarray, "*r"]:
    """Expected calibration error (Naeini et al., 2015): mean |share right - how sure| over bins.

    Args:
        sure: probability of each answer.
        right: whether it was right.
        weights: of the answers, all the same by default; rows of weights give an error each.
    """
    weights = np.ones(len(sure)) if weights is None else np.asarray(weights, np.float64)
    bins = np.minimum((np.asarray(sure) * BINS).astype(int), BINS - 1)
    away = (weights * (np.asarray(right, np.float64) - sure)) @ np.eye(BINS)[bins]
    return np.abs(away).sum(axis=-1) / weights.sum(axis=-1)
