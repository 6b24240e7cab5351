"""Principal components of a data set: the linear map that the network starts from.

A row of it is a clip's cells (the padded log-mel, companded) and its aux, which the cells lack:
length in octaves of frames, level in dB, and the attack envelope, each scaled to its share of the
total variance.
"""

from collections.abc import Iterator
from typing import Any, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from sst.batching import padded_batches
from sst.config import Config
from sst.dsp.features import ATTACK_POINTS
from sst.model import augment, companding
from sst.model.losses import FULL
from sst.types import Array, Batch, Features

PCA_CLIPS = 8192  # at most, variations included: 0.9 GB at 44.1 kHz
PCA_VIEWS = 5  # variations of each clip, as long as there is room for them
PCA_BATCH_SIZE = 64
AUX_SHARE = 0.01  # of the total variance, given to length and to level each
ATTACK_SHARE = 0.05  # given to the attack envelope
LOWEST_PEAK_DB = -60.0  # quieter sounds count as this
AUX_SIZE = 2 + ATTACK_POINTS
# Brings octaves and dB to the size of the cells.
AUX_UNITS = np.array([0.5, 0.1, *ATTACK_POINTS * [1 / 30]], np.float32)


class Stats(TypedDict):
    """The constants of a data set, in arrays of JAX or NumPy; c cells and a numbers of aux."""

    mean: Float[Any, " c"]  # of the companded cells
    aux_mean: Float[Any, " a"]
    aux_scale: Float[Any, " a"]  # aux times this has its share of the variance
    basis: Float[Any, "z c_a"]  # principal directions of [cells, aux * aux_scale], unit vectors
    component_std: Float[Any, " z"]  # standard deviation of the training clips along each


def data_stats(clips: Any, config: Config) -> Stats:
    """Estimates the constants of a data set: mean, principal directions, standard deviations.

    Args:
        clips: the fields of `Features` for all n clips, as NumPy arrays.
        config: `model.latent_dim` directions are kept; what `n` cannot fill is zero.
    """
    chosen = np.random.default_rng(config.seed).permutation(len(clips.log_mel))[:PCA_CLIPS]
    fields = ("log_mel", "n_frames", "peak_db", "attack")
    features = Features(*(getattr(clips, name)[chosen].astype(np.float32) for name in fields))
    rows, aux_scale = _rows(features, config)
    mean, n = rows.mean(axis=0), len(rows)
    # Variations of the sounds: directions that serve sounds which are not among them, too.
    views = min(PCA_VIEWS, PCA_CLIPS // n - 1)
    every = np.empty((n * (1 + views), len(mean)), np.float32)
    np.subtract(rows, mean, out=every[:n])
    for first, varied in variations(features, views, config):
        every[first : first + len(varied.log_mel)] = _rows(varied, config, aux_scale)[0] - mean
    basis, component_std = _components(every, n, config)
    cells = len(mean) - AUX_SIZE
    return {
        "mean": mean[:cells],
        "aux_mean": mean[cells:] / aux_scale,
        "aux_scale": aux_scale,
        "basis": basis,
        "component_std": component_std,
    }


def _components(every: np.ndarray, n: int, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Returns the principal directions [z, row] of centred rows and the deviations [z] along them.

    The first `n` rows are the clips themselves, the others their variations.
    """
    from sklearn.utils.extmath import randomized_svd  # slow to import, and only to fit

    rank = min(config.model.latent_dim, len(every) - 1, every.shape[1]) if n > 1 else 0
    basis = np.zeros((config.model.latent_dim, every.shape[1]), np.float32)
    component_std = np.ones(config.model.latent_dim, np.float32)
    if rank > 0:
        _, singular, basis[:rank] = randomized_svd(every, rank, random_state=config.seed)
        # Of the variations, too: the clips alone, if they are few, do not vary in directions in
        # which other sounds will.
        component_std[:rank] = np.maximum(singular / np.sqrt(len(every)), 1e-3)
    return basis, component_std


def _rows(
    features: Features, config: Config, aux_scale: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows that the components are fitted to, [n, c + a], and the aux scale [a]."""
    cells = np.asarray(cells_of(features, config))
    aux = np.asarray(aux_of(features), np.float32)
    if aux_scale is None:
        energy = max(float(cells.var(axis=0).sum()), 1.0)
        variance = np.maximum(aux.var(axis=0), 1e-3)
        aux_scale = np.sqrt(AUX_SHARE * energy / variance)
        aux_scale[2:] = np.sqrt(ATTACK_SHARE * energy / variance[2:].sum())
        aux_scale = aux_scale.astype(np.float32)
    return np.concatenate([cells, aux * aux_scale], axis=1), aux_scale


def variations(features: Features, views: int, config: Config) -> Iterator[tuple[int, Features]]:
    """Yields the clips varied `views` times, in parts, each with its place after the n clips."""
    vary = jax.jit(augment.vary, static_argnames="audio")
    n = len(features.log_mel)
    for view in range(views):
        key = jax.random.fold_in(jax.random.key(config.seed), view)
        for rows, mask in padded_batches(n, PCA_BATCH_SIZE):
            start = int(rows[0])
            part = Features(*(field[rows] for field in features))
            no_label = np.full(PCA_BATCH_SIZE, -1, np.int32)
            batch = Batch(*part, no_label, np.ones(PCA_BATCH_SIZE, bool))
            varied = vary(batch, jax.random.fold_in(key, start), audio=config.audio)
            fields = (np.asarray(getattr(varied, name))[mask] for name in part._fields)
            yield n * (1 + view) + start, Features(*fields)


def project(
    features: Features | Batch, stats: Stats, config: Config
) -> tuple[Float[Array, "b z"], Float[Array, "b a"]]:
    """Returns the whitened components of clips, and their aux, centred and scaled to about 1."""
    cells = cells_of(features, config) - stats["mean"]
    aux = centred_aux(features, stats)
    rows = jnp.concatenate([cells, aux * stats["aux_scale"]], axis=-1)
    # As a contraction: XLA on CPU would copy the transposed basis at every call, 20 times the work.
    codes = jnp.einsum("br,zr->bz", rows, stats["basis"], precision=FULL)
    return codes / stats["component_std"], aux * AUX_UNITS


def restore(
    z: Float[Array, "b z"], stats: Stats, config: Config
) -> tuple[Float[Array, "b t m"], Float[Array, "b a"]]:
    """Returns the companded cells and the aux at whitened components."""
    linear = jnp.matmul(z * stats["component_std"], stats["basis"], precision=FULL)
    of_cells, of_aux = jnp.split(linear, [stats["mean"].shape[0]], axis=-1)
    cells = (of_cells + stats["mean"]).reshape(len(z), config.audio.n_frames, config.audio.n_mels)
    return cells, of_aux / stats["aux_scale"] + stats["aux_mean"]


def cells_of(features: Features | Batch, config: Config) -> Float[Array, "b c"]:
    """Returns the companded spectrograms as rows."""
    return companding.compand(features.log_mel, config).reshape(len(features.log_mel), -1)


def centred_aux(features: Features | Batch, stats: Stats) -> Float[Array, "b a"]:
    """Returns `aux_of` minus its mean over the data set."""
    return aux_of(features) - stats["aux_mean"]


def aux_of(features: Features | Batch) -> Float[Array, "b a"]:
    """Returns length in octaves of frames, level and attack in dB: the part that cells lack."""
    level = jnp.clip(features.peak_db, LOWEST_PEAK_DB, 0.0)
    length = jnp.log2(jnp.asarray(features.n_frames, jnp.float32))
    return jnp.concatenate([length[:, None], level[:, None], features.attack], axis=-1)
