"""Principal components of a data set: the linear map that the network starts from.

A row of it is a clip's cells (the padded log-mel, companded) and what these do not say: length in
octaves of frames, level in dB, and the attack envelope, each scaled to its share of the total
variance.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from sst.config import Config
from sst.dsp.features import ATTACK_POINTS
from sst.model import augment, companding
from sst.model.losses import FULL
from sst.types import Array, Batch, Features

Stats = dict[str, Any]  # mean, aux_mean, aux_scale, basis [z, cells + aux], spread [z]

PCA_CLIPS = 8192  # at most, variations included: 0.9 GB at 44.1 kHz
PCA_VIEWS = 5  # variations of each clip, as long as there is room for them
PCA_CHUNK = 64
AUX_SHARE = 0.01  # of the total variance, given to length and to level each
ATTACK_SHARE = 0.05  # given to the attack envelope
LOWEST_PEAK_DB = -60.0  # quieter counts as this
AUX_SIZE = 2 + ATTACK_POINTS
# Brings octaves and dB to the size of the cells.
AUX_UNITS = np.array([0.5, 0.1, *ATTACK_POINTS * [1 / 30]], np.float32)


def data_stats(clips: Any, config: Config) -> Stats:
    """The constants of a data set: mean, principal directions and their spread.

    Args:
        clips: the fields of `Features` for all n clips, as NumPy arrays.
        config: `model.latent_dim` directions are kept; what `n` cannot fill is zero.
    """
    from sklearn.utils.extmath import randomized_svd

    chosen = np.random.default_rng(config.seed).permutation(len(clips.log_mel))[:PCA_CLIPS]
    fields = ("log_mel", "n_frames", "peak_db", "attack")
    heard = Features(*(getattr(clips, name)[chosen].astype(np.float32) for name in fields))
    rows, aux_scale = _rows(heard, config)
    mean, n = rows.mean(axis=0), len(rows)
    # Variations of the sounds: directions that serve sounds which are not among them, too.
    views = min(PCA_VIEWS, PCA_CLIPS // n - 1)
    every = np.empty((n * (1 + views), len(mean)), np.float32)
    np.subtract(rows, mean, out=every[:n])
    for first, varied in _variations(heard, views, config):
        every[first : first + len(varied.log_mel)] = _rows(varied, config, aux_scale)[0] - mean
    rank = min(config.model.latent_dim, len(every) - 1, len(mean)) if n > 1 else 0
    basis = np.zeros((config.model.latent_dim, len(mean)), np.float32)
    spread = np.ones(config.model.latent_dim, np.float32)
    if rank > 0:
        _, singular, basis[:rank] = randomized_svd(every, rank, random_state=config.seed)
        # Of the variations, too: the sounds alone, if they are few, have no spread in directions
        # that other sounds will have.
        spread[:rank] = np.maximum(singular / np.sqrt(len(every)), 1e-3)
    cells = len(mean) - AUX_SIZE
    return {
        "mean": mean[:cells],
        "aux_mean": mean[cells:] / aux_scale,
        "aux_scale": aux_scale,
        "basis": basis,
        "spread": spread,
    }


def _rows(heard: Features, config: Config, aux_scale: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """What the components are fitted to, [n, cells + aux], and the scale of the aux columns."""
    cells = np.asarray(cells_of(heard, config))
    aux = np.asarray(aux_of(heard), np.float32)
    if aux_scale is None:
        energy = max(float(cells.var(axis=0).sum()), 1.0)
        variance = np.maximum(aux.var(axis=0), 1e-3)
        aux_scale = np.sqrt(AUX_SHARE * energy / variance)
        aux_scale[2:] = np.sqrt(ATTACK_SHARE * energy / variance[2:].sum())
        aux_scale = aux_scale.astype(np.float32)
    return np.concatenate([cells, aux * aux_scale], axis=1), aux_scale


def _variations(heard: Features, views: int, config: Config) -> Iterator[tuple[int, Features]]:
    """The clips varied `views` times, in parts, each with its place behind the clips themselves."""
    vary = jax.jit(augment.vary, static_argnames="audio")
    n = len(heard.log_mel)
    for view in range(views):
        key = jax.random.fold_in(jax.random.key(config.seed), view)
        for start in range(0, n, PCA_CHUNK):
            rows = np.minimum(np.arange(start, start + PCA_CHUNK), n - 1)  # one shape: one program
            part = Features(*(field[rows] for field in heard))
            none = np.full(PCA_CHUNK, -1, np.int32)
            batch = Batch(*part, none, np.ones(PCA_CHUNK, bool))
            varied = vary(batch, jax.random.fold_in(key, start), audio=config.audio)
            fields = (np.asarray(getattr(varied, name))[: n - start] for name in part._fields)
            yield n * (1 + view) + start, Features(*fields)


def project(
    heard: Features | Batch, stats: Stats, config: Config
) -> tuple[Float[Array, "b z"], Float[Array, "b a"]]:
    """The whitened components of clips, and length, level and attack in small numbers."""
    cells = cells_of(heard, config) - stats["mean"]
    away = away_of(heard, stats)
    rows = jnp.concatenate([cells, away * stats["aux_scale"]], axis=-1)
    # As a contraction: XLA on CPU would copy the transposed basis at every call, 20 times the work.
    codes = jnp.einsum("br,zr->bz", rows, stats["basis"], precision=FULL)
    return codes / stats["spread"], away * AUX_UNITS


def restore(
    z: Float[Array, "b z"], stats: Stats, config: Config
) -> tuple[Float[Array, "b t m"], Float[Array, "b a"]]:
    """The clips at whitened components: cells, companded, and length, level and attack."""
    linear = jnp.matmul(z * stats["spread"], stats["basis"], precision=FULL)
    of_cells, of_aux = jnp.split(linear, [stats["mean"].shape[0]], axis=-1)
    cells = (of_cells + stats["mean"]).reshape(len(z), config.audio.n_frames, config.audio.n_mels)
    return cells, of_aux / stats["aux_scale"] + stats["aux_mean"]


def cells_of(heard: Features | Batch, config: Config) -> Float[Array, "b c"]:
    """The companded spectrograms as rows."""
    return companding.compand(heard.log_mel, config).reshape(len(heard.log_mel), -1)


def away_of(heard: Features | Batch, stats: Stats) -> Float[Array, "b a"]:
    """`aux_of`, less its mean over the data set."""
    return aux_of(heard) - stats["aux_mean"]


def aux_of(heard: Features | Batch) -> Float[Array, "b a"]:
    """What the cells do not say: length in octaves of frames, level and attack in dB."""
    level = jnp.clip(heard.peak_db, LOWEST_PEAK_DB, 0.0)
    length = jnp.log2(jnp.asarray(heard.n_frames, jnp.float32))
    return jnp.concatenate([length[:, None], level[:, None], heard.attack], axis=-1)
