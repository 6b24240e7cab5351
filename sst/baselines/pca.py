"""Principal components of the log-mel: the linear model with as many numbers as the network.

The same basis that the network starts from (`model.data_stats`): cells padded with the floor, with
the level and the length as two further columns, so that a decoded sound ends where it should.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sst import model
from sst.config import Config, ModelConfig

SHRINK = 1e-3  # smallest variance of a code in the Gaussian; codes have variance 1


class Sounds(NamedTuple):
    """What codes say about sounds."""

    log_mel: Float[np.ndarray, "n t m"]  # dB in [floor_db, 0]; floor_db after n_frames
    n_frames: Int[np.ndarray, " n"]
    peak_db: Float[np.ndarray, " n"]


class Pca(NamedTuple):
    """A fitted basis and the Gaussian of the training codes."""

    stats: model.Stats
    shape: tuple[int, int]  # of one padded spectrogram: frames, bands
    floor_db: float
    mean: Float[np.ndarray, " k"]
    factor: Float[np.ndarray, "k k"]  # lower triangular; factor @ factor.T is the covariance


def fit(
    log_mel: Float[np.ndarray, "n t m"],
    n_frames: Int[np.ndarray, " n"],
    peak_db: Float[np.ndarray, " n"],
    n_components: int = 64,
    seed: int = 0,
    floor_db: float = -80.0,
) -> Pca:
    """The components of a training set.

    Args:
        log_mel: dB, padded with `floor_db` to t frames.
        n_frames: frames inside each sound.
        peak_db: level of each sound.
        n_components: numbers per sound; what n sounds cannot fill stays zero.
        seed: of the randomised decomposition, and of the choice where there are more sounds than
            `model.PCA_CLIPS`.
        floor_db: the value of silence.
    """
    config = Config(seed=seed, model=ModelConfig(latent_dim=n_components))
    stats = model.data_stats(log_mel, n_frames, peak_db, config)
    stats = {name: np.asarray(value) for name, value in stats.items()}
    unfitted = Pca(stats, log_mel.shape[1:], floor_db, np.zeros(0), np.zeros((0, 0)))
    codes = encode(unfitted, log_mel, n_frames, peak_db).astype(np.float64)
    away = codes - codes.mean(axis=0)
    covariance = away.T @ away / max(len(codes), 1) + SHRINK * np.eye(n_components)
    return unfitted._replace(mean=codes.mean(axis=0), factor=np.linalg.cholesky(covariance))


def encode(
    pca: Pca,
    log_mel: Float[np.ndarray, "n t m"],
    n_frames: Int[np.ndarray, " n"],
    peak_db: Float[np.ndarray, " n"],
) -> Float[np.ndarray, "n k"]:
    """The codes of sounds, of variance 1 over the training set (whitened); arguments as `fit`."""
    stats = pca.stats
    codes = np.empty((len(log_mel), len(stats["spread"])), np.float32)
    aux = (_aux(n_frames, peak_db) - stats["aux_mean"]) * stats["aux_scale"]
    for row, cells in enumerate(log_mel):  # one at a time: a block of float32 would be large
        away = cells.astype(np.float32).ravel() - stats["mean"]
        codes[row] = stats["basis"] @ np.concatenate([away, aux[row]])
    return codes / stats["spread"]


def decode(pca: Pca, z: Float[np.ndarray, "n k"]) -> Sounds:
    """The sounds at some whitened codes: spectrograms, lengths and levels."""
    stats, (total, bands) = pca.stats, pca.shape
    linear = (np.asarray(z, np.float32) * stats["spread"]) @ stats["basis"]
    cells = (linear[:, :-2] + stats["mean"]).reshape(-1, total, bands)
    aux = linear[:, -2:] / stats["aux_scale"] + stats["aux_mean"]
    n_frames = np.clip(np.round(np.exp2(aux[:, 0])), 1, total).astype(np.int32)
    inside = (np.arange(total) < n_frames[:, None])[..., None]
    log_mel = np.where(inside, np.clip(cells, pca.floor_db, 0.0), np.float32(pca.floor_db))
    return Sounds(log_mel, n_frames, np.minimum(aux[:, 1], 0.0).astype(np.float32))


def draw(pca: Pca, rng: np.random.Generator, n: int) -> Float[np.ndarray, "n k"]:
    """Random codes from one Gaussian, with the mean and full covariance of the training codes."""
    noise = rng.standard_normal((n, len(pca.mean)))
    return (pca.mean + noise @ pca.factor.T).astype(np.float32)


def embed(pca: Pca, z: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
    """The vectors that search compares by Euclidean distance: of unit length, half-whitened.

    The same weighting as the model's own search vector gets (`inference.embed`), so that the
    comparison is between the codes.
    """
    weighted = z * np.sqrt(pca.stats["spread"])
    return weighted / np.maximum(np.linalg.norm(weighted, axis=1, keepdims=True), 1e-9)


def _aux(n_frames: np.ndarray, peak_db: np.ndarray) -> np.ndarray:
    """Length in octaves of frames and level in dB [n, 2], as `model.data_stats` counts them."""
    level = np.clip(peak_db, model.LOWEST_PEAK_DB, 0.0)
    return np.stack([np.log2(n_frames), level], axis=1).astype(np.float32)
