"""The ways to make, remake and compare sounds that are measured side by side."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sst import inference, vocoder
from sst.baselines import griffinlim, mfcc, pca, samplevae
from sst.config import AudioConfig
from sst.evaluation.sounds import Sounds
from sst.inference import FADE_S, Model
from sst.types import Wave

COMPONENTS = 64  # of the principal components
CHUNK = 256  # spectrograms compared at once


class System(NamedTuple):
    """What one way can do; None where it cannot. Waves are float32 at the model's rate."""

    title: str
    note: str = ""
    reconstruct: Callable[[Sounds], list[Wave]] | None = None
    draw: Callable[[int], list[Wave]] | None = None
    encode: Callable[[Sounds], np.ndarray] | None = None  # [n, z]: mixes and interpolations
    decode: Callable[[np.ndarray], Wave] | None = None  # of one vector [z]
    embed: Callable[[Sounds], np.ndarray] | None = None  # [n, e], compared by Euclidean distance


def of_model(model: Model, seed: int) -> dict[str, System]:
    """The model itself, what its inversion could reach, and its bare latent vector for search."""
    audio = model.config.audio

    def encode(sounds: Sounds) -> np.ndarray:
        cells = sounds.log_mel.astype(np.float32)
        z = inference.encode_features(model, cells, sounds.n_frames, sounds.peak_db)
        return np.asarray(z)

    def embed(sounds: Sounds) -> np.ndarray:
        cells = sounds.log_mel.astype(np.float32)
        return np.asarray(inference.embed_features(model, cells, sounds.n_frames, sounds.peak_db))

    def decode(z: np.ndarray) -> Wave:
        return np.asarray(inference.decode(model, jnp.asarray(z)))

    def draw(n: int) -> list[Wave]:
        drawn = inference.sample_prior(model, jax.random.key(seed), n)
        return [decode(z) for z in np.asarray(drawn)]

    def invert_true(sounds: Sounds) -> list[Wave]:
        rows = zip(sounds.log_mel, sounds.n_frames, sounds.peak_db, strict=True)
        return [to_wave(cells, int(n), float(level), audio) for cells, n, level in rows]

    name = f"SST, {model.config.model.latent_dim} numbers"
    return {
        "model": System(
            name,
            reconstruct=lambda sounds: [decode(z) for z in encode(sounds)],
            draw=draw,
            encode=encode,
            decode=decode,
            embed=embed,
        ),
        "latent": System("SST, the bare latent", "the posterior mean", embed=encode),
        "ceiling": System(
            "true features, SST's inversion",
            "what the decoder could reach if it were perfect",
            reconstruct=invert_true,
        ),
    }


def without_training(sample_rate: int) -> dict[str, System]:
    """What needs no training sounds."""
    return {
        "griffinlim": System(
            "Griffin-Lim of the true mel",
            "60 iterations, matching basis, 16 kHz, 128 bands",
            reconstruct=lambda sounds: [
                griffinlim.reconstruct(wave, sample_rate) for wave in sounds.waves
            ],
        ),
        "mfcc": System(
            "MFCC statistics",
            "mean, deviation and steps of 20 coefficients, weighted by amplitude",
            embed=lambda sounds: np.stack([mfcc.embed(w, sample_rate) for w in sounds.waves]),
        ),
    }


def principal_components(train: Sounds, audio: AudioConfig, seed: int) -> dict[str, System]:
    """Sixty-four principal components of the training sounds' log-mels, and SST's inversion."""
    cells = train.log_mel, train.n_frames, train.peak_db
    fitted = pca.fit(*cells, COMPONENTS, seed, audio.floor_db)

    def encode(sounds: Sounds) -> np.ndarray:
        return pca.encode(fitted, sounds.log_mel, sounds.n_frames, sounds.peak_db)

    def decode(z: np.ndarray) -> Wave:
        decoded = pca.decode(fitted, z[None])
        n_frames, level = int(decoded.n_frames[0]), float(decoded.peak_db[0])
        return to_wave(np.asarray(decoded.log_mel[0]), n_frames, level, audio)

    def draw(n: int) -> list[Wave]:
        return [decode(z) for z in pca.draw(fitted, np.random.default_rng(seed), n)]

    return {
        "pca": System(
            "PCA-64",
            "same inversion as SST; draws from one Gaussian",
            reconstruct=lambda sounds: [decode(z) for z in encode(sounds)],
            draw=draw,
            encode=encode,
            decode=decode,
            embed=lambda sounds: encode(sounds) * fitted.stats["spread"],
        ),
        "pca_whitened": System("PCA-64, whitened", embed=encode),
        "pca_direction": System(
            "PCA-64, half-whitened direction",
            "weighted as the model's own search vector",
            embed=lambda sounds: pca.embed(fitted, encode(sounds)),
        ),
    }


def sample_vae(train: Sounds, sample_rate: int, seed: int, steps: int) -> dict[str, System]:
    """A variational autoencoder like SampleVAE's, trained here on the same sounds."""
    vae = samplevae.fit(train.waves, sample_rate, seed, steps)

    def draw(n: int) -> list[Wave]:
        waves, rate = samplevae.draw(vae, np.random.default_rng(seed), n)
        return [griffinlim.resample(wave, rate, sample_rate) for wave in waves]

    return {
        "samplevae": System(
            "SampleVAE-like VAE",
            "trained in this run on the same sounds; draws from N(0, I); no flows",
            reconstruct=lambda sounds: list(samplevae.reconstruct(vae, sounds.waves, sample_rate)),
            draw=draw,
            embed=lambda sounds: np.asarray(samplevae.embed(vae, sounds.waves, sample_rate)),
        )
    }


def nearest_training_sound(train: Sounds) -> dict[str, System]:
    """No model at all: the training sound whose log-mel is nearest."""
    return {
        "nearest": System(
            "nearest training sound",
            "by the distance of log-mels",
            reconstruct=lambda sounds: [train.waves[i] for i in nearest(sounds, train)],
        )
    }


def nearest(sounds: Sounds, train: Sounds) -> np.ndarray:
    """The row of the training sound nearest to each sound, by Euclidean distance of log-mels."""
    theirs = train.log_mel.reshape(train.size, -1)
    squares = np.zeros((sounds.size, train.size), np.float32)
    ours = sounds.log_mel.reshape(sounds.size, -1).astype(np.float32)
    for start in range(0, train.size, CHUNK):
        part = theirs[start : start + CHUNK].astype(np.float32)
        squares[:, start : start + CHUNK] = np.square(part).sum(axis=1) - 2.0 * ours @ part.T
    return squares.argmin(axis=1)


def to_wave(log_mel: np.ndarray, n_frames: int, peak_db: float, audio: AudioConfig) -> Wave:
    """SST's inversion of a log-mel, cut and faded at its end as a decoded sound is.

    Args:
        log_mel: [t, m] dB, the full clip.
        n_frames: inside the sound.
        peak_db: of the result.
        audio: the transform.
    """
    inside = (np.arange(audio.n_frames) < n_frames)[:, None]
    cells = np.where(inside, np.clip(log_mel, audio.floor_db, 0.0), audio.floor_db)
    wave = np.asarray(vocoder.invert(cells.astype(np.float32), audio, audio.clip_samples))
    wave = wave[: max(1, (n_frames - 1) * audio.hop)].copy()
    fade = min(len(wave), round(FADE_S * audio.sample_rate))
    wave[len(wave) - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    peak = float(np.max(np.abs(wave)))
    return wave * np.float32(10.0 ** (peak_db / 20.0) / peak) if peak > 1e-9 else wave


def mfcc_of(waves: Sequence[Wave], sample_rate: int) -> np.ndarray:
    """MFCC statistics of each wave, [n, f]."""
    return np.stack([mfcc.statistics(wave, sample_rate) for wave in waves])
