"""Augmentation: variations of a sound, made on its log-mel spectrogram inside the training step."""

from typing import Any

import jax
import jax.numpy as jnp

from sst.config import AudioConfig
from sst.dsp.features import ATTACK_FLOOR_DB
from sst.types import Batch, Key

TILT_DB = 9.0  # at the highest band against the lowest
DECAY_DB = 20.0  # at the end of the longest clip, for an average-length sound
STRETCH_OCTAVES = 0.4
SHIFT_BANDS = 4.0
MIN_BANDWIDTH_SHARE = 0.7  # of the bands that a copy keeps: 7 kHz of 22 kHz
MAX_NOISE_DB = 30.0  # above the floor: what a copy may lose in noise
CODEC_DB = 1.5  # by which a codec misses a cell


def vary(batch: Batch, key: Key, audio: AudioConfig) -> Batch:
    """Makes other sounds of the same kind: tilted, shortened or lengthened, moved in pitch.

    Half of the examples stay as they are. Levels keep their meaning: dB relative to the loudest
    cell, cut at the floor.
    """
    b = batch.log_mel.shape[0]
    draws = jax.random.uniform(key, (5, b), minval=-1.0, maxval=1.0)
    keep = draws[4] < 0.0
    tilt, decay, stretch, shift = (jnp.where(keep, 0.0, d) for d in draws[:4])
    rate = 2.0 ** (STRETCH_OCTAVES * stretch)
    moved = _resample(batch.log_mel, rate, SHIFT_BANDS * shift, audio.floor_db)
    n_frames = jnp.clip(jnp.round(batch.n_frames / rate), 1, moved.shape[1]).astype(jnp.int32)
    tilted = moved + _slopes(tilt, decay, n_frames, moved.shape)
    cut = jnp.maximum(tilted - jnp.max(tilted, axis=(1, 2), keepdims=True), audio.floor_db)
    inside = jnp.arange(moved.shape[1]) < n_frames[:, None]
    log_mel = jnp.where(inside[..., None] & (moved > audio.floor_db), cut, audio.floor_db)
    log_mel = jnp.where(keep[:, None, None], batch.log_mel, log_mel)
    attack = _resample(batch.attack[..., None], rate, jnp.zeros(b), ATTACK_FLOOR_DB)[..., 0]
    return batch._replace(
        log_mel=log_mel, n_frames=jnp.where(keep, batch.n_frames, n_frames), attack=attack
    )


def degrade(batch: Batch, key: Key, audio: AudioConfig) -> Batch:
    """Makes worse copies of the same sounds: less bandwidth, a higher floor, cells a little off.

    As by a lower sample rate, a noisy channel and a codec; each happens to half of the examples.
    """
    b, _, m = batch.log_mel.shape
    which_key, cut_key, noise_key, codec_key = jax.random.split(key, 4)
    happens = jax.random.bernoulli(which_key, 0.5, (3, b, 1, 1))
    cut = m * jax.random.uniform(cut_key, (b, 1, 1), minval=MIN_BANDWIDTH_SHARE, maxval=1.0)
    noise = audio.floor_db + MAX_NOISE_DB * jax.random.uniform(noise_key, (b, 1, 1))
    off = CODEC_DB * jax.random.normal(codec_key, batch.log_mel.shape)
    audible = batch.log_mel > jnp.where(happens[1], noise, audio.floor_db)
    audible &= (jnp.arange(m) < cut) | ~happens[0]
    cells = jnp.where(audible, batch.log_mel + jnp.where(happens[2], off, 0.0), -jnp.inf)
    loudest = jnp.max(cells, axis=(1, 2), keepdims=True)
    relative = cells - jnp.where(jnp.isfinite(loudest), loudest, 0.0)
    return batch._replace(log_mel=jnp.maximum(relative, audio.floor_db))


def _slopes(tilt: Any, decay: Any, n_frames: Any, shape: tuple[int, ...]) -> Any:
    _, t, m = shape
    bands = jnp.linspace(-0.5, 0.5, m)
    frames = jnp.arange(t) / n_frames[:, None]
    return TILT_DB * tilt[:, None, None] * bands - DECAY_DB * (decay[:, None] * frames)[..., None]


def _resample(log_mel: Any, rate: Any, shift: Any, floor_db: float) -> Any:
    """Reads at `t * rate` and `m + shift` by linear interpolation; outside lies the floor."""
    _, t, m = log_mel.shape
    across_time = _hat(jnp.arange(t) * rate[:, None], t)
    across_bands = _hat(jnp.arange(m) + shift[:, None], m)
    above_floor = log_mel - floor_db
    return jnp.einsum("bst,btm,bnm->bsn", across_time, above_floor, across_bands) + floor_db


def _hat(positions: Any, size: int) -> Any:
    """Returns weights [b, positions, size] of linear interpolation."""
    return jnp.maximum(0.0, 1.0 - jnp.abs(positions[..., None] - jnp.arange(size)))
