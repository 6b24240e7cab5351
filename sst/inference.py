"""Using a trained model: pure functions from arrays to arrays, any number of models at once."""

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from sst import cache
from sst.audio.clip import canonical
from sst.config import AudioConfig, Config
from sst.dsp import features, vocoder
from sst.errors import ModelError, UsageError
from sst.model import calibration, export_format, prior
from sst.model import model as network
from sst.model.pca import LOWEST_PEAK_DB
from sst.types import Array, Features, Key, Latent, Wave

MANY = 64  # clips encoded at once; a single one has its own program
MAX_CHANNELS = 64  # a second axis longer than this is time
PARTS = (4, 2, 1)  # of the longest clip
SPARE_FRAMES = 4  # after the end of a sound, where its last windows fade
CREST = (0.5, 2.0)  # how far the peak may be from where the latent puts it
FADE_S = 0.004  # at the end of a decoded sound


class Model(NamedTuple):
    """A trained model."""

    config: Config
    params: network.Params
    stats: network.Stats
    prior: prior.Prior
    class_names: tuple[str, ...]
    digest: str  # 12 hexadecimal digits of the parameters
    temperature: float = 1.0  # of the class probabilities, see `classify`


def load(name: str | os.PathLike[str]) -> Model:
    """The model of a run directory, or a shipped one by its name.

    Raises:
        ModelError: if there is none, or it is damaged or of another version.
    """
    cache.enable_cache()
    saved = export_format.load_model(export_format.find_model(name))
    trees = (saved.params, saved.stats, saved.prior)
    params, stats, fitted = jax.tree.map(jnp.asarray, trees)
    names = tuple(saved.class_names)
    return Model(saved.config, params, stats, fitted, names, saved.digest, saved.temperature)


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
    heard, single = _hear(model, wave, sample_rate)
    z = encode_features(model, heard)
    return z.reshape(-1) if single else z  # several times faster than z[0]


def _hear(model: Model, wave: Float[np.ndarray, "..."], sample_rate: int) -> tuple[Features, bool]:
    """The features of a sound or of a batch, and which of the two it is."""
    wave = np.asarray(wave, np.float32)
    if wave.ndim not in (1, 2) or not wave.size:
        raise UsageError(f"a wave has shape [n], [n, channels] or [b, n], not {list(wave.shape)}")
    if not np.isfinite(wave).all():
        raise UsageError("the wave has samples that are not finite")
    single = wave.ndim == 1 or wave.shape[1] <= MAX_CHANNELS
    config = model.config.audio
    clips = [canonical(w, sample_rate, config) for w in ([wave] if single else wave)]
    return features.of_clips(clips, config), single


def encode_features(model: Model, heard: Features) -> Float[Array, "b z"]:
    """Posterior means of clips whose features are there already, as NumPy arrays."""
    return _in_programs(_encode, model, heard)


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


def sample_prior(
    model: Model, key: Key, n: int, temperature: float = 1.0, class_name: str | None = None
) -> Float[Array, "n z"]:
    """Random latents, distributed as those of the training sounds, or of one class of them.

    Raises:
        UsageError: if the model knows no such class.
    """
    label = None if class_name is None else model.class_names.index(known_class(model, class_name))
    return prior.sample(model.prior, key, n, temperature, label)


def known_class(model: Model, name: str) -> str:
    """The class of that name as the model spells it; capitals do not count.

    Raises:
        UsageError: if sounds of no such class can be drawn.
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
    """`z` plus Gaussian noise; `variance` 1 is the spread of the training sounds, variations too.

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
    """The vector that search compares by Euclidean distance; arguments as for `encode`.

    It does not depend on the level: search hears every sound as loud as the average one.
    """
    heard, single = _hear(model, wave, sample_rate)
    vectors = embed_features(model, heard)
    return vectors.reshape(-1) if single else vectors


def embed_features(model: Model, heard: Features) -> Float[Array, "b e"]:
    """`embed` for clips whose features are there already, as NumPy arrays."""
    return _in_programs(_embed, model, heard)


def embed_latent(model: Model, z: Latent) -> Float[Array, "*b e"]:
    """The search vector of a latent, such as one that was drawn or mixed: that of its sound."""
    block = jnp.atleast_2d(jnp.asarray(z, jnp.float32))
    parts = [block[start : start + MANY] for start in range(0, len(block), MANY)]
    vectors = [embed_features(model, _heard_latent(model, part)) for part in parts]
    return vectors[0][0] if jnp.ndim(z) == 1 else jnp.concatenate(vectors)


def classify(
    model: Model, wave: Float[np.ndarray, "..."], sample_rate: int
) -> Float[np.ndarray, "*b c"]:
    """How probable each of `model.class_names` is for a sound; arguments as for `encode`.

    The probabilities add up to 1. They are the softmax of the logits that training used, divided
    by a temperature (Guo et al., 2017) that was chosen on the validation sounds.

    Raises:
        ModelError: the model was trained without classes.
        UsageError: as for `encode`.
    """
    check_classes(model)
    heard, single = _hear(model, wave, sample_rate)
    shares = classify_features(model, heard)
    return shares[0] if single else shares


def classify_features(model: Model, heard: Features) -> Float[np.ndarray, "b c"]:
    """`classify` for clips whose features are there already, as NumPy arrays."""
    check_classes(model)
    logits = np.asarray(_in_programs(_classify, model, heard), np.float64)
    return calibration.probabilities(logits, model.temperature).astype(np.float32)


def classify_latent(model: Model, z: Latent) -> Float[np.ndarray, "*b c"]:
    """`classify` for a latent, such as one that was drawn or mixed: that of its sound."""
    shares = classify_features(model, _heard_latent(model, z))
    return shares[0] if jnp.ndim(z) == 1 else shares


def has_classes(model: Model) -> bool:
    """Whether the model tells classes apart: it was trained on sounds with folder labels."""
    return bool(model.class_names) and "prototypes" in model.params


def check_classes(model: Model) -> None:
    """Raises ModelError if the model cannot tell classes apart."""
    if not has_classes(model):
        raise ModelError(
            f"The model {model.config.name} has no classes: it was trained on sounds without "
            "folder labels."
        )


def _heard_latent(model: Model, z: Latent) -> Features:
    """What the model hears of the sounds that it decodes at latents."""
    block = jnp.atleast_2d(jnp.asarray(z, jnp.float32))
    decoded = _decode(model.params, model.stats, block, model.config)
    log_mel, n_frames, peak_db, attack = (np.asarray(field) for field in decoded)
    loudest = log_mel.max(axis=(1, 2), keepdims=True)
    relative = np.where(log_mel > model.config.audio.floor_db, log_mel - loudest, log_mel)
    return Features(relative, n_frames, peak_db, attack)


def _decode_one(model: Model, z: Float[Array, " z"]) -> Wave:
    decoded = _decode(model.params, model.stats, z[None], model.config)
    return waveform(
        network.Decoded(*(np.asarray(field)[0] for field in decoded)), model.config.audio
    )


def waveform(sound: network.Decoded, config: AudioConfig) -> Wave:
    """The sound that a spectrogram, an attack, a length and a level describe.

    Args:
        sound: one row: log_mel [t, m], n_frames [], peak_db [], attack [a].
        config: the transform.

    Returns:
        [n] float32, as long as `n_frames` says; zeros where the level is that of silence.
    """
    n_frames = int(sound.n_frames)
    total = next(n for n in _lengths(config) if n >= min(n_frames + SPARE_FRAMES, config.n_frames))
    samples = min(config.clip_samples, (total - 1) * config.hop)
    wave = vocoder.invert(sound.log_mel[:total], config, samples, sound.attack)
    wave = np.array(wave)[: max(1, (n_frames - 1) * config.hop)]
    fade = min(len(wave), round(FADE_S * config.sample_rate))
    wave[len(wave) - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    peak, level = float(np.max(np.abs(wave))), float(sound.peak_db)
    if peak < 1e-9 or level <= LOWEST_PEAK_DB:
        return np.zeros_like(wave)
    # Set by the power at the start: the inversion keeps power better than it keeps peaks.
    wanted = float((10.0 ** (sound.attack / 10.0)).sum())
    power = max(float(features.attack_power(wave, config).sum()), 1e-20)
    crest = np.clip(peak * np.sqrt(wanted / power), *CREST)  # a slow sound has no power there
    return wave * np.float32(10.0 ** (level / 20.0) * crest / peak)


def _in_programs(program: Callable[..., Array], model: Model, heard: Features) -> Array:
    """`program` over clips in NumPy arrays, in blocks of one size: [b, ...]."""
    total = len(heard.n_frames)
    if total == 1:
        return program(model.params, model.stats, heard, model.config)
    parts = []
    for start in range(0, total, MANY):
        rows = np.minimum(np.arange(start, start + MANY), total - 1)
        chosen = Features(*(np.asarray(field)[rows] for field in heard))
        done = program(model.params, model.stats, chosen, model.config)
        parts.append(np.asarray(done)[: total - start])
    return jnp.asarray(np.concatenate(parts))


@functools.partial(jax.jit, static_argnames="config")
def _encode(params: Any, stats: Any, heard: Features, config: Config) -> Array:
    return network.encode(params, stats, heard, config)[0]


@functools.partial(jax.jit, static_argnames="config")
def _embed(params: Any, stats: Any, heard: Features, config: Config) -> Array:
    return network.embed(params, stats, heard, config)


@functools.partial(jax.jit, static_argnames="config")
def _classify(params: Any, stats: Any, heard: Features, config: Config) -> Array:
    return network.class_logits(params, stats, heard, config)


@functools.partial(jax.jit, static_argnames="config")
def _decode(params: Any, stats: Any, z: Array, config: Config) -> network.Decoded:
    return network.decode(params, stats, z, config)


def _lengths(audio: AudioConfig) -> tuple[int, ...]:
    """The lengths in frames that waveforms are made at: a program each, and most sounds short."""
    return tuple(-(-audio.n_frames // part) for part in PARTS)
