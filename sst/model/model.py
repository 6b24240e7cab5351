"""The variational autoencoder: one latent vector per clip.

The latent space starts as the whitened principal components of the data set: encoder and decoder
are that linear map plus networks that begin at zero, so training starts at the quality of the
linear map and can only be asked for more. All calls of Linen stay in this file.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Float, Int

from sst.config import Config, LossConfig, ModelConfig
from sst.dsp.features import ATTACK_FLOOR_DB
from sst.model import augment, companding, losses, pca
from sst.model.pca import Stats
from sst.types import Array, Batch, Features, Key

Params = dict[str, Any]

AFTER_ATTACK = 0.1  # weight of the envelope after its peak, where the spectrogram says enough
TAIL_FRAMES = 8  # trained on after the end of a sound: it has to stop
SPANS = 32  # of time that the search hears, a frame each at the onset and longer and longer after
# Of the search: channels, frames and bands that each convolution sees, and its steps along both.
CONVOLUTIONS = ((16, (3, 9), (1, 4)), (32, (3, 3), (2, 2)), (48, (3, 3), (2, 2)))
SEARCH_BLOCKS = 2  # after them
DROPOUT = 0.2  # of what the search direction is made from, in training
SMOOTHING = 0.1  # of the labels
LOG_STD_START = -1.5  # of the posterior, in units of the data's own spread
NETWORKS = ("encoder", "decoder", "search")  # the parameters that are theirs


data_stats = pca.data_stats  # what training asks a model for first


class Decoded(NamedTuple):
    """What a latent vector says about a sound."""

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
    """What `nn.Conv` is, as one matrix product of all patches.

    XLA on CPU (jax 0.10) computes a convolution inside a loop, such as that over several steps of
    training, 20 times as slowly as outside.
    """

    channels: int
    window: tuple[int, int]
    steps: tuple[int, int]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        *_, high, wide, deep = x.shape
        shape = (*self.window, deep, self.channels)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.channels,))
        pads = jax.lax.padtype_to_pads((high, wide), self.window, self.steps, "SAME")
        padded = jnp.pad(x, ((0, 0), *pads, (0, 0)))
        (down, along), (rows, columns) = self.steps, self.window
        patches = [
            padded[:, i::down, j::along][:, : -(-high // down), : -(-wide // along)]
            for i in range(rows)
            for j in range(columns)
        ]
        return jnp.concatenate(patches, axis=-1) @ kernel.reshape(-1, self.channels) + bias


class _Encoder(nn.Module):
    """Log-mel, level, length and attack -> corrections to the mean and to the log-variances."""

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
        x = nn.LayerNorm()(jnp.concatenate([x, aux], axis=-1))
        x = nn.gelu(nn.Dense(2 * cfg.width)(x))
        out = nn.Dense(2 * cfg.latent_dim, kernel_init=nn.initializers.zeros)(x)
        mean, logvar = jnp.split(out, 2, axis=-1)
        return mean, logvar


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
        aux = nn.Dense(pca.AUX_SIZE, kernel_init=nn.initializers.zeros)(hidden)
        return x.reshape(b, -1, m)[:, :t], aux


class _Listener(nn.Module):
    """Log-mel of spans, length and attack -> directions in which sounds of one kind lie together.

    It hears the clip and not the latent: what tells kinds apart is finer in time than what the
    encoder folds together, and may be lost in the latent without being missed in the sound. What
    it learns at one pitch it knows at the others: convolutions go along the bands, too.
    """

    config: ModelConfig

    @nn.compact
    def __call__(self, cells: Array, shape: Array, dropout: Key | None = None) -> Array:
        width = self.config.search_width
        x = cells[..., None]
        for i, (channels, window, steps) in enumerate(CONVOLUTIONS):
            x = nn.gelu(_Convolution(channels, window, steps, name=f"Conv_{i}")(x))
        x = x.reshape(*x.shape[:2], -1)
        place = self.param("place", nn.initializers.normal(0.1), (x.shape[1], width))
        x = nn.Dense(width)(x) + nn.Dense(width)(shape)[:, None] + place
        for _ in range(SEARCH_BLOCKS):
            x = _Block()(x)
        x = nn.LayerNorm()(x)
        x = jnp.concatenate([x.mean(axis=1), _largest(x), x[:, 0], shape], axis=-1)
        x = nn.gelu(nn.Dense(2 * width)(x))
        if dropout is not None:
            kept = jax.random.bernoulli(dropout, 1.0 - DROPOUT, x.shape)
            x = jnp.where(kept, x / (1.0 - DROPOUT), 0.0)
        return nn.Dense(self.config.search_dim)(x)


def init(key: Key, config: Config, stats: Stats, n_classes: int = 0) -> Params:
    """Fresh parameters; `prototypes` are the directions of the classes that labels name."""
    encoder_key, decoder_key, search_key, class_key = jax.random.split(key, 4)
    cells = jnp.zeros((1, config.audio.n_frames, config.audio.n_mels))
    spans = jnp.matmul(_spans(config.audio.n_frames), cells)
    z, aux = jnp.zeros((1, config.model.latent_dim)), jnp.zeros((1, pca.AUX_SIZE))
    params = {
        "encoder": _Encoder(config.model).init(encoder_key, cells, aux)["params"],
        "decoder": _Decoder(config.model).init(decoder_key, cells, z)["params"],
        "search": _Listener(config.model).init(search_key, spans, _shape(aux))["params"],
    }
    if n_classes:
        shape = (n_classes, config.model.search_dim)
        params["prototypes"] = jax.random.normal(class_key, shape)
    return params


def encode(
    params: Params, stats: Stats, heard: Features | Batch, config: Config
) -> tuple[Float[Array, "b z"], Float[Array, "b z"]]:
    """Mean and log-variance of the posterior: as many of both as `stats` has directions."""
    z, aux = pca.project(heard, stats, config)
    kept = slice(z.shape[1])
    cells = _whole_folds(_heard(heard, config), config.model.fold)
    correction, logvar = _run(_Encoder(config.model), params["encoder"], cells, aux)
    return z + correction[:, kept], jnp.clip(logvar[:, kept] + 2 * LOG_STD_START, -12.0, 2.0)


def decode(params: Params, stats: Stats, z: Float[Array, "b z"], config: Config) -> Decoded:
    """The sound at `z`, as a spectrogram, a level and a length."""
    cells, aux = _decode_raw(params, stats, z, config)
    total = config.audio.n_frames
    n_frames = jnp.clip(jnp.round(jnp.exp2(aux[:, 0])), 1, total).astype(jnp.int32)
    inside = (jnp.arange(total) < n_frames[:, None])[..., None]
    log_mel = jnp.where(inside, companding.expand(cells, config), config.audio.floor_db)
    attack = jnp.clip(aux[:, 2:], ATTACK_FLOOR_DB, 0.0)
    return Decoded(log_mel, n_frames, jnp.minimum(aux[:, 1], 0.0), attack)


def embed(
    params: Params, stats: Stats, heard: Features | Batch, config: Config
) -> Float[Array, "b e"]:
    """The unit vectors that search compares: [b, 2 * search_dim], or less of a smaller latent.

    One part is learned: sounds of one kind, and variations of one sound, lie together. The other
    is the start of the latent itself, half-whitened: the latent gives every direction the same
    spread, so that the many weak ones, which are mostly the accidents of single sounds, outvote
    the few that tell sounds apart; the square root of the original spread is between that and no
    whitening. More directions than the learned part has change nothing that is found.

    Neither part hears the level: every clip counts as being as loud as the average one.
    """
    average = jnp.full(len(heard.log_mel), stats["aux_mean"][1])
    heard = heard._replace(peak_db=average)
    first = {name: stats[name][: config.model.search_dim] for name in ("basis", "spread")}
    z, _ = encode(params, stats | first, heard, config)
    plain = _unit(z * jnp.sqrt(first["spread"]))
    learned = _search_direction(params, stats, heard, config)
    # Learned from variations alone, without labels, it tells kinds apart worse than the latent.
    share = config.model.search_share if "prototypes" in params else 0.0
    return jnp.concatenate([np.sqrt(share) * learned, np.sqrt(1.0 - share) * plain], axis=-1)


def class_logits(
    params: Params, stats: Stats, heard: Features | Batch, config: Config
) -> Float[Array, "b c"]:
    """What training makes of the classes of sounds; only with `prototypes` among the parameters.

    The level plays no part in it.
    """
    direction = _search_direction(params, stats, heard, config)
    return losses.nearness(direction, _unit(params["prototypes"]))


def _search_direction(
    params: Params, stats: Stats, heard: Features | Batch, config: Config, key: Key | None = None
) -> Array:
    """The learned part of `embed`; a key is one of the dropout."""
    aux = pca.away_of(heard, stats) * pca.AUX_UNITS
    cells, network = _heard(heard, config), _Listener(config.model)
    cells = jnp.matmul(_spans(cells.shape[1]), cells)
    return _unit(_run(network, params["search"], cells, _shape(aux), dropout=key))


def _shape(aux: Array) -> Array:
    """Length and attack: `aux` without the level."""
    return jnp.concatenate([aux[:, :1], aux[:, 2:]], axis=-1)


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
        train: varies the clips first (`augment.vary`), and lets the networks compute in
            `config.model.precision`. Without it, and everywhere else, they do so in float32.
    """
    if train:
        params = _lowered(params, config.model.precision)
    second = dropout = other_dropout = None
    if train and key is not None:
        first_key, second_key, copy_key, dropout, other_dropout, key = jax.random.split(key, 6)
        second = augment.vary(batch, second_key, config.audio)
        second = augment.degrade(second, copy_key, config.audio)
        batch = augment.vary(batch, first_key, config.audio)
    mean, logvar = encode(params, stats, batch, config)
    noise = 0.0 if key is None else jnp.exp(0.5 * logvar) * jax.random.normal(key, mean.shape)
    terms = _reconstruction_terms(params, stats, batch, mean + noise, config)
    terms["kl_nats"] = losses.kl_to_standard_normal(mean, logvar)
    direction = _search_direction(params, stats, batch, config, dropout)
    terms["class_nats"] = _class_term(params, direction, batch.label)
    weights = _term_weights(config.loss)
    loss = sum(weight * terms[name] for name, weight in weights.items())
    # The term says how much is sent; only what is above the free share is pulled down.
    loss += config.loss.kl * losses.kl_to_standard_normal(mean, logvar, config.loss.free_nats)
    if second is not None:
        # Not a part of evaluations: its value depends on which rows are compared with which.
        other = _search_direction(params, stats, second, config, other_dropout)
        terms["search_nats"] = losses.contrastive([direction, other], batch.label, batch.mask)
        loss += config.loss.search * terms["search_nats"]
    return loss, terms


def _term_weights(loss: LossConfig) -> dict[str, float]:
    return {
        "recon": 1.0,
        "delta": loss.delta,
        "tail": loss.tail,
        "length_octaves": loss.length,
        "level_db": loss.level,
        "attack_db": loss.attack,
        "class_nats": loss.search,
    }


def _reconstruction_terms(
    params: Params, stats: Stats, batch: Batch, z: Array, config: Config
) -> dict[str, Array]:
    """How far the sound decoded at `z` is from the batch, term by term, each [b]."""
    cells, aux = _decode_raw(params, stats, z, config)
    depth = -companding.lowest(config)
    cells = _clip(cells / depth) * depth
    target = companding.compand(batch.log_mel, config)
    inside, after = losses.frame_weights(batch.n_frames, cells.shape[1], TAIL_FRAMES)
    off = jnp.abs(aux - pca.aux_of(batch))
    return {
        "recon": losses.weighted_l1(target, cells, inside),
        "delta": losses.delta_l1(target, cells, inside),
        "tail": losses.weighted_l1(target, cells, after),
        # Not a part of the loss: what a person can compare.
        "recon_db": losses.weighted_l1(batch.log_mel, companding.expand(cells, config), inside),
        "length_octaves": off[:, 0],
        "level_db": off[:, 1],
        "attack_db": losses.weighted_mean(off[:, 2:], _attack_weights(batch.attack)),
    }


def _class_term(params: Params, direction: Array, label: Array) -> Array:
    """How badly the labels are known from the search directions, [b]; 0 without classes."""
    if "prototypes" not in params:
        return jnp.zeros(len(direction))
    return losses.class_surprise(direction, _unit(params["prototypes"]), label, SMOOTHING)


def _decode_raw(params: Params, stats: Stats, z: Array, config: Config) -> tuple[Array, Array]:
    cells, aux = pca.restore(z, stats, config)
    centred = _centred(cells, config)
    more_cells, more_aux = _run(_Decoder(config.model), params["decoder"], centred, z)
    return cells - 0.5 * companding.lowest(config) * more_cells, aux + more_aux


def _run(network: nn.Module, params: Params, *inputs: Array, **rest: Any) -> Any:
    """Applies a network in the precision of its parameters; inputs and answers are float32."""
    precision = jax.tree.leaves(params)[0].dtype
    answer = network.apply({"params": params}, *(x.astype(precision) for x in inputs), **rest)
    return jax.tree.map(lambda x: x.astype(jnp.float32), answer)


def _lowered(params: Params, precision: str) -> Params:
    """Parameters with which the networks compute in that precision; what is not theirs stays."""
    of_networks = {name: params[name] for name in NETWORKS}
    return params | jax.tree.map(lambda x: x.astype(precision), of_networks)


def _attack_weights(attack: Array) -> Array:
    """[b, a]: the rise counts, up to the first point within 1 dB of the peak; little after it."""
    loud = attack > jnp.max(attack, axis=-1, keepdims=True) - 1.0
    before = jnp.cumsum(loud, axis=-1) <= 1
    return jnp.where(before, 1.0, AFTER_ATTACK)


def _unit(x: Array) -> Array:
    return x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-9)


@jax.custom_vjp
def _clip(cells: Array) -> Array:
    """Values cut to [-1, 0]; gradients pass where they lead inside, and only there.

    Without the gradient a value outside would never come back; with all of it the differences
    along time and frequency would push values outside ever farther, at no cost.
    """
    return jnp.clip(cells, -1.0, 0.0)


def _clip_forward(cells: Array) -> tuple[Array, Array]:
    return _clip(cells), cells


def _clip_backward(cells: Array, gradient: Array) -> tuple[Array]:
    outwards = ((cells < -1.0) & (gradient > 0.0)) | ((cells > 0.0) & (gradient < 0.0))
    return (jnp.where(outwards, 0.0, gradient),)


_clip.defvjp(_clip_forward, _clip_backward)


def _heard(heard: Features | Batch, config: Config) -> Array:
    """What the networks hear of spectrograms, in [-1, 1]."""
    return _centred(companding.compand(heard.log_mel, config), config)


def _centred(cells: Array, config: Config) -> Array:
    """Companded cells brought to [-1, 1]."""
    return 1.0 - 2.0 * cells / companding.lowest(config)


def _whole_folds(cells: Array, size: int) -> Array:
    """Zero frames at the end, up to a multiple of `size`.

    XLA on CPU (jax 0.10) fuses a pad with the reshape that follows into loads beyond the end of
    its input. On an input buffer that can be the end of mapped memory: a crash, seen in threads.
    A gather with indices inside the array has no such loads.
    """
    t = cells.shape[1]
    frames = np.arange(t + -t % size)
    return jnp.where((frames < t)[:, None], cells[:, np.minimum(frames, t - 1)], 0.0)


@functools.cache
def _spans(n_frames: int) -> Float[np.ndarray, "s t"]:
    """Weights that average the frames of each span: what happens at the onset matters most."""
    n = min(SPANS, n_frames)
    part = np.arange(n + 1) / n
    edges = n * part + (n_frames - n) * part**4
    frames = np.arange(n_frames)
    shared = np.minimum(edges[1:, None], frames + 1.0) - np.maximum(edges[:-1, None], frames)
    return (np.maximum(shared, 0.0) / np.diff(edges)[:, None]).astype(np.float32)


def _largest(x: Array) -> Array:
    """The maximum over time, [b, t, c] -> [b, c], with a gradient that is always finite.

    The gradient of `max` shares itself among the cells that equal the maximum. XLA may compute `x`
    a second time for that, with other rounding, and then finds none: 0 / 0.
    """
    where = jnp.argmax(jax.lax.stop_gradient(x), axis=1, keepdims=True)
    return jnp.take_along_axis(x, where, axis=1)[:, 0]


def _fold(x: Array, size: int) -> Array:
    """[b, t, c] -> [b, ceil(t / size), size * c]: neighbouring frames become channels."""
    b, t, c = x.shape
    return jnp.pad(x, ((0, 0), (0, -t % size), (0, 0))).reshape(b, -1, size * c)
