"""Do drawn sounds come from where real sounds come from, and are they sounds of their own?"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from sst.evaluation import distributions, figures
from sst.evaluation.figures import Figure
from sst.evaluation.spaces import SURE, Verdict

NEIGHBOURS = 5  # of density and coverage
REPLICATES = 100  # of the bootstrap over draws
FEWEST = 12  # held-out sounds


class Heard(NamedTuple):
    """A set of sounds as the two feature spaces see it."""

    mfcc: np.ndarray  # [n, f]
    verdict: Verdict | None  # None where there is no classifier


class Real(NamedTuple):
    """The real sounds that draws are compared with."""

    held_out: Heard
    packs: list[str]  # of the held-out sounds
    train: Heard | None
    why_no_train: str  # said where `train` is None
    why_no_judge: str  # said where there are no verdicts


def of_draws(draws: Heard, real: Real, seed: int) -> dict[str, Figure]:
    """The figures of `definitions.GENERATION` for one system's draws."""
    few = _too_few(draws, real)
    if few:
        return dict.fromkeys(
            ("kernel_ratio_mfcc", "kernel_ratio_classifier", "density", "coverage", "diversity"),
            figures.absent(few),
        ) | _single_sounds(draws, real, seed)
    reference = real.held_out.mfcc
    density, coverage = distributions.density_coverage(reference, draws.mfcc, NEIGHBOURS)
    return {
        "kernel_ratio_mfcc": kernel_ratio(draws.mfcc, reference, real.packs, seed),
        "kernel_ratio_classifier": _kernel_ratio_classifier(draws, real, seed),
        "density": _resampled(
            lambda x: distributions.density_coverage(reference, x, NEIGHBOURS)[0],
            draws.mfcc,
            density,
            seed,
        ),
        "coverage": figures.single(coverage, len(reference)),
        "diversity": _resampled(
            lambda x: distributions.diversity(x, reference),
            draws.mfcc,
            distributions.diversity(draws.mfcc, reference),
            seed,
        ),
    } | _single_sounds(draws, real, seed)


def of_held_out(real: Real, seed: int) -> dict[str, Figure]:
    """The same for the held-out sounds, most of it true by definition."""
    n = len(real.held_out.mfcc)
    itself = figures.absent("the held-out sounds are what the others are compared with")
    memorised = distributions.MEMORISED_QUANTILE
    return {
        "kernel_ratio_mfcc": figures.single(1.0, n),
        "kernel_ratio_classifier": (
            figures.single(1.0, n) if real.held_out.verdict else figures.absent(real.why_no_judge)
        ),
        "density": itself,
        "coverage": itself,
        "diversity": figures.single(1.0, n),
        "memorised": (
            figures.single(memorised, n) if real.train else figures.absent(real.why_no_train)
        ),
        "recognised": recognised(real.held_out, real, seed, real.packs),
    }


def of_train(chosen: Heard, real: Real, seed: int) -> dict[str, Figure]:
    """The same for training sounds: what draws could be at best."""
    found = of_draws(chosen, real, seed)
    return found | {"memorised": figures.absent("every training sound is its own copy")}


def kernel_ratio(
    draws: np.ndarray, reference: np.ndarray, packs: Sequence[str], seed: int
) -> Figure:
    """The kernel distance ratio; the interval is that of the random halves behind it."""
    terms = distributions.kernel_distance_ratios(draws, reference, packs, seed)
    low, high = np.quantile(terms, [0.025, 0.975])
    ends = {"low": float(low), "high": float(high)}
    return {"value": float(terms.mean()), **ends, "n": len(draws)}


def memorised(draws: Heard, real: Real, seed: int) -> Figure:
    """Share of draws nearer to a training sound than 95 % of held-out sounds are."""
    if real.train is None:
        return figures.absent(real.why_no_train)
    theirs = distributions.nearest_distances(real.held_out.mfcc, real.train.mfcc)
    ours = distributions.nearest_distances(draws.mfcc, real.train.mfcc)
    bound = np.quantile(theirs, distributions.MEMORISED_QUANTILE)
    return figures.over_files((ours <= bound).astype(float), None, "mean", seed)


def recognised(heard: Heard, real: Real, seed: int, packs: Sequence[str] | None = None) -> Figure:
    """Share of the sounds that the classifier is sure of."""
    if heard.verdict is None:
        return figures.absent(real.why_no_judge)
    sure = heard.verdict.probabilities.max(axis=1) > SURE
    return figures.over_files(sure.astype(float), packs, "mean", seed)


def per_class(heard: Heard, names: Sequence[str]) -> dict[str, dict[str, Figure]]:
    """Which share of the sounds is recognised as which class."""
    if heard.verdict is None:
        return {}
    probabilities = heard.verdict.probabilities
    best = np.where(probabilities.max(axis=1) > SURE, probabilities.argmax(axis=1), -1)
    return {
        name: {"recognised": figures.single(float((best == i).mean()), int((best == i).sum()))}
        for i, name in enumerate(names)
    }


def _single_sounds(draws: Heard, real: Real, seed: int) -> dict[str, Figure]:
    return {
        "memorised": memorised(draws, real, seed),
        "recognised": recognised(draws, real, seed),
    }


def _kernel_ratio_classifier(draws: Heard, real: Real, seed: int) -> Figure:
    if draws.verdict is None or real.held_out.verdict is None:
        return figures.absent(real.why_no_judge)
    return kernel_ratio(draws.verdict.hidden, real.held_out.verdict.hidden, real.packs, seed)


def _too_few(draws: Heard, real: Real) -> str:
    n = min(len(draws.mfcc), len(real.held_out.mfcc))
    if n < FEWEST:
        return f"{n} sounds say nothing about a distribution; {FEWEST} are needed"
    return ""


def _resampled(
    statistic: Callable[[np.ndarray], float], draws: np.ndarray, value: float, seed: int
) -> dict[str, Any]:
    """A figure whose interval comes from drawing the draws again."""
    rng = np.random.default_rng(seed)
    replicates = [
        statistic(draws[rng.integers(0, len(draws), len(draws))]) for _ in range(REPLICATES)
    ]
    low, high = np.quantile(replicates, [0.025, 0.975])
    return figures.single(value, len(draws)) | {"low": float(low), "high": float(high)}
