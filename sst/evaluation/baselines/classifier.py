"""A classifier of sounds, trained on real sounds only and without the model's features.

Input: log-mel energies pooled over time and frequency, cepstral statistics and the length. The
probabilities of a few small networks and of extremely randomised trees (Geurts et al., 2006) are
averaged, with a temperature (Guo et al., 2017) chosen on packs held out from training
(cross-validation).
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sst.config import AudioConfig
from sst.dsp import features as transform
from sst.evaluation.baselines import griffinlim, mfcc
from sst.types import Wave

AUDIO = AudioConfig(sample_rate=22_050, clip_seconds=2.0, n_fft=1024, hop=256, n_mels=40)
# Edges of the time slices, in frames of 11.6 ms from the start: fine where a sound is recognised.
SLICES = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 36, 56, 90, 173)
N_FOLDS = 4  # of the packs: for the temperature and the score
N_NETWORKS = 4
HIDDEN_UNITS = 64
STEPS = 300
BATCH_SIZE = 128
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 3e-2
KEEP_RATE = 0.7  # of the inputs and hidden units that dropout leaves
N_TREES = 400
MIN_SAMPLES_LEAF = 2  # sounds in a leaf
MAX_FEATURES = 0.2  # share of the features that a branch chooses from
TEMPERATURES = np.exp(np.linspace(np.log(0.25), np.log(8.0), 61))


class Classifier(NamedTuple):
    """Trained networks and trees, with their scale, temperature and held-out score."""

    class_names: tuple[str, ...]  # sorted; the columns of `probabilities`
    mean: Float[np.ndarray, " f"]
    deviation: Float[np.ndarray, " f"]
    params: Any  # of all networks, stacked
    trees: Any
    temperature: float
    held_out_f1: float  # macro F1 on packs not trained on, over the classes; nan for one pack


def features(wave: Wave, sample_rate: int) -> Float[np.ndarray, " f"]:
    """Computes the classifier's input features of a sound: finite, independent of its level.

    Args:
        wave: [n] mono samples, n >= 1.
        sample_rate: in Hz.
    """
    start = wave[: round(AUDIO.clip_seconds * sample_rate) or 1]
    narrow = griffinlim.resample(start, sample_rate, AUDIO.sample_rate)
    log_mel = transform.log_mel(narrow, AUDIO)
    padded = transform.pad([log_mel], AUDIO)[0]
    slices = [padded[a:b].mean(axis=0) for a, b in zip(SLICES, SLICES[1:], strict=False)]
    pairs = np.stack(slices).reshape(len(slices), -1, 2).mean(axis=2)
    whole = [log_mel.mean(axis=0), log_mel.max(axis=0), log_mel.std(axis=0)]
    loudness = padded.max(axis=1)
    over = [np.log2(1.0 + np.sum(loudness > -db)) for db in (10, 20, 30, 40, 60)]
    cepstral = mfcc.statistics(start, sample_rate)
    return np.concatenate([pairs.ravel(), *whole, over, cepstral]).astype(np.float32)


def fit(
    rows: Float[np.ndarray, "n f"],
    labels: Sequence[str],
    groups: Sequence[str] | None = None,
    seed: int = 0,
    steps: int = STEPS,
) -> Classifier:
    """Trains the classifier on real sounds.

    Args:
        rows: from `features`.
        labels: the kind of each sound, of at least two kinds.
        groups: the pack of each sound; each sound is its own where there are none.
        seed: of folds, weights, batches, dropout and trees.
        steps: of training the networks; they and the trees learn once per fold and once from all.

    Raises:
        ValueError: fewer than two kinds.
    """
    names = tuple(sorted(set(labels)))
    if len(names) < 2:
        raise ValueError(f"{len(names)} kinds of sound: a classifier needs two or more")
    targets = np.array([names.index(label) for label in labels])
    mean, deviation = rows.mean(axis=0), rows.std(axis=0) + 1e-3
    white = (rows - mean) / deviation
    folds = _folds(np.asarray(groups if groups is not None else np.arange(len(rows))), seed)
    raw = np.zeros((len(rows), len(names)), np.float32)
    for fold in np.unique(folds):
        out = folds == fold
        params = _train(white, targets, ~out, len(names), seed, steps)
        raw[out] = _ensemble(params, _fit_trees(white[~out], targets[~out], seed), white[out])
    temperature = min(
        TEMPERATURES, key=lambda t: _negative_log_likelihood(_with_temperature(raw, t), targets)
    )
    params = _train(white, targets, np.ones(len(rows), bool), len(names), seed, steps)
    trees = _fit_trees(white, targets, seed)
    score = float(macro_f1(targets, raw.argmax(axis=1))[0])
    return Classifier(names, mean, deviation, params, trees, float(temperature), score)


def probabilities(classifier: Classifier, rows: Float[np.ndarray, "n f"]) -> np.ndarray:
    """Returns calibrated probabilities [n, c] of the kinds, in the order of `class_names`."""
    white = (rows - classifier.mean) / classifier.deviation
    raw = _ensemble(classifier.params, classifier.trees, white)
    return _with_temperature(raw, classifier.temperature)


def hidden(classifier: Classifier, rows: Float[np.ndarray, "n f"]) -> np.ndarray:
    """Returns the last hidden layer of the first network [n, h], a space that separates kinds."""
    return _forward(classifier.params, (rows - classifier.mean) / classifier.deviation)[1][:, 0]


def macro_f1(
    targets: Int[np.ndarray, " n"],
    predicted: Int[np.ndarray, " n"],
    counts: Float[np.ndarray, "r n"] | None = None,
) -> Float[np.ndarray, " r"]:
    """Returns the F1 score, 0..1, averaged over the classes that occur in `targets`.

    Args:
        targets: the true classes of n > 0 sounds.
        predicted: their predicted classes.
        counts: how often every sound counts in each of r resamples; one of each in one by default.
    """
    counts = np.ones((1, len(targets))) if counts is None else counts
    kinds = np.unique(targets)
    actual, found = (rows[:, None] == kinds for rows in (targets, predicted))
    there, named = counts @ actual, counts @ found
    scores = 2.0 * (counts @ (actual & found)) / np.maximum(there + named, 1.0)
    return np.sum(scores, axis=1, where=there > 0) / np.maximum((there > 0).sum(axis=1), 1)


def _folds(groups: np.ndarray, seed: int) -> Int[np.ndarray, " n"]:
    """Assigns whole groups to folds: the largest first, each into the smallest fold."""
    names, belongs, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    fold_of, filled = np.zeros(len(names), int), np.zeros(min(N_FOLDS, len(names)))
    for group in sorted(shuffled, key=lambda group: -sizes[group]):
        fold_of[group] = int(np.argmin(filled))
        filled[fold_of[group]] += sizes[group]
    return fold_of[belongs]


def _negative_log_likelihood(probability: np.ndarray, targets: np.ndarray) -> float:
    """Returns the mean negative log-likelihood, nats."""
    return float(-np.log(probability[np.arange(len(targets)), targets] + 1e-12).mean())


def _with_temperature(raw: np.ndarray, temperature: float) -> np.ndarray:
    """Scales the confidence of probabilities: down by a temperature above 1, up by one below."""
    raised = raw ** (1.0 / temperature)
    return raised / raised.sum(axis=-1, keepdims=True)


def _ensemble(params: Any, trees: Any, white: np.ndarray) -> np.ndarray:
    """Returns the mean of the networks' and the trees' probabilities [n, c]."""
    logits = _forward(params, white)[0]
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    found = 0.5 * (raised / raised.sum(axis=-1, keepdims=True)).mean(axis=1)
    found[:, trees.classes_] += 0.5 * trees.predict_proba(white)  # a fold may lack a kind
    return found


def _fit_trees(white: np.ndarray, targets: np.ndarray, seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier

    trees = ExtraTreesClassifier(
        N_TREES,
        min_samples_leaf=MIN_SAMPLES_LEAF,
        max_features=MAX_FEATURES,
        class_weight="balanced",
        random_state=seed,
    )
    return trees.fit(white, targets)


def _forward(params: Any, white: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the networks' logits [n, members, c] and last hidden layers [n, members, h]."""
    x = np.einsum("nf,kfh->nkh", white, params["w1"]) + params["b1"]
    x = np.maximum(x, 0.0)
    return np.einsum("nkh,khc->nkc", x, params["w2"]) + params["b2"], x


def _train(
    white: np.ndarray, targets: np.ndarray, used: np.ndarray, n_classes: int, seed: int, steps: int
) -> Any:
    """Trains the networks, each on its own batches of the rows `used`; returns NumPy arrays."""
    import jax

    counts = np.maximum(np.bincount(targets[used], minlength=n_classes), 1)
    # Between balanced and as they come: rare kinds count, but not as if they were frequent.
    weights = used / np.sqrt(counts[targets])
    rng = np.random.default_rng(seed)
    shape = (steps, N_NETWORKS, BATCH_SIZE)
    rows = rng.choice(len(white), shape, p=weights / weights.sum()).astype(np.int32)
    params = _initial(rng, white.shape[1], n_classes)
    trained = _program(steps)(params, white.astype(np.float32), targets, rows, jax.random.key(seed))
    return {name: np.asarray(value) for name, value in trained.items()}


def _initial(rng: np.random.Generator, inputs: int, outputs: int) -> dict[str, np.ndarray]:
    def normal(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) * np.sqrt(2.0 / shape[-2])).astype(np.float32)

    return {
        "w1": normal(N_NETWORKS, inputs, HIDDEN_UNITS),
        "b1": np.zeros((N_NETWORKS, HIDDEN_UNITS), np.float32),
        "w2": 0.1 * normal(N_NETWORKS, HIDDEN_UNITS, outputs),
        "b2": np.zeros((N_NETWORKS, outputs), np.float32),
    }


@functools.lru_cache(maxsize=2)
def _program(steps: int) -> Any:
    import jax
    import jax.numpy as jnp
    import optax

    schedule = optax.cosine_decay_schedule(LEARNING_RATE, steps)
    optimiser = optax.adamw(schedule, weight_decay=WEIGHT_DECAY)

    def loss(params: Any, x: Any, y: Any, key: Any) -> Any:
        input_key, hidden_key = jax.random.split(key)
        x = x * jax.random.bernoulli(input_key, KEEP_RATE, x.shape) / KEEP_RATE
        h = jax.nn.relu(jnp.einsum("kbf,kfh->kbh", x, params["w1"]) + params["b1"][:, None])
        h = h * jax.random.bernoulli(hidden_key, KEEP_RATE, h.shape) / KEEP_RATE
        logits = jnp.einsum("kbh,khc->kbc", h, params["w2"]) + params["b2"][:, None]
        each = optax.softmax_cross_entropy_with_integer_labels(logits, y)
        return each.mean(axis=1).sum()  # a sum over the members: they do not touch each other

    def run(params: Any, white: Any, targets: Any, rows: Any, key: Any) -> Any:
        def step(carry: Any, chosen: Any) -> Any:
            params, state, key = carry
            key, step_key = jax.random.split(key)
            gradient = jax.grad(loss)(params, white[chosen], targets[chosen], step_key)
            updates, state = optimiser.update(gradient, state, params)
            return (optax.apply_updates(params, updates), state, key), None

        return jax.lax.scan(step, (params, optimiser.init(params), key), rows)[0][0]

    return jax.jit(run)
