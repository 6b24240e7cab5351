"""A linear autoencoder with the interface of sst.model.model: compiles in a moment."""

import jax
import jax.numpy as jnp
import numpy as np

from sst.dsp.features import ATTACK_POINTS
from sst.model.model import Decoded


def data_stats(clips, config):
    return {"mean": clips.log_mel.astype(np.float32).mean(axis=0)}


def init(key, config, stats, n_classes=0):
    size = config.audio.n_frames * config.audio.n_mels
    down, up = jax.random.split(key)
    z = config.model.latent_dim
    return {
        "down": {"kernel": jax.random.normal(down, (size, z)) / size},
        "up": {"kernel": jax.random.normal(up, (z, size)) / z},
    }


def encode(params, stats, batch, config):
    cells = (batch.log_mel - stats["mean"]).reshape(len(batch.log_mel), -1) / 20.0
    mean = cells @ params["down"]["kernel"]
    return mean, jnp.full_like(mean, -6.0)


def embed(params, stats, batch, config):
    return encode(params, stats, batch, config)[0]


def decode(params, stats, z, config):
    cells = 20.0 * (z @ params["up"]["kernel"])
    log_mel = cells.reshape(len(z), config.audio.n_frames, config.audio.n_mels) + stats["mean"]
    frames = jnp.full(len(z), config.audio.n_frames)
    return Decoded(log_mel, frames, jnp.zeros(len(z)), jnp.zeros((len(z), ATTACK_POINTS)))


def objective(params, stats, batch, key, config, train=False):
    """Without noise, so that the number of devices cannot matter."""
    mean, _ = encode(params, stats, batch, config)
    off = decode(params, stats, mean, config).log_mel - batch.log_mel
    recon = jnp.mean(jnp.square(off), axis=(1, 2)) / 100.0
    size = 1e-3 * jnp.sum(jnp.square(mean), axis=-1)
    return recon + size, {"recon_db": recon, "size": size}


def noisy_objective(params, stats, batch, key, config, train=False):
    loss, terms = objective(params, stats, batch, key, config)
    return loss + 0.1 * jax.random.normal(key, loss.shape) * loss, terms
