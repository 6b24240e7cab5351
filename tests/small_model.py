"""A model small enough to be made in a test, on synthetic sounds."""

import functools

import jax
import numpy as np

from sst import inference
from sst.audio.clip import canonical
from sst.config import AudioConfig, Config, ModelConfig, OptimConfig
from sst.dsp import features
from sst.model import pca, prior
from sst.types import Batch, Features
from tests import synth, tiny_model
from tests.tiny_model import MODEL

CONFIG = Config(
    name="small",
    audio=AudioConfig(sample_rate=16_000, clip_seconds=0.5, n_fft=512, hop=128, n_mels=40),
    model=ModelConfig(latent_dim=8, width=32, encoder_blocks=2, decoder_blocks=1),
    optim=OptimConfig(batch_size=8, warmup_steps=10, eval_every=20),
)

VIEWS = pca.PCA_VIEWS  # there is room for all of them


def clips(n: int, seed: int = 0) -> Features:
    """Kicks, snares and hats in turn, as NumPy arrays."""
    rng, cfg = np.random.default_rng(seed), CONFIG.audio
    waves = [list(synth.KINDS.values())[i % 3](cfg.sample_rate, rng) for i in range(n)]
    return features.of_clips([canonical(wave, cfg.sample_rate, cfg) for wave in waves], cfg)


def with_variations(inputs: Features) -> list[Features]:
    """The clips and the variations of them that the components of CONFIG are fitted to."""
    order = np.random.default_rng(CONFIG.seed).permutation(len(inputs.log_mel))
    inputs = Features(*(field[order] for field in inputs))
    return [inputs, *(part for _, part in pca.variations(inputs, VIEWS, CONFIG))]


def batch(n: int, seed: int = 0) -> Batch:
    return Batch(*clips(n, seed), np.arange(n, dtype=np.int32) % 3, np.ones(n, bool))


@functools.lru_cache
def untrained() -> inference.Model:
    """The linear part alone: the networks start at zero."""
    stats = MODEL.data_stats(clips(60), CONFIG)
    params = MODEL.init(jax.random.key(0), CONFIG, stats)
    means, _ = MODEL.encode(params, stats, batch(60), CONFIG)
    return inference.Model(
        CONFIG,
        params,
        stats,
        prior.fit(np.asarray(means), np.arange(60) % 3),
        ("kick", "snare", "hat"),
        "0" * 12,
    )


@functools.lru_cache
def with_classes() -> inference.Model:
    """The same, with prototypes of its three classes."""
    model, labels = untrained(), np.arange(60) % 3
    found = tiny_model.prototypes(model.params, model.stats, clips(60), labels, CONFIG)
    return model._replace(params=model.params | {"prototypes": found})
