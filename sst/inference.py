"""Using a trained model: pure functions from arrays to arrays, any number of models at once."""

import functools
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from sst import audio, compilation, features, modelfile, prior, vocoder
from sst import model as network
from sst.config import Config
from sst.errors import UsageError
from sst.types import Array, Batch, Key, Latent, Wave

MANY = 64  # clips encoded at once; a single one has its own program
MAX_CHANNELS = 64  # a second axis longer than this is time
FADE_S = 0.004  # at the end of a decoded sound


class Model(NamedTuple):
    """A trained model."""

    config: Config
    params: network.Params
    stats: network.Stats
    prior: prior.Prior
    class_names: tuple[str, ...]
    digest: str  # 12 hexadecimal digits of the parameters


def load(name: str | os.PathLike[str]) -> Model:
    """The model of a run directory, or a shipped one by its name.

    Raises:
        ModelError: if there is none, or it is damaged or of another version.
    """
    compilation.enable_cache()
    saved = modelfile.load_model(modelfile.find_model(name))
    trees = (saved.params, saved.stats, saved.prior)
    params, stats, fitted = jax.tree.map(jnp.asarray, trees)
    return Model(saved.config, params, stats, fitted, tuple(saved.class_names), saved.digest)


def encode(model: Model, wave: Float[np.ndarray, "..."], sample_rate: int) -> Float[Array, "*b z"]:
    """The latent vector of a sound, or of a batch of sounds.

    Args:
        model: the model.
        wave: [n], or [n, channels] with at most 64 channels, or a batch [b, n] with n > 64; any
            level, any length: what comes after the model's clip is not heard.
        sample_rate: in Hz.

    Returns:
        [z], or [b, z].

    Raises:
        UsageError: if the array has another shape, no samples, or samples that are not finite.
    """
    wave = np.asarray(wave, np.float32)
    if wave.ndim not in (1, 2) or not wave.size:
        raise UsageError(f"a wave has shape [n], [n, channels] or [b, n], not {list(wave.shape)}")
    if not np.isfinite(wave).all():
        raise UsageError("the wave has samples that are not finite")
    single = wave.ndim == 1 or wave.shape[1] <= MAX_CHANNELS
    config = model.config.audio
    clips = [audio.canonical(w, sample_rate, config) for w in ([wave] if single else wave)]
    log_mels = [features.log_mel(clip.wave, config) for clip in clips]
    n_frames = np.array([len(x) for x in log_mels], np.int32)
    peak_db = np.array([clip.peak_db for clip in clips], np.float32)
    z = encode_features(model, features.pad(log_mels, config), n_frames, peak_db)
    return z[0] if single else z


def encode_features(
    model: Model,
    log_mel: Float[np.ndarray, "b t m"],
    n_frames: Int[np.ndarray, " b"],
    peak_db: Float[np.ndarray, " b"],
) -> Float[Array, "b z"]:
    """Posterior means of clips whose spectrograms are padded with the floor to the full length."""
    size = 1 if len(log_mel) == 1 else MANY
    parts = []
    for start in range(0, len(log_mel), size):
        rows = np.minimum(np.arange(start, start + size), len(log_mel) - 1)
        batch = Batch(
            jnp.asarray(log_mel[rows], jnp.float32),
            jnp.asarray(n_frames[rows], jnp.int32),
            jnp.asarray(peak_db[rows], jnp.float32),
            jnp.ones(size, bool),
        )
        mean = _encode(model.params, model.stats, batch, model.config)
        parts.append(np.asarray(mean)[: len(log_mel) - start])
    return jnp.asarray(np.concatenate(parts))


def decode(model: Model, z: Latent) -> Float[np.ndarray, "*b n"]:
    """The sound at a latent vector, at `model.config.audio.sample_rate` and its own level.

    Args:
        model: the model.
        z: [z], or a batch [b, z].

    Returns:
        [n] float32, as long as the sound; for a batch [b, n], padded with silence. A row does not
        depend on the others.
    """
    z = jnp.asarray(z, jnp.float32)
    if z.shape[-1:] != (model.config.model.latent_dim,) or z.ndim > 2:
        raise UsageError(
            f"a latent has shape [{model.config.model.latent_dim}], not {list(z.shape)}"
        )
    waves = [_decode_one(model, row) for row in jnp.atleast_2d(z)]
    if z.ndim == 1:
        return waves[0]
    block = np.zeros((len(waves), max(map(len, waves), default=0)), np.float32)
    for row, wave in zip(block, waves, strict=True):
        row[: len(wave)] = wave
    return block


def sample_prior(model: Model, key: Key, n: int, temperature: float = 1.0) -> Float[Array, "n z"]:
    """Random latents, distributed as those of the training sounds."""
    return prior.sample(model.prior, key, n, temperature)


def mix(
    z: Float[Array, "n z"],
    weights: Float[Array, " n"] | Sequence[float | int],
    normalize: bool = True,
) -> Float[Array, " z"]:
    """The weighted sum of latents; `normalize` divides the weights by their sum.

    Weights may be negative.

    Raises:
        UsageError: if their number is wrong, or they add up to 0 and are to be normalised.
    """
    z, shares = jnp.asarray(z), np.asarray(weights, np.float32)
    if shares.shape != z.shape[:1]:
        raise UsageError(f"{len(z)} sounds but {shares.size} weights")
    if not np.isfinite(shares).all():
        raise UsageError("weights must be finite numbers")
    total = float(shares.sum())
    if normalize and abs(total) < 1e-6 * float(np.abs(shares).sum() or 1.0):
        raise UsageError("weights add up to 0; use --no-normalize-weights")
    return jnp.einsum("nz,n->z", z, shares / total if normalize else shares)


def perturb(key: Key, z: Latent, variance: float) -> Latent:
    """`z` plus Gaussian noise; `variance` 1 is the spread of all training sounds.

    Raises:
        UsageError: if the variance is negative or not finite.
    """
    if not 0.0 <= variance < float("inf"):
        raise UsageError(f"variance {variance} should be 0 or more")
    return z + jnp.sqrt(variance) * jax.random.normal(key, jnp.shape(z))


def interpolate(a: Float[Array, " z"], b: Float[Array, " z"], steps: int) -> Float[Array, "s z"]:
    """`steps` latents on the straight line from `a` to `b`, both included.

    Raises:
        UsageError: if there are fewer than 2 steps.
    """
    if steps < 2:
        raise UsageError(f"{steps} steps: an interpolation needs 2 or more")
    return jnp.linspace(jnp.asarray(a), jnp.asarray(b), steps)


def embed(model: Model, wave: Float[np.ndarray, "..."], sample_rate: int) -> Float[Array, "*b e"]:
    """The vector that search compares by Euclidean distance; arguments as for `encode`."""
    return _search_vector(model, encode(model, wave, sample_rate))


def embed_features(
    model: Model,
    log_mel: Float[np.ndarray, "b t m"],
    n_frames: Int[np.ndarray, " b"],
    peak_db: Float[np.ndarray, " b"],
) -> Float[Array, "b e"]:
    """`embed` for clips whose features are there already; arguments as for `encode_features`."""
    return _search_vector(model, encode_features(model, log_mel, n_frames, peak_db))


def _search_vector(model: Model, z: Latent) -> Latent:
    """Half-whitened and of unit length.

    The latent gives every direction the same spread, so that the many weak ones, which are mostly
    the accidents of single sounds, outvote the few that tell kinds apart; the square root of the
    original spread is between that and no whitening (mAP on drum machines 0.34 -> 0.43). Direction,
    not length: how far a sound lies from the average says little about its kind.
    """
    weighted = z * jnp.sqrt(model.stats["spread"])
    return weighted / jnp.maximum(jnp.linalg.norm(weighted, axis=-1, keepdims=True), 1e-9)


def _decode_one(model: Model, z: Float[Array, " z"]) -> Wave:
    config = model.config.audio
    wave, n_frames, peak_db = _decode(model.params, model.stats, z[None], model.config)
    wave = np.asarray(wave[0])[: max(1, (int(n_frames[0]) - 1) * config.hop)].copy()
    fade = min(len(wave), round(FADE_S * config.sample_rate))
    wave[len(wave) - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    peak, level = float(np.max(np.abs(wave))), float(peak_db[0])
    if peak < 1e-9 or level <= network.LOWEST_PEAK_DB:
        return np.zeros_like(wave)
    return wave * np.float32(10.0 ** (level / 20.0) / peak)


@functools.partial(jax.jit, static_argnames="config")
def _encode(params: Any, stats: Any, batch: Batch, config: Config) -> Array:
    return network.encode(params, stats, batch, config)[0]


@functools.partial(jax.jit, static_argnames="config")
def _decode(params: Any, stats: Any, z: Array, config: Config) -> tuple[Array, Array, Array]:
    sound = network.decode(params, stats, z, config)
    wave = vocoder.invert(sound.log_mel, config.audio, config.audio.clip_samples)
    return wave, sound.n_frames, sound.peak_db
