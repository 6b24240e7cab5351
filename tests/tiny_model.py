"""A model small enough to make in a test: untrained, but its linear part fits the sounds."""

from pathlib import Path

import jax
import numpy as np
import synth

from sst import audio, features, model, modelfile, prior
from sst.config import AudioConfig, Config, ModelConfig
from sst.types import Batch

CONFIG = Config(
    name="tiny",
    audio=AudioConfig(
        sample_rate=16_000, clip_seconds=0.3, n_fft=512, hop=128, n_mels=32, floor_db=-80.0
    ),
    model=ModelConfig(
        latent_dim=6, width=16, encoder_blocks=1, decoder_blocks=1, prior_components=1
    ),
)


def export(folder: Path, seed: int = 0, config: Config = CONFIG) -> Path:
    """Writes the model into `folder` and returns that."""
    rng = np.random.default_rng(seed)
    kinds = [make for make in synth.KINDS.values() for _ in range(8)]
    clips = [audio.canonical(make(16_000, rng), 16_000, config.audio) for make in kinds]
    log_mels = [features.log_mel(clip.wave, config.audio) for clip in clips]
    block = np.full(
        (len(clips), config.audio.n_frames, config.audio.n_mels), config.audio.floor_db, np.float32
    )
    for row, log_mel in zip(block, log_mels, strict=True):
        row[: len(log_mel)] = log_mel
    n_frames = np.array([len(log_mel) for log_mel in log_mels], np.int32)
    peak_db = np.array([clip.peak_db for clip in clips], np.float32)
    stats = model.data_stats(block, n_frames, peak_db, config)
    params = model.init(jax.random.key(seed), config, stats)
    mask = np.ones(len(clips), bool)
    means, _ = model.encode(params, stats, Batch(block, n_frames, peak_db, mask), config)
    fitted = prior.fit(np.asarray(means), config.model.prior_components, seed)
    modelfile.save_model(folder, config, params, stats, fitted, [], {})
    return folder
