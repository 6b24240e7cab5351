"""A model small enough to make in a test: untrained, but its linear part fits the sounds."""

from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from sst.audio.clip import canonical
from sst.config import AudioConfig, Config, ModelConfig
from sst.dsp import features
from sst.model import export_format, network, pca, prior
from sst.model.functions import VAE
from sst.search import novelty
from sst.types import Features
from tests import synth

CONFIG = Config(
    name="tiny",
    audio=AudioConfig(
        sample_rate=16_000, clip_seconds=0.3, n_fft=512, hop=128, n_mels=32, floor_db=-80.0
    ),
    model=ModelConfig(latent_dim=6, width=16, encoder_blocks=1, decoder_blocks=1),
)

MODEL = VAE._replace(
    encode=jax.jit(VAE.encode, static_argnames="config"),
    decode=jax.jit(VAE.decode, static_argnames="config"),
    embed=jax.jit(VAE.embed, static_argnames="config"),
    objective=jax.jit(VAE.objective, static_argnames=("config", "train")),
)
_search_vectors = jax.jit(network.search_vectors, static_argnames="config")


def waves(seed: int = 0) -> dict[str, np.ndarray]:
    """The sounds at 16 kHz that the model's linear part fits, by their names."""
    rng = np.random.default_rng(seed)
    made = [(kind, i) for kind in synth.KINDS for i in range(8)]
    return {f"lib/pack{i % 4}/{kind}/{i}.wav": synth.KINDS[kind](16_000, rng) for kind, i in made}


def export(
    folder: Path,
    seed: int = 0,
    config: Config = CONFIG,
    class_names: Sequence[str] = (),
    with_known: bool = False,
) -> Path:
    """Writes the model into `folder` and returns that.

    Args:
        folder: where to.
        seed: of its sounds and parameters.
        config: of the model.
        class_names: of kick, snare and hat.
        with_known: whether it holds its sounds.
    """
    sounds = waves(seed)
    clips = [canonical(wave, 16_000, config.audio) for wave in sounds.values()]
    inputs = features.of_clips(clips, config.audio)
    stats = pca.data_stats(inputs, config)
    params = network.init(jax.random.key(seed), config, stats)
    means, _ = MODEL.encode(params, stats, inputs, config)
    labels = np.repeat(np.arange(3), 8) if class_names else None
    if labels is not None:
        params["prototypes"] = prototypes(params, stats, inputs, labels, config)
    fitted = prior.fit(np.asarray(means), labels, neighbours=8)
    known = None
    if with_known:
        vectors = np.asarray(MODEL.embed(params, stats, inputs, config))
        packs = novelty.number_groups(list(sounds), by_pack=True)
        known = novelty.KnownSounds(
            list(sounds), vectors, novelty.measure_spacing(vectors, packs, lambda a, b: False)
        )
    export_format.save_model(folder, config, params, stats, fitted, class_names, {}, known=known)
    return folder


def prototypes(
    params: network.Params, stats: pca.Stats, inputs: Features, labels: np.ndarray, config: Config
) -> np.ndarray:
    """Mean search vectors of each class by the untrained encoder, minus the mean of all."""
    vectors = np.asarray(_search_vectors(params, stats, inputs, config))
    of_classes = [vectors[labels == label].mean(axis=0) for label in np.unique(labels)]
    return np.stack(of_classes) - vectors.mean(axis=0)
