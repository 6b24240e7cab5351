"""A small convolutional VAE on whole log-mel images, in the manner of SampleVAE.

Written from a description of what it does, to stand for it where both can be trained on the same
sounds: 16 kHz, 2 s, 128 bands x 126 frames, decibels relative to the sound's own maximum scaled
to 0..1, zeros after the end of the sound and no mask; convolutions with pooling down to 64 latents,
dense layers and transposed convolutions back; cross-entropy plus KL, Adam, batches of 64 drawn with
replacement, dropout; random sounds from N(0, I); Griffin-Lim with 10 iterations. The level is not
kept, nor the length: every sound comes back as 2 s.

What differs: no inverse autoregressive flows behind the encoder (its vectors for search were no
better for them); one mel basis for encoder and Griffin-Lim, where SampleVAE's differ and raise
every pitch by up to four semitones; a higher, falling learning rate (1e-3 there) and less dropout
(0.75 kept there), with which 400 steps end at the cross-entropy above its floor and the KL
where SampleVAE's 1,500 steps end, in a twentieth of the time.
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

from sst.batching import padded_batches
from sst.config import AudioConfig
from sst.dsp import features
from sst.evaluation.baselines import griffinlim
from sst.types import Array, Wave

AUDIO = AudioConfig(sample_rate=16_000, clip_seconds=2.0, n_fft=1024, hop=256, n_mels=128)
LATENT_DIM = 64
BATCH_SIZE = 64
STEPS = 400
LEARNING_RATE = 4e-3  # falling to 0 along a cosine
ADAM_EPSILON = 1e-4
KEEP_RATE = 0.9  # of the units that dropout leaves
HIDDEN_UNITS = 384  # of the dense layers
INITIAL_LOGIT = -2.0  # where the logits start: most of an image is empty
GRIFFIN_LIM_STEPS = 10
IMAGE_SIZE = 128  # of the image inside the network: its frames are filled up to it


class SampleVae(NamedTuple):
    """A trained VAE."""

    params: Any
    losses: Float[np.ndarray, " steps"]  # cross-entropy plus KL of each step, nats


class _Encoder(nn.Module):
    """Images [b, t, m] -> mean and log-variance of the posterior."""

    @nn.compact
    def __call__(self, x: Array, train: bool) -> tuple[Array, Array]:
        x = jnp.pad(x, ((0, 0), (0, -x.shape[1] % IMAGE_SIZE), (0, 0)))[..., None]
        x = _fold(x)  # a first stride of 2, which makes the widest layer four times cheaper
        for channels in (16, 32, 64):
            x = nn.elu(nn.Conv(channels, (3, 3))(x))
            b, t, m, c = x.shape
            x = x.reshape(b, t // 2, 2, m // 2, 2, c).max(axis=(2, 4))
        x = nn.Dropout(1.0 - KEEP_RATE, deterministic=not train)(x.reshape(len(x), -1))
        x = nn.elu(nn.Dense(HIDDEN_UNITS)(x))
        mean, logvar = jnp.split(nn.Dense(2 * LATENT_DIM)(x), 2, axis=-1)
        return mean, jnp.clip(logvar, -10.0, 4.0)


class _Decoder(nn.Module):
    """Latents -> logits of the images [b, t, m].

    The transposed convolutions are convolutions whose channels become neighbouring cells (Shi et
    al., 2016): the same maps, several times cheaper on a CPU.
    """

    @nn.compact
    def __call__(self, z: Array) -> Array:
        x = nn.elu(nn.Dense(HIDDEN_UNITS)(z))
        x = nn.elu(nn.Dense(8 * 8 * 64)(x)).reshape(-1, 8, 8, 64)
        for channels in (32, 16):
            x = nn.elu(_unfold(nn.Conv(4 * channels, (3, 3))(x)))
        x = _unfold(_unfold(nn.Conv(16, (3, 3))(x)))
        return x[:, : AUDIO.n_frames, :, 0] + INITIAL_LOGIT


def _fold(x: Array) -> Array:
    """Makes channels of neighbouring cells: [b, t, m, c] -> [b, t / 2, m / 2, 4 c]."""
    b, t, m, c = x.shape
    x = x.reshape(b, t // 2, 2, m // 2, 2, c).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, t // 2, m // 2, 4 * c)


def _unfold(x: Array) -> Array:
    """Inverts `_fold`."""
    b, t, m, c = x.shape
    x = x.reshape(b, t, m, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, 2 * t, 2 * m, c // 4)


def fit(waves: Sequence[Wave], sample_rate: int, seed: int = 0, steps: int = STEPS) -> SampleVae:
    """Trains a network on some sounds.

    Args:
        waves: [n] mono samples each, at any level; what comes after 2 s is cut.
        sample_rate: of all, in Hz.
        seed: of the weights, batches, noise and dropout.
        steps: batches of 64.
    """
    images = jnp.asarray(_images(waves, sample_rate))
    init_key, noise_key = jax.random.split(jax.random.key(seed))
    params = _init(init_key)
    optimiser = _optimiser(steps).init(params)
    rng = np.random.default_rng(seed)
    losses = []
    for step in range(steps):
        rows = rng.integers(0, len(images), BATCH_SIZE)
        key = jax.random.fold_in(noise_key, step)
        params, optimiser, loss = _step(params, optimiser, images[rows], key, steps)
        losses.append(float(loss))  # waits: each step under way holds its own working memory
    return SampleVae(params, np.asarray(losses, np.float32))


def reconstruct(vae: SampleVae, waves: Sequence[Wave], sample_rate: int) -> list[Wave]:
    """Reconstructs sounds: 2 s each, at `sample_rate` in Hz, peak 1."""
    decoded = _render(vae, embed(vae, waves, sample_rate))
    return [griffinlim.resample(wave, AUDIO.sample_rate, sample_rate) for wave in decoded]


def draw(vae: SampleVae, rng: np.random.Generator, n: int) -> tuple[list[Wave], int]:
    """Draws `n` sounds from N(0, I), 2 s each, peak 1; returns them and their rate in Hz."""
    return _render(vae, rng.standard_normal((n, LATENT_DIM)).astype(np.float32)), AUDIO.sample_rate


def embed(vae: SampleVae, waves: Sequence[Wave], sample_rate: int) -> Float[np.ndarray, "n z"]:
    """Returns the means of the posteriors, which search compares by Euclidean distance."""
    images = _images(waves, sample_rate)
    batches = padded_batches(len(images), BATCH_SIZE)
    parts = [_encode(vae.params, images[rows])[mask] for rows, mask in batches]
    return np.concatenate([np.zeros((0, LATENT_DIM), np.float32), *map(np.asarray, parts)])


def decode(vae: SampleVae, z: Float[np.ndarray, "n z"]) -> Float[np.ndarray, "n t m"]:
    """Decodes latents to log-mel spectrograms, dB in [-80, 0]."""
    batches = padded_batches(len(z), BATCH_SIZE)
    parts = [_decode(vae.params, z[rows])[mask] for rows, mask in batches]
    images = [np.zeros((0, AUDIO.n_frames, AUDIO.n_mels), np.float32), *map(np.asarray, parts)]
    return (np.concatenate(images) - 1.0) * -AUDIO.floor_db


def _images(waves: Sequence[Wave], sample_rate: int) -> Float[np.ndarray, "n t m"]:
    """Scales log-mels to 0 (the floor, and what comes after the end) .. 1 (the loudest cell)."""
    log_mels = []
    for wave in waves:
        start = wave[: round(AUDIO.clip_seconds * sample_rate) or 1]
        narrow = griffinlim.resample(start, sample_rate, AUDIO.sample_rate)
        log_mels.append(features.log_mel(narrow[: AUDIO.clip_samples], AUDIO))
    return 1.0 - features.pad(log_mels, AUDIO) / AUDIO.floor_db


def _render(vae: SampleVae, z: Float[np.ndarray, "n z"]) -> list[Wave]:
    waves = []
    for log_mel in decode(vae, z):
        wave = griffinlim.invert(log_mel, AUDIO, GRIFFIN_LIM_STEPS, AUDIO.clip_samples)
        waves.append(wave / max(float(np.max(np.abs(wave))), 1e-9))
    return waves


def _loss(params: Any, images: Array, key: Any) -> Array:
    """Returns cross-entropy over all cells plus KL, in nats, mean over the batch."""
    noise_key, dropout_key = jax.random.split(key)
    encoder, decoder = ({"params": params[part]} for part in ("encoder", "decoder"))
    mean, logvar = _apply(_Encoder(), encoder, images, True, rngs={"dropout": dropout_key})
    z = mean + jnp.exp(0.5 * logvar) * jax.random.normal(noise_key, mean.shape)
    logits = _apply(_Decoder(), decoder, z)
    entropy = optax.sigmoid_binary_cross_entropy(logits, images).sum(axis=(1, 2))
    divergence = 0.5 * jnp.sum(jnp.exp(logvar) + mean**2 - 1.0 - logvar, axis=-1)
    return jnp.mean(entropy + divergence)


def _apply(module: nn.Module, *arguments: Any, **more: Any) -> Any:
    return module.apply(*arguments, **more)  # Linen's own type is a union that no caller can use


def _optimiser(steps: int) -> optax.GradientTransformation:
    return optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps), eps=ADAM_EPSILON)


@jax.jit
def _init(key: Any) -> Any:
    encoder_key, decoder_key = jax.random.split(key)
    image, z = jnp.zeros((1, AUDIO.n_frames, AUDIO.n_mels)), jnp.zeros((1, LATENT_DIM))
    return {
        "encoder": _Encoder().init(encoder_key, image, False)["params"],
        "decoder": _Decoder().init(decoder_key, z)["params"],
    }


@functools.partial(jax.jit, donate_argnums=(0, 1), static_argnames="steps")
def _step(params: Any, state: Any, images: Array, key: Any, steps: int) -> tuple[Any, Any, Array]:
    loss, gradient = jax.value_and_grad(_loss)(params, images, key)
    updates, state = _optimiser(steps).update(gradient, state)
    return optax.apply_updates(params, updates), state, loss


@jax.jit
def _encode(params: Any, images: Array) -> Array:
    return _apply(_Encoder(), {"params": params["encoder"]}, images, False)[0]


@jax.jit
def _decode(params: Any, z: Array) -> Array:
    return nn.sigmoid(_apply(_Decoder(), {"params": params["decoder"]}, z))
