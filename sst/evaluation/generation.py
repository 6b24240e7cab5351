"""Random draws compared with real sounds: distribution, memorisation and recognition."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from sst.evaluation import distributions, figures, systems
from sst.evaluation import reference_classifier as reference
from sst.evaluation.figures import Absent, Figure
from sst.evaluation.reference_classifier import MIN_CONFIDENCE, Predictions, ReferenceClassifier
from sst.types import Wave

N_NEIGHBOURS = 5  # of density and coverage
N_REPLICATES = 100  # of the bootstrap over draws
MIN_SOUNDS = 12  # draws, and held-out sounds
DISTRIBUTION_FIGURES = (
    "kernel_ratio_mfcc",
    "kernel_ratio_classifier",
    "density",
    "coverage",
    "diversity",
)


class FeatureSet(NamedTuple):
    """A set of sounds in two feature spaces that are independent of the model."""

    mfcc: Float[np.ndarray, "n f"]  # MFCC statistics
    predictions: Predictions | Absent  # of the reference classifier

    def take(self, rows: np.ndarray) -> "FeatureSet":
        """Returns the features of some of the sounds."""
        predictions = self.predictions
        if isinstance(predictions, Predictions):
            predictions = predictions.take(rows)
        return FeatureSet(self.mfcc[rows], predictions)


class RealSounds(NamedTuple):
    """The real sounds that draws are compared with."""

    held_out: FeatureSet
    packs: list[str]  # of the held-out sounds
    train: FeatureSet | Absent


def compute_features(
    waves: Sequence[Wave], classifier: ReferenceClassifier | Absent, sample_rate: int
) -> FeatureSet:
    """Computes the features of some waves at a rate in Hz."""
    mfcc = systems.mfcc_statistics(waves, sample_rate)
    if isinstance(classifier, Absent):
        return FeatureSet(mfcc, classifier)
    return FeatureSet(mfcc, reference.predict(classifier, waves, sample_rate))


def measure_draws(draws: FeatureSet, real: RealSounds, seed: int) -> dict[str, Figure]:
    """Returns the figures of `definitions.GENERATION` for the draws of one system."""
    return _distribution(draws, real, seed) | {
        "memorised": memorised(draws, real, seed),
        "recognised": recognised(draws, seed),
    }


def measure_held_out(real: RealSounds, seed: int) -> dict[str, Figure]:
    """Returns the figures of `measure_draws` for the held-out sounds; most hold by definition."""
    n, predictions, train = len(real.held_out.mfcc), real.held_out.predictions, real.train
    one = figures.single(1.0, n)
    itself = Absent("the held-out sounds are what the others are compared with").figure()
    share = figures.single(distributions.MEMORISED_QUANTILE, n)
    return {
        "kernel_ratio_mfcc": one,
        "kernel_ratio_classifier": _figure_of(predictions) or one,
        "density": itself,
        "coverage": itself,
        "diversity": one,
        "memorised": _figure_of(train) or share,
        "recognised": recognised(real.held_out, seed, real.packs),
    }


def measure_train(chosen: FeatureSet, real: RealSounds, seed: int) -> dict[str, Figure]:
    """Returns the figures of `measure_draws` for training sounds: an upper bound for draws."""
    own_copy = Absent("every training sound is its own copy").figure()
    return measure_draws(chosen, real, seed) | {"memorised": own_copy}


def kernel_ratio(
    draws: Float[np.ndarray, "n f"],
    held_out: Float[np.ndarray, "m f"],
    packs: Sequence[str],
    seed: int,
) -> Figure:
    """Returns the kernel distance ratio; its interval is that of the random halves behind it."""
    terms = distributions.kernel_distance_ratios(draws, held_out, packs, seed)
    low, high = np.quantile(terms, [0.025, 0.975])
    ends = {"low": float(low), "high": float(high)}
    return {"value": float(terms.mean()), **ends, "n": len(draws)}


def memorised(draws: FeatureSet, real: RealSounds, seed: int) -> Figure:
    """Returns the share of draws nearer to a training sound than 95 % of held-out sounds are."""
    if isinstance(real.train, Absent):
        return real.train.figure()
    of_real = distributions.nearest_distances(real.held_out.mfcc, real.train.mfcc)
    distances = distributions.nearest_distances(draws.mfcc, real.train.mfcc)
    near = distributions.memorised(distances, of_real)
    return figures.over_files(near.astype(float), None, "mean", seed)


def recognised(sounds: FeatureSet, seed: int, packs: Sequence[str] | None = None) -> Figure:
    """Returns the share of sounds with a class more probable than `MIN_CONFIDENCE`."""
    if isinstance(sounds.predictions, Absent):
        return sounds.predictions.figure()
    confident = sounds.predictions.probabilities.max(axis=1) > MIN_CONFIDENCE
    return figures.over_files(confident.astype(float), packs, "mean", seed)


def per_class(sounds: FeatureSet, names: Sequence[str]) -> dict[str, dict[str, Figure]]:
    """Returns the share of all sounds that is recognised as each class, by its name."""
    if isinstance(sounds.predictions, Absent):
        return {}
    confident = sounds.predictions.probabilities.max(axis=1) > MIN_CONFIDENCE
    best = np.where(confident, sounds.predictions.classes, -1)
    return {
        name: {"recognised": figures.single(float((best == i).mean()), int((best == i).sum()))}
        for i, name in enumerate(names)
    }


def _distribution(draws: FeatureSet, real: RealSounds, seed: int) -> dict[str, Figure]:
    """Returns the figures of `DISTRIBUTION_FIGURES`."""
    held_out, n = real.held_out.mfcc, min(len(draws.mfcc), len(real.held_out.mfcc))
    if n < MIN_SOUNDS:
        reason = f"{n} sounds say nothing about a distribution; {MIN_SOUNDS} are needed"
        return dict.fromkeys(DISTRIBUTION_FIGURES, Absent(reason).figure())

    def density(x: Float[np.ndarray, "n f"]) -> float:
        return distributions.density_coverage(held_out, x, N_NEIGHBOURS)[0]

    def diversity(x: Float[np.ndarray, "n f"]) -> float:
        return distributions.diversity(x, held_out)

    coverage = distributions.density_coverage(held_out, draws.mfcc, N_NEIGHBOURS)[1]
    return {
        "kernel_ratio_mfcc": kernel_ratio(draws.mfcc, held_out, real.packs, seed),
        "kernel_ratio_classifier": _kernel_ratio_classifier(draws, real, seed),
        "density": _bootstrapped(density, draws.mfcc, seed),
        "coverage": figures.single(coverage, len(held_out)),
        "diversity": _bootstrapped(diversity, draws.mfcc, seed),
    }


def _kernel_ratio_classifier(draws: FeatureSet, real: RealSounds, seed: int) -> Figure:
    ours, theirs = draws.predictions, real.held_out.predictions
    if isinstance(ours, Absent):
        return ours.figure()
    if isinstance(theirs, Absent):
        return theirs.figure()
    return kernel_ratio(ours.hidden, theirs.hidden, real.packs, seed)


def _bootstrapped(
    statistic: Callable[[np.ndarray], float], draws: Float[np.ndarray, "n f"], seed: int
) -> Figure:
    """Returns a statistic of the draws with its bootstrap interval over draws."""
    rng = np.random.default_rng(seed)
    replicates = [
        statistic(draws[rng.integers(0, len(draws), len(draws))]) for _ in range(N_REPLICATES)
    ]
    low, high = np.quantile(replicates, [0.025, 0.975])
    return figures.single(statistic(draws), len(draws)) | {"low": float(low), "high": float(high)}


def _figure_of(thing: object) -> Figure | None:
    """Returns a figure without a value for something absent, None for something present."""
    return thing.figure() if isinstance(thing, Absent) else None
