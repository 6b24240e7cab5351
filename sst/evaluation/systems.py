"""The systems measured side by side: the model, its parts, and simpler methods."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from sst import inference
from sst.config import AudioConfig, Config
from sst.dsp import descriptors
from sst.evaluation.baselines import griffinlim, mfcc, samplevae
from sst.evaluation.sounds import Sounds, at_level
from sst.inference import Model
from sst.model import network, pca, prior
from sst.model.network import Decoded
from sst.search import aspects
from sst.types import Clip, Wave

N_COMPONENTS = 64  # of the principal components
BATCH_SIZE = 256  # spectrograms compared at once


class System(NamedTuple):
    """A method as functions, None for those it lacks. Waves are float32 at the model's rate."""

    title: str
    note: str = ""
    reconstruct: Callable[[Sounds], list[Wave]] | None = None
    draw: Callable[[int], list[Wave]] | None = None
    encode: Callable[[Sounds], np.ndarray] | None = None  # [n, z]: mixes and interpolations
    decode: Callable[[np.ndarray], Wave] | None = None  # of one vector [z]
    embed: Callable[[Sounds], np.ndarray] | None = None  # [n, e], compared by Euclidean distance
    classify: Callable[[Sounds], np.ndarray] | None = None  # [n, c] probabilities
    class_names: tuple[str, ...] = ()  # of the columns of `classify`

    def row(self, figures: dict[str, Any]) -> dict[str, Any]:
        """Returns the system's row of a table, as report.json has it."""
        return {"title": self.title, "note": self.note, "figures": figures}


def of_model(model: Model, seed: int) -> dict[str, System]:
    """Returns the model, parts of its search vector, and its inversion of true features."""
    ours = _of_model(model, f"SST, {model.config.model.latent_dim} numbers", seed)
    timbre = ours.embed
    assert timbre is not None
    return {
        "model": ours._replace(
            embed=lambda sounds: np.concatenate(
                [timbre(sounds), measured_aspects(sounds, model.config.audio)], axis=1
            )
        ),
        "timbre": System(
            "SST, the timbre alone", "the learned part of the search vector", embed=timbre
        ),
        "latent": System("SST, the bare latent", "the posterior mean", embed=ours.encode),
        "ceiling": System(
            "true features, SST's inversion",
            "the upper bound: a perfect decoder",
            reconstruct=lambda sounds: [
                inference.waveform(Decoded(*row), model.config.audio)
                for row in zip(*sounds.features, strict=True)
            ],
        ),
    }


def measured_aspects(sounds: Sounds, config: AudioConfig) -> Float[np.ndarray, "n s"]:
    """Returns the part of the search vector that is measured, not learned, float32."""
    described = _describe(sounds, config) if sounds.descriptors is None else sounds.descriptors
    return aspects.apply_weights(described)


def _describe(sounds: Sounds, config: AudioConfig) -> Float[np.ndarray, "n s"]:
    """Measures the descriptors of sounds that did not come from a decoding process."""
    levels = sounds.peak_db.tolist()
    clips = [
        Clip(at_level(wave, -peak_db), peak_db, 0.0, len(wave) / config.sample_rate)
        for wave, peak_db in zip(sounds.waves, levels, strict=True)
    ]
    cells = zip(clips, sounds.log_mel, sounds.n_frames, strict=True)
    return np.stack([descriptors.describe(clip, mel[:n], config) for clip, mel, n in cells])


def _of_model(model: Model, title: str, seed: int, note: str = "") -> System:
    def encode(sounds: Sounds) -> np.ndarray:
        return np.asarray(inference.encode_features(model, sounds.features))

    def decode(z: np.ndarray) -> Wave:
        return np.asarray(inference.decode(model, jnp.asarray(z)))

    def draw(n: int) -> list[Wave]:
        drawn = inference.sample_prior(model, jax.random.key(seed), n)
        return [decode(z) for z in np.asarray(drawn)]

    def classify(sounds: Sounds) -> np.ndarray:
        return inference.classify_features(model, sounds.features)

    return System(
        title,
        note,
        reconstruct=lambda sounds: [decode(z) for z in encode(sounds)],
        draw=draw,
        encode=encode,
        decode=decode,
        embed=lambda sounds: np.asarray(inference.embed_features(model, sounds.features)),
        classify=classify if inference.has_classes(model) else None,
        class_names=model.class_names,
    )


def without_training(sample_rate: int) -> dict[str, System]:
    """Returns the systems that need no training sounds, for waves at `sample_rate` Hz."""
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


def principal_components(train: Sounds, config: Config, seed: int) -> dict[str, System]:
    """Returns PCA with SST's inversion: 64 components, and as many as SST has latents."""
    linear = linear_model(train, config, N_COMPONENTS, seed)
    pca_model = _of_model(
        linear, f"PCA-{N_COMPONENTS}", seed, "same inversion as SST; draws from one Gaussian"
    )
    encode, component_std = pca_model.encode, np.asarray(linear.stats["component_std"])
    assert encode is not None
    found = {
        "pca": pca_model._replace(embed=lambda sounds: encode(sounds) * component_std),
        "pca_whitened": System(f"PCA-{N_COMPONENTS}, whitened", embed=encode),
        "pca_direction": System(
            f"PCA-{N_COMPONENTS}, half-whitened direction",
            "as the part of the model's own search vector that is not learned",
            embed=pca_model.embed,
        ),
    }
    size = config.model.latent_dim
    if size != N_COMPONENTS:
        same_size = _of_model(linear_model(train, config, size, seed), f"PCA-{size}", seed)
        found["pca_same_size"] = same_size._replace(note="as many numbers as the model", embed=None)
    return found


def linear_model(train: Sounds, config: Config, size: int, seed: int) -> Model:
    """Fits `size` components of cells in plain dB; networks at zero, one Gaussian as the prior."""
    plain = dataclasses.replace(config.model, quiet_slope=1.0, bass_weight=1.0)
    network_config = dataclasses.replace(plain, latent_dim=size, width=16, search_share=0.0)
    config = dataclasses.replace(config, seed=seed, model=network_config)
    stats = pca.data_stats(train.features, config)
    params = network.init(jax.random.key(seed), config, stats)
    linear = Model(config, params, stats, {}, (), "")
    means = np.asarray(inference.encode_features(linear, train.features))
    return linear._replace(prior=prior.fit(means, neighbours=len(means)))


def sample_vae(train: Sounds, sample_rate: int, seed: int, steps: int) -> dict[str, System]:
    """Trains a VAE like SampleVAE's on the same sounds, at a rate in Hz, for some steps."""
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
    """Returns a system without a model: the training sound whose log-mel is nearest."""
    return {
        "nearest": System(
            "nearest training sound",
            "by the distance of log-mels",
            reconstruct=lambda sounds: [train.waves[i] for i in nearest(sounds, train)],
        )
    }


def nearest(sounds: Sounds, train: Sounds) -> Int[np.ndarray, " n"]:
    """Returns the row of the training sound nearest to each sound by Euclidean log-mel distance."""
    known = train.log_mel.reshape(train.size, -1)
    queries = sounds.log_mel.reshape(sounds.size, -1).astype(np.float32)
    squares = np.zeros((sounds.size, train.size), np.float32)
    for start in range(0, train.size, BATCH_SIZE):
        part = known[start : start + BATCH_SIZE].astype(np.float32)
        norms = np.square(part).sum(axis=1)
        squares[:, start : start + BATCH_SIZE] = norms - 2.0 * queries @ part.T
    return squares.argmin(axis=1)


def mfcc_statistics(waves: Sequence[Wave], sample_rate: int) -> Float[np.ndarray, "n f"]:
    """Returns the MFCC statistics of each wave at a rate in Hz, float32."""
    return np.stack([mfcc.statistics(wave, sample_rate) for wave in waves])
