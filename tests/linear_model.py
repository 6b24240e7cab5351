"""A linear autoencoder in place of the VAE: it compiles in a moment."""

import jax
import jax.numpy as jnp
import numpy as np

from sst.dsp.features import ATTACK_POINTS
from sst.model.functions import ModelFunctions
from sst.model.network import Decoded


def _data_stats(clips, config):
    return {"mean": clips.log_mel.astype(np.float32).mean(axis=0)}


def _init(key, config, stats, n_classes=0):
    size = config.audio.n_frames * config.audio.n_mels
    down, up = jax.random.split(key)
    z = config.model.latent_dim
    return {
        "down": {"kernel": jax.random.normal(down, (size, z)) / size},
        "up": {"kernel": jax.random.normal(up, (z, size)) / z},
    }


def _encode(params, stats, features, config):
    cells = (features.log_mel - stats["mean"]).reshape(len(features.log_mel), -1) / 20.0
    mean = cells @ params["down"]["kernel"]
    return mean, jnp.full_like(mean, -6.0)


def _embed(params, stats, features, config):
    return _encode(params, stats, features, config)[0]


def _class_logits(params, stats, features, config):
    raise AssertionError("a model without prototypes has no classes")


def _decode(params, stats, z, config):
    cells = 20.0 * (z @ params["up"]["kernel"])
    log_mel = cells.reshape(len(z), config.audio.n_frames, config.audio.n_mels) + stats["mean"]
    frames = jnp.full(len(z), config.audio.n_frames)
    return Decoded(log_mel, frames, jnp.zeros(len(z)), jnp.zeros((len(z), ATTACK_POINTS)))


def objective(params, stats, batch, key, config, train=False):
    """Without noise, so that the number of devices cannot matter."""
    mean, _ = _encode(params, stats, batch, config)
    off = _decode(params, stats, mean, config).log_mel - batch.log_mel
    recon = jnp.mean(jnp.square(off), axis=(1, 2)) / 100.0
    size = 1e-3 * jnp.sum(jnp.square(mean), axis=-1)
    return recon + size, {"recon_db": recon, "size": size}


def noisy_objective(params, stats, batch, key, config, train=False):
    loss, terms = objective(params, stats, batch, key, config)
    return loss + 0.1 * jax.random.normal(key, loss.shape) * loss, terms


MODEL = ModelFunctions(
    init=_init,
    data_stats=_data_stats,
    encode=_encode,
    decode=_decode,
    embed=_embed,
    class_logits=_class_logits,
    objective=objective,
)
