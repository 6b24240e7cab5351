"""The functions of a trained model: pure, from arrays to arrays, any number of models at once."""

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from sst import cache
from sst.audio.clip import canonical
from sst.batching import padded_batches
from sst.config import Config
from sst.dsp import features
from sst.errors import ModelError, UsageError
from sst.model import calibration, export_format, network, pca, prior
from sst.model.synthesis import waveform as waveform  # a part of this module's interface
from sst.types import Array, Features, Key, Latent, Wave

T = TypeVar("T")
BATCH_SIZE = 64  # clips encoded at once; a single one has its own program
MAX_CHANNELS = 64  # a second axis longer than this is time


class Model(NamedTuple):
    """A trained model."""

    config: Config
    params: network.Params
    stats: pca.Stats
    prior: prior.Prior
    class_names: tuple[str, ...]
    digest: str  # 12 hexadecimal digits of the parameters
    temperature: float = 1.0  # of the class probabilities, see `classify`


def load(name: str | os.PathLike[str]) -> Model:
    """Loads the model of a run directory, or a shipped one by its name.

    Raises:
        ModelError: if there is none, or it is damaged or of another format.
    """
    cache.enable_cache()
    saved = export_format.load_model(export_format.find_model(name))
    trees = (saved.params, saved.stats, saved.prior)
    params, stats, fitted = jax.tree.map(jnp.asarray, trees)
    names = tuple(saved.class_names)
    return Model(saved.config, params, stats, fitted, names, saved.digest, saved.temperature)


def encode(model: Model, wave: Float[np.ndarray, "..."], sample_rate: int) -> Float[Array, "*b z"]:
    """Returns the latent vector of a sound, or of a batch of sounds.

    Args:
        model: the model.
        wave: [n], or [n, channels] with at most 64 channels, or a batch [b, n] with n > 64; any
            level, any length: the part after the model's clip length is ignored.
        sample_rate: in Hz.

    Returns:
        [z], or [b, z].

    Raises:
        UsageError: if the array has another shape, no samples, or samples that are not finite.
    """
    inputs, single = _features(model, wave, sample_rate)
    z = encode_features(model, inputs)
    return z.reshape(-1) if single else z  # several times faster than z[0]


def _features(
    model: Model, wave: Float[np.ndarray, "..."], sample_rate: int
) -> tuple[Features, bool]:
    """Returns the features of a sound or of a batch, and True if it is a single sound."""
    wave = np.asarray(wave, np.float32)
    if wave.ndim not in (1, 2) or not wave.size:
        raise UsageError(f"Got a wave of shape {list(wave.shape)}: give [n], [n, c] or [b, n].")
    if not np.isfinite(wave).all():
        raise UsageError("The wave has samples that are not finite: give finite numbers.")
    single = wave.ndim == 1 or wave.shape[1] <= MAX_CHANNELS
    config = model.config.audio
    clips = [canonical(w, sample_rate, config) for w in ([wave] if single else wave)]
    return features.of_clips(clips, config), single


def encode_features(model: Model, inputs: Features) -> Float[Array, "b z"]:
    """Returns the posterior means of clips, given their features as NumPy arrays."""
    return _in_batches(_encode, model, inputs)


def decode(model: Model, z: Latent) -> Float[np.ndarray, "*b n"]:
    """Returns the sound at a latent vector, at `model.config.audio.sample_rate` and its own level.

    Args:
        model: the model.
        z: [z], or a batch [b, z].

    Returns:
        [n] float32, as long as the sound; for a batch [b, n], padded with silence. A row does not
        depend on the others.
    """
    z = jnp.asarray(z, jnp.float32)
    size = model.config.model.latent_dim
    if z.shape[-1:] != (size,) or z.ndim > 2:
        raise UsageError(f"Got latents of shape {list(z.shape)}: give [{size}] or [b, {size}].")
    waves = [_decode_one(model, row) for row in jnp.atleast_2d(z)]
    if z.ndim == 1:
        return waves[0]
    block = np.zeros((len(waves), max(map(len, waves), default=0)), np.float32)
    for row, wave in zip(block, waves, strict=True):
        row[: len(wave)] = wave
    return block


def sample_prior(
    model: Model, key: Key, n: int, temperature: float = 1.0, class_name: str | None = None
) -> Float[Array, "n z"]:
    """Draws latents from the prior of the training sounds, or of one class of them.

    Raises:
        UsageError: if the model knows no such class.
    """
    label = None if class_name is None else model.class_names.index(known_class(model, class_name))
    return prior.sample(model.prior, key, n, temperature, label)


def known_class(model: Model, name: str) -> str:
    """Returns the class of that name as the model spells it; capitals do not count.

    Raises:
        UsageError: if no sounds of such a class can be drawn.
    """
    drawable = set(np.asarray(model.prior["labels"]).tolist())
    known = [kind for row, kind in enumerate(model.class_names) if row in drawable]
    for kind in known:
        if kind.casefold() == name.casefold():
            return kind
    there = f"it knows {', '.join(known)}" if known else "it was trained on none"
    raise UsageError(f"The model {model.config.name} knows no class {name!r}: {there}.")


def mix(
    z: Float[Array, "n z"],
    weights: Float[Array, " n"] | Sequence[float | int],
    normalize: bool = True,
) -> Float[Array, " z"]:
    """Returns the weighted sum of latents; `normalize` divides the weights by their sum.

    Weights may be negative.

    Raises:
        UsageError: if their number is wrong, or they add up to 0 and are to be normalised.
    """
    z, shares = jnp.asarray(z), np.asarray(weights, np.float32)
    if shares.shape != z.shape[:1]:
        given = f"Got {len(z)} latents but weights of shape {list(shares.shape)}"
        raise UsageError(f"{given}: give one weight for each latent.")
    if not np.isfinite(shares).all():
        raise UsageError("Got weights that are not finite: give finite numbers.")
    total = float(shares.sum())
    if normalize and abs(total) < 1e-6 * float(np.abs(shares).sum() or 1.0):
        raise UsageError("The weights add up to 0: give others, or normalize=False.")
    return jnp.einsum("nz,n->z", z, shares / total if normalize else shares)


def perturb(key: Key, z: Latent, variance: float) -> Latent:
    """Adds Gaussian noise; `variance` 1 is that of the training sounds and their variations.

    Raises:
        UsageError: if the variance is negative or not finite.
    """
    if not 0.0 <= variance < float("inf"):
        raise UsageError(f"The variance {variance:g} should be a finite number, 0 or more.")
    return z + jnp.sqrt(variance) * jax.random.normal(key, jnp.shape(z))


def interpolate(a: Float[Array, " z"], b: Float[Array, " z"], steps: int) -> Float[Array, "s z"]:
    """Returns `steps` latents on the straight line from `a` to `b`, both included.

    Raises:
        UsageError: if there are fewer than 2 steps.
    """
    if steps < 2:
        raise UsageError(f"Got {steps} steps: an interpolation needs 2 or more.")
    return jnp.linspace(jnp.asarray(a), jnp.asarray(b), steps)


def embed(model: Model, wave: Float[np.ndarray, "..."], sample_rate: int) -> Float[Array, "*b e"]:
    """Returns the vector that search compares by Euclidean distance; arguments as for `encode`.

    It does not depend on the level: every sound counts as being as loud as the average one.
    """
    inputs, single = _features(model, wave, sample_rate)
    vectors = embed_features(model, inputs)
    return vectors.reshape(-1) if single else vectors


def embed_features(model: Model, inputs: Features) -> Float[Array, "b e"]:
    """Returns the search vectors of clips, given their features as NumPy arrays."""
    return _in_batches(_embed, model, inputs)


def embed_latent(model: Model, z: Latent) -> Float[Array, "*b e"]:
    """Returns the search vector of the sound decoded at a latent, such as a drawn or mixed one."""
    vectors = embed_features(model, _decoded_features(model, z))
    return vectors[0] if jnp.ndim(z) == 1 else vectors


def classify(
    model: Model, wave: Float[np.ndarray, "..."], sample_rate: int
) -> Float[np.ndarray, "*b c"]:
    """Returns the probability of each of `model.class_names`; arguments as for `encode`.

    The probabilities add up to 1. They are the softmax of the logits that training used, divided
    by a temperature (Guo et al., 2017) that was chosen on the validation sounds.

    Raises:
        ModelError: the model was trained without classes.
        UsageError: as for `encode`.
    """
    check_classes(model)
    inputs, single = _features(model, wave, sample_rate)
    probabilities = classify_features(model, inputs)
    return probabilities[0] if single else probabilities


def classify_features(model: Model, inputs: Features) -> Float[np.ndarray, "b c"]:
    """Returns the class probabilities of clips, given their features as NumPy arrays."""
    check_classes(model)
    logits = np.asarray(_in_batches(_classify, model, inputs), np.float64)
    return calibration.probabilities(logits, model.temperature).astype(np.float32)


def classify_latent(model: Model, z: Latent) -> Float[np.ndarray, "*b c"]:
    """Returns the class probabilities of the sound decoded at a latent."""
    probabilities = classify_features(model, _decoded_features(model, z))
    return probabilities[0] if jnp.ndim(z) == 1 else probabilities


def has_classes(model: Model) -> bool:
    """Tells whether the model classifies sounds: it was trained on some with folder labels."""
    return bool(model.class_names) and "prototypes" in model.params


def check_classes(model: Model) -> None:
    """Raises ModelError if the model has no classes."""
    if not has_classes(model):
        raise ModelError(
            f"The model {model.config.name} has no classes: it was trained on sounds without "
            "folder labels."
        )


def _decoded_features(model: Model, z: Latent) -> Features:
    """Returns the features of the sounds that the model decodes at latents."""
    decoded = _in_batches(_decode, model, jnp.atleast_2d(jnp.asarray(z, jnp.float32)))
    log_mel, n_frames, peak_db, attack = (np.asarray(field) for field in decoded)
    loudest = log_mel.max(axis=(1, 2), keepdims=True)
    relative = np.where(log_mel > model.config.audio.floor_db, log_mel - loudest, log_mel)
    return Features(relative, n_frames, peak_db, attack)


def _decode_one(model: Model, z: Float[Array, " z"]) -> Wave:
    decoded = _decode(model.params, model.stats, z[None], model.config)
    return waveform(
        network.Decoded(*(np.asarray(field)[0] for field in decoded)), model.config.audio
    )


def _in_batches(program: Callable[..., T], model: Model, inputs: Features | Array) -> T:
    """Applies `program` to clips or latents in batches of one size; returns arrays [b, ...]."""
    total = len(jax.tree.leaves(inputs)[0])
    if total == 1:
        return program(model.params, model.stats, inputs, model.config)
    parts = []
    for rows, mask in padded_batches(total, BATCH_SIZE):
        done = program(model.params, model.stats, _take(inputs, rows), model.config)
        parts.append(_take(done, mask))
    return jax.tree.map(lambda *fields: jnp.asarray(np.concatenate(fields)), *parts)


def _take(arrays: T, rows: np.ndarray) -> T:
    """Returns the chosen rows of each array, as NumPy arrays."""
    return jax.tree.map(lambda field: np.asarray(field)[rows], arrays)


@functools.partial(jax.jit, static_argnames="config")
def _encode(params: Any, stats: Any, inputs: Features, config: Config) -> Array:
    return network.encode(params, stats, inputs, config)[0]


_embed = jax.jit(network.embed, static_argnames="config")
_classify = jax.jit(network.class_logits, static_argnames="config")
_decode = jax.jit(network.decode, static_argnames="config")
