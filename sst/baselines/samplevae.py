"""A small convolutional VAE on whole log-mel images, in the manner of SampleVAE.

Written from a description of what it does, to stand for it where both can be trained on the same
sounds: 16 kHz, 2 s, 128 bands x 126 frames, decibels relative to the sound's own maximum scaled
to 0..1, zeros after the end of the sound and no mask; convolutions with pooling down to 64 latents,
dense layers and transposed convolutions back; cross-entropy plus KL, Adam 1e-3, batches of 64 drawn
with replacement, dropout; random sounds from N(0, I); Griffin-Lim with 10 iterations. The level is
not kept, nor the length: every sound comes back as 2 s.

Two things differ, both in its favour or neutral: there is no flow behind the encoder (its share of
the weights is large, its gain was not measurable), and encoder and Griffin-Lim use one mel basis,
where SampleVAE's differ and raise every pitch by up to four semitones.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jaxtyping import Float

from sst import features
from sst.baselines import griffinlim
from sst.config import AudioConfig
from sst.types import Array, Wave

AUDIO = AudioConfig(sample_rate=16_000, clip_seconds=2.0, n_fft=1024, hop=256, n_mels=128)
LATENT = 64
BATCH = 64
STEPS = 300  # its loss is flat after 100 to 200
LEARNING_RATE = 1e-3
EPSILON = 1e-4  # of Adam
KEEP = 0.75  # of the units that dropout leaves
GRIFFIN_LIM_STEPS = 10
CHANNELS = (16, 32, 64, 64)
START = (8, 8, 64)  # the image that the decoder's dense layer makes: frames, bands, channels


class SampleVae(NamedTuple):
    """A trained network."""

    params: Any
    losses: Float[np.ndarray, " steps"]  # cross-entropy plus KL of each step, nats


class _Encoder(nn.Module):
    @nn.compact
    def __call__(self, x: Array, train: bool) -> tuple[Array, Array]:
        x = jnp.pad(x, ((0, 0), (0, -x.shape[1] % 16), (0, 0)))[..., None]
        for channels in CHANNELS:
            x = nn.relu(nn.Conv(channels, (3, 3))(x))
            b, t, m, c = x.shape
            x = x.reshape(b, t // 2, 2, m // 2, 2, c).max(axis=(2, 4))
        x = nn.Dropout(1.0 - KEEP, deterministic=not train)(x.reshape(len(x), -1))
        x = nn.relu(nn.Dense(256)(x))
        mean, logvar = jnp.split(nn.Dense(2 * LATENT)(x), 2, axis=-1)
        return mean, jnp.clip(logvar, -10.0, 4.0)


class _Decoder(nn.Module):
    """Latent -> logits of the image [b, n_frames, n_mels]."""

    @nn.compact
    def __call__(self, z: Array, train: bool) -> Array:
        x = nn.relu(nn.Dense(256)(z))
        x = nn.Dropout(1.0 - KEEP, deterministic=not train)(x)
        x = nn.relu(nn.Dense(int(np.prod(START)))(x)).reshape(-1, *START)
        for channels in (32, 16, 8):
            x = nn.relu(nn.ConvTranspose(channels, (4, 4), (2, 2))(x))
        x = nn.ConvTranspose(1, (4, 4), (2, 2))(x)
        return x[:, : AUDIO.n_frames, :, 0]


def fit(waves: Sequence[Wave], sample_rate: int, seed: int = 0, steps: int = STEPS) -> SampleVae:
    """Trains on some sounds.

    Args:
        waves: [n] mono samples each, at any level; what comes after 2 s is not heard.
        sample_rate: of all, in Hz.
        seed: of the weights, batches, noise and dropout.
        steps: batches of 64.
    """
    images = jnp.asarray(_images(waves, sample_rate))
    start, noise = jax.random.split(jax.random.key(seed))
    params = _init(start)
    optimiser = _optimiser().init(params)
    rng = np.random.default_rng(seed)
    losses = []
    for step in range(steps):
        rows = rng.integers(0, len(images), BATCH)
        key = jax.random.fold_in(noise, step)
        params, optimiser, loss = _step(params, optimiser, images[rows], key)
        losses.append(float(loss))  # waits: each step under way holds its own working memory
    return SampleVae(params, np.asarray(losses, np.float32))


def reconstruct(vae: SampleVae, waves: Sequence[Wave], sample_rate: int) -> list[Wave]:
    """The sounds as the network gives them back: 2 s each, at `sample_rate`, peak 1."""
    decoded = _render(vae, embed(vae, waves, sample_rate))
    return [griffinlim.resample(wave, AUDIO.sample_rate, sample_rate) for wave in decoded]


def draw(vae: SampleVae, rng: np.random.Generator, n: int) -> tuple[list[Wave], int]:
    """Sounds from N(0, I), 2 s each, peak 1, and their sample rate."""
    return _render(vae, rng.standard_normal((n, LATENT)).astype(np.float32)), AUDIO.sample_rate


def embed(vae: SampleVae, waves: Sequence[Wave], sample_rate: int) -> Float[np.ndarray, "n z"]:
    """Means of the posteriors, which search compares by Euclidean distance."""
    images = _images(waves, sample_rate)
    parts = [_encode(vae.params, block)[:size] for block, size in _blocks(images)]
    return np.concatenate([np.zeros((0, LATENT), np.float32), *map(np.asarray, parts)])


def decode(vae: SampleVae, z: Float[np.ndarray, "n z"]) -> Float[np.ndarray, "n t m"]:
    """The log-mel spectrograms at some latents, dB in [-80, 0]."""
    parts = [_decode(vae.params, block)[:size] for block, size in _blocks(z)]
    images = [np.zeros((0, AUDIO.n_frames, AUDIO.n_mels), np.float32), *map(np.asarray, parts)]
    return (np.concatenate(images) - 1.0) * -AUDIO.floor_db


def _images(waves: Sequence[Wave], sample_rate: int) -> Float[np.ndarray, "n t m"]:
    """Log-mel scaled to 0 (the floor, and what comes after the end) .. 1 (the loudest cell)."""
    log_mels = []
    for wave in waves:
        heard = wave[: round(AUDIO.clip_seconds * sample_rate) or 1]
        narrow = griffinlim.resample(heard, sample_rate, AUDIO.sample_rate)
        log_mels.append(features.log_mel(narrow[: AUDIO.clip_samples], AUDIO))
    return 1.0 - features.pad(log_mels, AUDIO) / AUDIO.floor_db


def _render(vae: SampleVae, z: Float[np.ndarray, "n z"]) -> list[Wave]:
    waves = []
    for log_mel in decode(vae, z):
        wave = griffinlim.invert(log_mel, AUDIO, GRIFFIN_LIM_STEPS, AUDIO.clip_samples)
        waves.append(wave / max(float(np.max(np.abs(wave))), 1e-9))
    return waves


def _blocks(rows: np.ndarray) -> Any:
    """Blocks of one size, so that one program serves all, and how much of each is real."""
    for start in range(0, len(rows), BATCH):
        block = rows[start : start + BATCH]
        padding = [(0, BATCH - len(block))] + [(0, 0)] * (rows.ndim - 1)
        yield np.pad(block, padding), len(block)


def _loss(params: Any, images: Array, key: Any) -> Array:
    """Cross-entropy over all cells plus KL, in nats, mean over the batch."""
    noise_key, *dropout = jax.random.split(key, 3)
    encoder, decoder = ({"params": params[part]} for part in ("encoder", "decoder"))
    mean, logvar = _apply(_Encoder(), encoder, images, True, rngs={"dropout": dropout[0]})
    z = mean + jnp.exp(0.5 * logvar) * jax.random.normal(noise_key, mean.shape)
    logits = _apply(_Decoder(), decoder, z, True, rngs={"dropout": dropout[1]})
    entropy = optax.sigmoid_binary_cross_entropy(logits, images).sum(axis=(1, 2))
    divergence = 0.5 * jnp.sum(jnp.exp(logvar) + mean**2 - 1.0 - logvar, axis=-1)
    return jnp.mean(entropy + divergence)


def _apply(module: nn.Module, *arguments: Any, **more: Any) -> Any:
    return module.apply(*arguments, **more)  # Linen's own type is a union that no caller can use


def _optimiser() -> optax.GradientTransformation:
    return optax.adam(LEARNING_RATE, eps=EPSILON)


@jax.jit
def _init(key: Any) -> Any:
    encoder_key, decoder_key = jax.random.split(key)
    image, z = jnp.zeros((1, AUDIO.n_frames, AUDIO.n_mels)), jnp.zeros((1, LATENT))
    return {
        "encoder": _Encoder().init(encoder_key, image, False)["params"],
        "decoder": _Decoder().init(decoder_key, z, False)["params"],
    }


@functools.partial(jax.jit, donate_argnums=(0, 1))
def _step(params: Any, state: Any, images: Array, key: Any) -> tuple[Any, Any, Array]:
    loss, gradient = jax.value_and_grad(_loss)(params, images, key)
    updates, state = _optimiser().update(gradient, state)
    return optax.apply_updates(params, updates), state, loss


@jax.jit
def _encode(params: Any, images: Array) -> Array:
    return _apply(_Encoder(), {"params": params["encoder"]}, images, False)[0]


@jax.jit
def _decode(params: Any, z: Array) -> Array:
    return nn.sigmoid(_apply(_Decoder(), {"params": params["decoder"]}, z, False))
