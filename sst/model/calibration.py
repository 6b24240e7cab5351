"""Calibration of class probabilities: temperature scaling, and the calibration error."""

import numpy as np
from jaxtyping import Bool, Float, Int, Num

TEMPERATURES = (0.25, 4.0)  # the range searched
MIN_LABELLED = 20  # sounds; from fewer no temperature is estimated
N_BINS = 15


def probabilities(
    logits: Float[np.ndarray, "*b c"], temperature: float = 1.0
) -> Float[np.ndarray, "*b c"]:
    """Returns softmax(logits / temperature): above 1 less confident, below 1 more."""
    scaled = np.asarray(logits, np.float64) / temperature
    raised = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def temperature(logits: Float[np.ndarray, "n c"], labels: Int[np.ndarray, " n"]) -> float:
    """Estimates the temperature (Guo et al., 2017) with the lowest cross-entropy; 1 for too few.

    Args:
        logits: of sounds that were not trained on.
        labels: the class of each, -1 where there is none.
    """
    from scipy.optimize import minimize_scalar

    rows = np.flatnonzero(np.asarray(labels) >= 0)
    if len(rows) < MIN_LABELLED:
        return 1.0
    known, own = np.asarray(logits, np.float64)[rows], np.asarray(labels)[rows]

    def cross_entropy(log_temperature: float) -> float:
        shares = probabilities(known, np.exp(log_temperature))[np.arange(len(own)), own]
        return float(-np.log(np.maximum(shares, 1e-30)).mean())

    low, high = np.log(TEMPERATURES)
    return float(np.exp(minimize_scalar(cross_entropy, bounds=(low, high), method="bounded").x))


def error(
    confidence: Float[np.ndarray, " n"],
    correct: Bool[np.ndarray, " n"] | Float[np.ndarray, " n"],
    weights: Num[np.ndarray, "*r n"] | None = None,
) -> Float[np.ndarray, "*r"]:
    """Returns the expected calibration error (Naeini et al., 2015): mean |accuracy - confidence|.

    Args:
        confidence: probability of each prediction.
        correct: which predictions are, as True and False or 1 and 0.
        weights: of the predictions, all the same by default; rows of weights give an error each.
    """
    weights = np.ones(len(confidence)) if weights is None else np.asarray(weights, np.float64)
    bins = np.minimum((np.asarray(confidence) * N_BINS).astype(int), N_BINS - 1)
    away = (weights * (np.asarray(correct, np.float64) - confidence)) @ np.eye(N_BINS)[bins]
    return np.asarray(np.abs(away).sum(axis=-1) / weights.sum(axis=-1))
