"""The variational autoencoder: one latent vector per clip.

The latent space starts as the whitened principal components of the data set: encoder and decoder
are that linear map plus networks whose last layers start at zero, so training starts at the
quality of the linear map and can only improve on it. All calls of Linen stay in this file. The
names of the submodules are those of the parameters in checkpoints and exported models.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Float, Int

from sst.config import Config, ModelConfig
from sst.dsp.features import ATTACK_FLOOR_DB
from sst.model import companding, frames, losses, pca
from sst.model.pca import Stats
from sst.types import Array, Batch, Features, Key

Params = dict[str, Any]

# Of the search encoder: channels, kernel size and strides (frames, bands) of each convolution.
SEARCH_CONVOLUTIONS = ((16, (3, 9), (1, 4)), (32, (3, 3), (2, 2)), (48, (3, 3), (2, 2)))
SEARCH_BLOCKS = 2  # after them
DROPOUT = 0.2  # before the last layer of the search encoder, in training
INITIAL_LOG_STD = -1.5  # of the posterior, in units of the data's own standard deviation
NETWORKS = ("encoder", "decoder", "search")  # the parameters that are of a network


class Decoded(NamedTuple):
    """The decoded spectrograms, lengths, levels and attacks of some sounds."""

    log_mel: Float[Array, "b t m"]  # dB in [floor_db, 0]; floor_db after n_frames
    n_frames: Int[Array, " b"]
    peak_db: Float[Array, " b"]
    attack: Float[Array, "b a"]  # dB relative to the power of a wave that stays at its peak


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


class _Convolution(nn.Module):
    """Computes `nn.Conv` as one matrix product of all patches.

    XLA on CPU (jax 0.10) computes a convolution inside a loop, such as that over several steps of
    training, 20 times as slowly as outside.
    """

    channels: int
    window: tuple[int, int]
    strides: tuple[int, int]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        *_, high, wide, deep = x.shape
        shape = (*self.window, deep, self.channels)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.channels,))
        pads = jax.lax.padtype_to_pads((high, wide), self.window, self.strides, "SAME")
        padded = jnp.pad(x, ((0, 0), *pads, (0, 0)))
        (down, along), (rows, columns) = self.strides, self.window
        patches = [
            padded[:, i::down, j::along][:, : -(-high // down), : -(-wide // along)]
            for i in range(rows)
            for j in range(columns)
        ]
        return jnp.concatenate(patches, axis=-1) @ kernel.reshape(-1, self.channels) + bias


class _Encoder(nn.Module):
    """Cells and aux (length, level, attack) -> corrections to the mean and to the log-variances."""

    config: ModelConfig

    @nn.compact
    def __call__(self, cells: Array, aux: Array) -> tuple[Array, Array]:
        cfg = self.config
        x = nn.Dense(cfg.width)(frames.fold(cells, cfg.fold)) + nn.Dense(cfg.width)(aux)[:, None]
        for i in range(cfg.encoder_blocks):
            x = _Block()(x)
            if i + 1 < cfg.encoder_blocks:
                x = nn.Dense(cfg.width)(frames.fold(x, 2))
        x = nn.LayerNorm()(x)
        x = nn.Dense(16)(x).reshape(x.shape[0], -1)
        x = nn.LayerNorm()(jnp.concatenate([x, aux], axis=-1))
        x = nn.gelu(nn.Dense(2 * cfg.width)(x))
        out = nn.Dense(2 * cfg.latent_dim, kernel_init=nn.initializers.zeros)(x)
        mean, logvar = jnp.split(out, 2, axis=-1)
        return mean, logvar


class _Decoder(nn.Module):
    """The linear reconstruction and the latent -> corrections to the cells and to the aux."""

    config: ModelConfig

    @nn.compact
    def __call__(self, cells: Array, z: Array) -> tuple[Array, Array]:
        cfg, (b, t, m) = self.config, cells.shape
        x = frames.fold(cells, cfg.fold)
        place = self.param("place", nn.initializers.normal(0.1), (x.shape[1], cfg.width))
        x = nn.Dense(cfg.width)(x) + nn.Dense(cfg.width)(z)[:, None] + place
        for _ in range(cfg.decoder_blocks):
            x = _Block()(x)
            shift = nn.Dense(2 * cfg.width, kernel_init=nn.initializers.normal(0.02))(z)
            gain, bias = jnp.split(shift[:, None], 2, axis=-1)
            x = x * (1.0 + gain) + bias
        x = nn.Dense(cfg.fold * m, kernel_init=nn.initializers.zeros)(nn.LayerNorm()(x))
        hidden = nn.gelu(nn.Dense(cfg.width)(z))
        aux = nn.Dense(pca.AUX_SIZE, kernel_init=nn.initializers.zeros)(hidden)
        return x.reshape(b, -1, m)[:, :t], aux


class SearchEncoder(nn.Module):
    """A metric-learning CNN: log-mel averaged over spans, length and attack -> search vector.

    Its input is the clip and not the latent: classes differ in details finer in time than the
    encoder's folds, which the latent may lose without a loss in reconstruction. The convolutions
    run along the bands, too, so that a pattern learned at one pitch is recognised at others.
    """

    config: ModelConfig

    @nn.compact
    def __call__(self, cells: Array, aux: Array, dropout: Key | None = None) -> Array:
        """Returns [b, search_dim], not normalised, for spans [b, s, m] and length and attack."""
        width = self.config.search_width
        x = cells[..., None]
        for i, (channels, window, strides) in enumerate(SEARCH_CONVOLUTIONS):
            x = nn.gelu(_Convolution(channels, window, strides, name=f"Conv_{i}")(x))
        x = x.reshape(*x.shape[:2], -1)
        place = self.param("place", nn.initializers.normal(0.1), (x.shape[1], width))
        x = nn.Dense(width)(x) + nn.Dense(width)(aux)[:, None] + place
        for _ in range(SEARCH_BLOCKS):
            x = _Block()(x)
        x = nn.LayerNorm()(x)
        x = jnp.concatenate([x.mean(axis=1), frames.max_over_time(x), x[:, 0], aux], axis=-1)
        x = nn.gelu(nn.Dense(2 * width)(x))
        if dropout is not None:
            kept = jax.random.bernoulli(dropout, 1.0 - DROPOUT, x.shape)
            x = jnp.where(kept, x / (1.0 - DROPOUT), 0.0)
        return nn.Dense(self.config.search_dim)(x)


@functools.partial(jax.jit, static_argnames=("config", "n_classes"))  # else op by op: seconds
def init(key: Key, config: Config, stats: Stats, n_classes: int = 0) -> Params:
    """Returns fresh parameters; `prototypes` [c, e] are the directions of the labelled classes."""
    encoder_key, decoder_key, search_key, class_key = jax.random.split(key, 4)
    cells = jnp.zeros((1, config.audio.n_frames, config.audio.n_mels))
    spans = jnp.matmul(frames.span_weights(config.audio.n_frames), cells)
    z, aux = jnp.zeros((1, config.model.latent_dim)), jnp.zeros((1, pca.AUX_SIZE))
    search = SearchEncoder(config.model)
    params = {
        "encoder": _Encoder(config.model).init(encoder_key, cells, aux)["params"],
        "decoder": _Decoder(config.model).init(decoder_key, cells, z)["params"],
        "search": search.init(search_key, spans, _without_level(aux))["params"],
    }
    if n_classes:
        shape = (n_classes, config.model.search_dim)
        params["prototypes"] = jax.random.normal(class_key, shape)
    return params


def encode(
    params: Params, stats: Stats, features: Features | Batch, config: Config
) -> tuple[Float[Array, "b z"], Float[Array, "b z"]]:
    """Returns mean and log-variance of the posterior, in as many dimensions as `stats` has."""
    z, aux = pca.project(features, stats, config)
    kept = slice(z.shape[1])
    cells = frames.pad_to_multiple(_network_input(features, config), config.model.fold)
    correction, logvar = _apply(_Encoder(config.model), params["encoder"], cells, aux)
    return z + correction[:, kept], jnp.clip(logvar[:, kept] + 2 * INITIAL_LOG_STD, -12.0, 2.0)


def decode(params: Params, stats: Stats, z: Float[Array, "b z"], config: Config) -> Decoded:
    """Returns the spectrogram, length, level and attack of the sounds at some latents."""
    cells, aux = decode_cells(params, stats, z, config)
    total = config.audio.n_frames
    n_frames = jnp.clip(jnp.round(jnp.exp2(aux[:, 0])), 1, total).astype(jnp.int32)
    inside = (jnp.arange(total) < n_frames[:, None])[..., None]
    log_mel = jnp.where(inside, companding.expand(cells, config), config.audio.floor_db)
    attack = jnp.clip(aux[:, 2:], ATTACK_FLOOR_DB, 0.0)
    return Decoded(log_mel, n_frames, jnp.minimum(aux[:, 1], 0.0), attack)


def decode_cells(
    params: Params, stats: Stats, z: Float[Array, "b z"], config: Config
) -> tuple[Float[Array, "b t m"], Float[Array, "b a"]]:
    """Returns the decoder's output before it is cut to its range: companded cells, and aux."""
    cells, aux = pca.restore(z, stats, config)
    scaled = _scale(cells, config)
    more_cells, more_aux = _apply(_Decoder(config.model), params["decoder"], scaled, z)
    return cells - 0.5 * companding.lowest(config) * more_cells, aux + more_aux


def embed(
    params: Params, stats: Stats, features: Features | Batch, config: Config
) -> Float[Array, "b e"]:
    """Returns the unit vectors that search compares: e is 2 * search_dim, or less at small latents.

    One part is learned: sounds of one class, and variations of one sound, lie together. The other
    is the start of the latent itself, half-whitened: in the latent every direction has the same
    standard deviation, so that the many weak ones, which are mostly the accidents of single
    sounds, outvote the few that tell sounds apart; multiplying by the square root of the original
    standard deviation lies between that and no whitening. More directions than the learned part
    has change nothing in the results.

    Neither part depends on the level: every clip counts as being as loud as the average one.
    """
    average = jnp.full(len(features.log_mel), stats["aux_mean"][1])
    features = features._replace(peak_db=average)
    size = config.model.search_dim
    first: Stats = {
        **stats,
        "basis": stats["basis"][:size],
        "component_std": stats["component_std"][:size],
    }
    z, _ = encode(params, first, features, config)
    plain = unit(z * jnp.sqrt(first["component_std"]))
    learned = search_vectors(params, stats, features, config)
    # Learned from variations alone, without labels, it tells classes apart worse than the latent.
    share = config.model.search_share if "prototypes" in params else 0.0
    return jnp.concatenate([np.sqrt(share) * learned, np.sqrt(1.0 - share) * plain], axis=-1)


def class_logits(
    params: Params, stats: Stats, features: Features | Batch, config: Config
) -> Float[Array, "b c"]:
    """Returns the logits of the classes; only with `prototypes` among the parameters.

    They do not depend on the level.
    """
    vectors = search_vectors(params, stats, features, config)
    return losses.cosine_logits(vectors, unit(params["prototypes"]))


def search_vectors(
    params: Params,
    stats: Stats,
    features: Features | Batch,
    config: Config,
    dropout: Key | None = None,
) -> Float[Array, "b e"]:
    """Returns the learned part of `embed`, unit vectors; a key turns dropout on."""
    aux = pca.centred_aux(features, stats) * pca.AUX_UNITS
    cells, encoder = _network_input(features, config), SearchEncoder(config.model)
    cells = jnp.matmul(frames.span_weights(cells.shape[1]), cells)
    return unit(_apply(encoder, params["search"], cells, _without_level(aux), dropout=dropout))


def unit(x: Float[Array, "b e"]) -> Float[Array, "b e"]:
    """Scales each row to length 1; a row of zeros stays so."""
    return x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-9)


def cast(params: Params, precision: str) -> Params:
    """Casts the parameters of the networks, which then compute in that precision."""
    of_networks = {name: params[name] for name in NETWORKS}
    return params | jax.tree.map(lambda x: x.astype(precision), of_networks)


def _apply(network: nn.Module, params: Params, *inputs: Array, **rest: Any) -> Any:
    """Applies a network in the precision of its parameters; inputs and outputs are float32."""
    precision = jax.tree.leaves(params)[0].dtype
    outputs = network.apply({"params": params}, *(x.astype(precision) for x in inputs), **rest)
    return jax.tree.map(lambda x: x.astype(jnp.float32), outputs)


def _without_level(aux: Array) -> Array:
    """Returns length and attack."""
    return jnp.concatenate([aux[:, :1], aux[:, 2:]], axis=-1)


def _network_input(features: Features | Batch, config: Config) -> Array:
    """Returns companded spectrograms scaled to [-1, 1]."""
    return _scale(companding.compand(features.log_mel, config), config)


def _scale(cells: Array, config: Config) -> Array:
    """Scales companded cells to [-1, 1]."""
    return 1.0 - 2.0 * cells / companding.lowest(config)
