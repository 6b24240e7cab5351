"""The variational autoencoder: one latent vector per clip.

The latent space starts as the whitened principal components of the data set: encoder and decoder
are that linear map plus networks that begin at zero, so training starts at the quality of the
linear map and can only be asked for more. All calls of Linen stay in this file.
"""

from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Float, Int

from sst import augment, losses
from sst.config import AudioConfig, Config, ModelConfig
from sst.types import Array, Batch, Key

Params = dict[str, Any]
Stats = dict[str, Any]

PCA_CLIPS = 4096  # at most: more change nothing that can be heard
AUX_SHARE = 0.01  # of the total variance, given to level and to length each
LOWEST_PEAK_DB = -60.0  # quieter counts as this
AUX_UNITS = np.array([0.5, 0.1], np.float32)  # brings octaves and dB to the size of the cells
TAIL_FRAMES = 8  # trained on after the end of a sound: it has to stop
LOG_STD_START = -1.5  # of the posterior, in units of the data's own spread


class Decoded(NamedTuple):
    """What a latent vector says about a sound."""

    log_mel: Float[Array, "b t m"]  # dB in [floor_db, 0]; floor_db after n_frames
    n_frames: Int[Array, " b"]
    peak_db: Float[Array, " b"]


class _Block(nn.Module):
    """ConvNeXt (Liu et al., 2022) along time: depthwise 7, then two dense layers."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        width = x.shape[-1]
        taps = self.param("taps", nn.initializers.normal(0.2), (7, width))
        # Shifted multiply-adds are faster on CPU than a grouped convolution.
        padded = jnp.pad(x, ((0, 0), (3, 3), (0, 0)))
        y = sum(padded[:, i : i + x.shape[1]] * taps[i] for i in range(7))
        y = nn.Dense(2 * width)(nn.LayerNorm()(y))
        return x + self.param("scale", nn.initializers.constant(0.1), (width,)) * nn.Dense(width)(
            nn.gelu(y)
        )


class _Encoder(nn.Module):
    """Log-mel, frames inside, level and length -> a correction to the mean, and log-variances."""

    config: ModelConfig

    @nn.compact
    def __call__(self, cells: Array, aux: Array) -> tuple[Array, Array]:
        cfg = self.config
        x = nn.Dense(cfg.width)(_fold(cells, cfg.fold)) + nn.Dense(cfg.width)(aux)[:, None]
        for i in range(cfg.encoder_blocks):
            x = _Block()(x)
            if i + 1 < cfg.encoder_blocks:
                x = nn.Dense(cfg.width)(_fold(x, 2))
        x = nn.LayerNorm()(x)
        x = nn.Dense(16)(x).reshape(x.shape[0], -1)
        x = nn.gelu(nn.Dense(2 * cfg.width)(jnp.concatenate([x, aux], axis=-1)))
        out = nn.Dense(2 * cfg.latent_dim, kernel_init=nn.initializers.zeros)(x)
        mean, logvar = jnp.split(out, 2, axis=-1)
        return mean, jnp.clip(logvar + 2 * LOG_STD_START, -12.0, 2.0)


class _Decoder(nn.Module):
    """The linear reconstruction and the latent -> corrections to the cells, level and length."""

    config: ModelConfig

    @nn.compact
    def __call__(self, cells: Array, z: Array) -> tuple[Array, Array]:
        cfg, (b, t, m) = self.config, cells.shape
        x = _fold(cells, cfg.fold)
        place = self.param("place", nn.initializers.normal(0.1), (x.shape[1], cfg.width))
        x = nn.Dense(cfg.width)(x) + nn.Dense(cfg.width)(z)[:, None] + place
        for _ in range(cfg.decoder_blocks):
            x = _Block()(x)
            shift = nn.Dense(2 * cfg.width, kernel_init=nn.initializers.normal(0.02))(z)
            gain, bias = jnp.split(shift[:, None], 2, axis=-1)
            x = x * (1.0 + gain) + bias
        x = nn.Dense(cfg.fold * m, kernel_init=nn.initializers.zeros)(nn.LayerNorm()(x))
        hidden = nn.gelu(nn.Dense(cfg.width)(z))
        aux = nn.Dense(2, kernel_init=nn.initializers.zeros)(hidden)
        return x.reshape(b, -1, m)[:, :t], aux


def data_stats(
    log_mel: np.ndarray, n_frames: np.ndarray, peak_db: np.ndarray, config: Config
) -> Stats:
    """The constants of a data set: mean, principal directions and their spread.

    Args:
        log_mel: [n, t, m] dB, padded with the floor.
        n_frames: [n].
        peak_db: [n].
        config: `model.latent_dim` directions are kept; what `n` cannot fill is zero.
    """
    from sklearn.utils.extmath import randomized_svd

    chosen = np.random.default_rng(config.seed).permutation(len(log_mel))[:PCA_CLIPS]
    cells = log_mel[chosen].astype(np.float32).reshape(len(chosen), -1)
    aux = np.asarray(_aux(jnp.asarray(n_frames[chosen]), jnp.asarray(peak_db[chosen])))
    mean, aux_mean = cells.mean(axis=0), aux.mean(axis=0)
    cells -= mean
    energy = max(float(np.square(cells).sum(axis=1).mean()), 1.0)
    aux_scale = np.sqrt(AUX_SHARE * energy / np.maximum(aux.var(axis=0), 1e-3))
    rows = np.concatenate([cells, (aux - aux_mean) * aux_scale], axis=1)
    rank = min(config.model.latent_dim, len(rows) - 1, rows.shape[1])
    basis = np.zeros((config.model.latent_dim, rows.shape[1]), np.float32)
    spread = np.ones(config.model.latent_dim, np.float32)
    if rank > 0:
        _, sizes, basis[:rank] = randomized_svd(rows, rank, random_state=config.seed)
        spread[:rank] = np.maximum(sizes / np.sqrt(len(rows)), 1e-3)
    return {
        "mean": mean.astype(np.float32),
        "aux_mean": aux_mean.astype(np.float32),
        "aux_scale": aux_scale.astype(np.float32),
        "basis": basis,
        "spread": spread,
    }


def init(key: Key, config: Config, stats: Stats) -> Params:
    """Fresh parameters."""
    encoder_key, decoder_key = jax.random.split(key)
    cells = jnp.zeros((1, config.audio.n_frames, config.audio.n_mels))
    z, aux = jnp.zeros((1, config.model.latent_dim)), jnp.zeros((1, 2))
    return {
        "encoder": _Encoder(config.model).init(encoder_key, cells, aux)["params"],
        "decoder": _Decoder(config.model).init(decoder_key, cells, z)["params"],
    }


def encode(
    params: Params, stats: Stats, batch: Batch, config: Config
) -> tuple[Float[Array, "b z"], Float[Array, "b z"]]:
    """Mean and log-variance of the posterior."""
    aux = _aux(batch.n_frames, batch.peak_db)
    z, aux_scaled = _project(batch.log_mel, aux, stats)
    cells = _whole_folds(_centred(batch.log_mel, config.audio), config.model.fold)
    variables = {"params": params["encoder"]}
    correction, logvar = cast(Any, _Encoder(config.model).apply(variables, cells, aux_scaled))
    return z + correction, logvar


def decode(params: Params, stats: Stats, z: Float[Array, "b z"], config: Config) -> Decoded:
    """The sound at `z`, as a spectrogram, a level and a length."""
    cells, aux = _decode_raw(params, stats, z, config)
    total = config.audio.n_frames
    n_frames = jnp.clip(jnp.round(jnp.exp2(aux[:, 0])), 1, total).astype(jnp.int32)
    inside = (jnp.arange(total) < n_frames[:, None])[..., None]
    floor = config.audio.floor_db
    log_mel = jnp.where(inside, jnp.clip(cells, floor, 0.0), floor)
    return Decoded(log_mel, n_frames, jnp.minimum(aux[:, 1], 0.0))


def objective(
    params: Params, stats: Stats, batch: Batch, key: Key | None, config: Config, train: bool = False
) -> tuple[Float[Array, " b"], dict[str, Float[Array, " b"]]]:
    """The loss of every example and its terms; the batch's mask is left to the caller.

    Args:
        params: trained parameters.
        stats: constants from `data_stats`.
        batch: the clips.
        key: of the posterior's noise; None takes the mean.
        config: the run.
        train: varies the clips first (`augment.vary`).
    """
    if train and key is not None:
        vary_key, key = jax.random.split(key)
        batch = augment.vary(batch, vary_key, config.audio)
    mean, logvar = encode(params, stats, batch, config)
    noise = 0.0 if key is None else jnp.exp(0.5 * logvar) * jax.random.normal(key, mean.shape)
    cells, aux = _decode_raw(params, stats, mean + noise, config)
    cells = _clip_forward(cells, config.audio)
    inside, after = losses.frame_weights(batch.n_frames, cells.shape[1], TAIL_FRAMES)
    off = jnp.abs(aux - _aux(batch.n_frames, batch.peak_db))
    terms = {
        "recon_db": losses.weighted_l1(batch.log_mel, cells, inside),
        "delta_db": losses.delta_l1(batch.log_mel, cells, inside),
        "tail_db": losses.weighted_l1(batch.log_mel, cells, after),
        "length_octaves": off[:, 0],
        "level_db": off[:, 1],
        "kl_nats": losses.kl_to_standard_normal(mean, logvar),
    }
    weights = config.loss
    loss = (
        terms["recon_db"]
        + weights.delta * terms["delta_db"]
        + weights.tail * terms["tail_db"]
        + weights.length * terms["length_octaves"]
        + weights.level * terms["level_db"]
        + weights.kl * losses.kl_to_standard_normal(mean, logvar, weights.free_nats)
    )
    return loss, terms


def _decode_raw(params: Params, stats: Stats, z: Array, config: Config) -> tuple[Array, Array]:
    linear = (z * stats["spread"]) @ stats["basis"]
    cells = (linear[:, :-2] + stats["mean"]).reshape(
        len(z), config.audio.n_frames, config.audio.n_mels
    )
    aux = linear[:, -2:] / stats["aux_scale"] + stats["aux_mean"]
    more_cells, more_aux = _Decoder(config.model).apply(
        {"params": params["decoder"]}, _centred(cells, config.audio), z
    )
    return cells + _half_range(config.audio) * more_cells, aux + more_aux


def _project(log_mel: Array, aux: Array, stats: Stats) -> tuple[Array, Array]:
    cells = log_mel.reshape(len(log_mel), -1) - stats["mean"]
    away = (aux - stats["aux_mean"]) * stats["aux_scale"]
    rows = jnp.concatenate([cells, away], axis=-1)
    return (rows @ stats["basis"].T) / stats["spread"], (aux - stats["aux_mean"]) * AUX_UNITS


def _aux(n_frames: Array, peak_db: Array) -> Array:
    """Length in octaves of frames and level in dB, [b, 2]."""
    level = jnp.clip(peak_db, LOWEST_PEAK_DB, 0.0)
    return jnp.stack([jnp.log2(n_frames.astype(jnp.float32)), level], axis=-1)


def _clip_forward(cells: Array, audio: AudioConfig) -> Array:
    """Values cut to the valid range; gradients pass as if they were not."""
    return cells + jax.lax.stop_gradient(jnp.clip(cells, audio.floor_db, 0.0) - cells)


def _centred(log_mel: Array, audio: AudioConfig) -> Array:
    return log_mel / _half_range(audio) + 1.0


def _half_range(audio: AudioConfig) -> float:
    return -0.5 * audio.floor_db


def _whole_folds(cells: Array, size: int) -> Array:
    """Zero frames at the end, up to a multiple of `size`.

    XLA on CPU (jax 0.10) fuses a pad with the reshape that follows into loads beyond the end of
    its input. On an input buffer that can be the end of mapped memory: a crash, seen in threads.
    A gather with indices inside the array has no such loads.
    """
    t = cells.shape[1]
    frames = np.arange(t + -t % size)
    return jnp.where((frames < t)[:, None], cells[:, np.minimum(frames, t - 1)], 0.0)


def _fold(x: Array, size: int) -> Array:
    """[b, t, c] -> [b, ceil(t / size), size * c]: neighbouring frames become channels."""
    b, t, c = x.shape
    return jnp.pad(x, ((0, 0), (0, -t % size), (0, 0))).reshape(b, -1, size * c)
