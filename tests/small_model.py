"""A model small enough to be made in a test, on synthetic sounds."""

import functools

import jax
import numpy as np
import synth

from sst import audio, features, inference, model, prior
from sst.config import AudioConfig, Config, ModelConfig, OptimConfig
from sst.types import Batch

CONFIG = Config(
    name="small",
    audio=AudioConfig(sample_rate=16_000, clip_seconds=0.5, n_fft=512, hop=128, n_mels=40),
    model=ModelConfig(latent_dim=8, width=32, encoder_blocks=2, decoder_blocks=1),
    optim=OptimConfig(batch_size=8, warmup_steps=10, eval_every=20),
)

encode = jax.jit(model.encode, static_argnames="config")
decode = jax.jit(model.decode, static_argnames="config")
objective = jax.jit(model.objective, static_argnames=("config", "train"))
data_stats, init = model.data_stats, jax.jit(model.init, static_argnames="config")


def clips(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log_mel [n, t, m], n_frames [n], peak_db [n] of kicks, snares and hats in turn."""
    rng, cfg = np.random.default_rng(seed), CONFIG.audio
    log_mel = np.full((n, cfg.n_frames, cfg.n_mels), cfg.floor_db, np.float16)
    n_frames, peak_db = np.zeros(n, np.int32), np.zeros(n, np.float32)
    for i in range(n):
        wave = list(synth.KINDS.values())[i % 3](cfg.sample_rate, rng)
        clip = audio.canonical(wave, cfg.sample_rate, cfg)
        sound = features.log_mel(clip.wave, cfg)
        log_mel[i, : len(sound)] = sound
        n_frames[i], peak_db[i] = len(sound), clip.peak_db
    return log_mel, n_frames, peak_db


def batch(n: int, seed: int = 0) -> Batch:
    log_mel, n_frames, peak_db = clips(n, seed)
    return Batch(log_mel.astype(np.float32), n_frames, peak_db, np.ones(n, bool))


@functools.lru_cache
def untrained() -> inference.Model:
    """The linear part alone: the networks start at zero."""
    stats = data_stats(*clips(60), CONFIG)
    params = init(jax.random.key(0), CONFIG, stats)
    means, _ = model.encode(params, stats, batch(60), CONFIG)
    return inference.Model(
        CONFIG,
        params,
        stats,
        prior.fit(np.asarray(means), 2, 0),
        ("hat", "kick", "snare"),
        "0" * 12,
    )
