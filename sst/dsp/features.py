"""Waveform to log-mel spectrogram: in NumPy for files, in JAX for gradients and decoding.

Both use one basis: a centred short-time Fourier transform (Hann window, zero padding at the ends)
and triangular mel bands of equal area on the Slaney scale, as librosa's defaults define them.
Values are power in dB relative to the loudest cell of the clip, cut at `floor_db`.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.fft
from jaxtyping import Float

from sst.config import AudioConfig
from sst.types import Array, Clip, Features, LogMel, Wave

ATTACK_POINTS = 64  # of the attack envelope: 93 ms at the default hop
ATTACK_FLOOR_DB = -60.0
MEL_GROUP = 16  # bands that are computed together


def log_mel(wave: Wave, audio: AudioConfig) -> LogMel:
    """Computes the log-mel spectrogram of one clip.

    Args:
        wave: [n] float32, n >= 1; any level.
        audio: the transform.

    Returns:
        [audio.frames_of(n), n_mels] float32 in [floor_db, 0]; all `floor_db` for silence.
    """
    power = np.square(np.abs(scipy.fft.rfft(frames(wave, audio), axis=-1)))
    return to_db(mel_power(power, audio), audio.floor_db)


def mel_power(power: Float[np.ndarray, "t f"], audio: AudioConfig) -> Float[np.ndarray, "t m"]:
    """Sums the power in each mel band: `power @ mel_basis(audio).T`, without most of the zeros."""
    parts = [power[:, bins] @ part for bins, part in _mel_parts(audio)]
    return np.concatenate(parts, axis=1)


def of_clips(clips: Sequence[Clip], audio: AudioConfig) -> Features:
    """Computes the input of a model: features of any number of clips."""
    log_mels = [log_mel(clip.wave, audio) for clip in clips]
    attacks = [attack(clip.wave, audio) for clip in clips]
    return Features(
        pad(log_mels, audio),
        np.array([len(rows) for rows in log_mels], np.int32),
        np.array([clip.peak_db for clip in clips], np.float32),
        np.array(attacks, np.float32).reshape(len(clips), ATTACK_POINTS),
    )


def attack(wave: Wave, audio: AudioConfig) -> Float[np.ndarray, " a"]:
    """Computes the attack envelope: the first tenth of a second, finer than `log_mel` has it.

    Args:
        wave: [n] of peak 1; how far the envelope stays below 0 dB is the crest factor.
        audio: the transform.

    Returns:
        [ATTACK_POINTS] float32: `attack_power` in dB, cut at ATTACK_FLOOR_DB.
    """
    floor = 10.0 ** (ATTACK_FLOOR_DB / 10.0)
    return (10.0 * np.log10(np.maximum(attack_power(wave, audio), floor))).astype(np.float32)


def attack_power(wave: Wave, audio: AudioConfig) -> Float[np.ndarray, " a"]:
    """Returns [ATTACK_POINTS]: mean power under Hann windows of two hops, a hop apart."""
    hop = audio.attack_hop
    power = np.zeros((ATTACK_POINTS + 1) * hop, np.float32)
    n = min(len(wave), ATTACK_POINTS * hop)
    power[hop : hop + n] = np.square(wave[:n])
    halves = power.reshape(-1, hop) @ _hann_halves(hop)
    return halves[:-1, 0] + halves[1:, 1]


def attack_power_jax(wave: Float[Array, "*b n"], audio: AudioConfig) -> Float[Array, "*b a"]:
    """Does `attack_power` under jit; the wave has ATTACK_POINTS hops at least."""
    import jax.numpy as jnp

    hop = audio.attack_hop
    start = jnp.square(wave[..., : ATTACK_POINTS * hop])
    blocks = jnp.pad(start, [(0, 0)] * (wave.ndim - 1) + [(hop, 0)])
    halves = blocks.reshape(*wave.shape[:-1], -1, hop) @ _hann_halves(hop)
    return halves[..., :-1, 0] + halves[..., 1:, 1]


@functools.lru_cache(maxsize=8)
def _hann_halves(hop: int) -> Float[np.ndarray, "hop 2"]:
    """Returns the rising and the falling half of a window of two hops whose sum is 1."""
    return window(2 * hop).reshape(2, hop).T / hop


def pad(log_mels: Sequence[Any], audio: AudioConfig) -> Float[np.ndarray, "b t m"]:
    """Pads spectrograms with floor_db to one block [b, n_frames, n_mels], float32."""
    block = np.full((len(log_mels), audio.n_frames, audio.n_mels), audio.floor_db, np.float32)
    for row, log_mel in zip(block, log_mels, strict=True):
        row[: len(log_mel)] = log_mel[: audio.n_frames]
    return block


def fix_length(wave: Wave, n_samples: int) -> Float[np.ndarray, " m"]:
    """Cuts a wave or fills it up with silence to [n_samples] float32."""
    result = np.zeros(n_samples, np.float32)
    result[: len(wave)] = wave[:n_samples]
    return result


def to_db(mel: Float[np.ndarray, "t m"], floor_db: float) -> LogMel:
    """Converts mel power to dB relative to its largest cell, cut at `floor_db`: float32."""
    loudest = mel.max(initial=0.0)
    if loudest <= 1e-20:  # silence: 16-bit noise is nine orders of magnitude above this
        return np.full(mel.shape, floor_db, np.float32)
    floor = 10.0 ** (floor_db / 10.0)
    return (10.0 * np.log10(np.maximum(mel / loudest, floor))).astype(np.float32)


@functools.lru_cache(maxsize=8)
def mel_basis(audio: AudioConfig) -> Float[np.ndarray, "m f"]:
    """Returns triangular mel bands [n_mels, n_fft // 2 + 1], 0 Hz to Nyquist, of equal area."""
    edges = band_edges(audio)
    bins = np.fft.rfftfreq(audio.n_fft, 1.0 / audio.sample_rate)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    bands = np.maximum(0.0, np.minimum(rising, falling))
    basis = (bands * (2.0 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)
    basis.flags.writeable = False
    return basis


def band_groups(
    basis: Float[np.ndarray, "m f"], size: int
) -> list[tuple[slice, slice, Float[np.ndarray, "_m _f"]]]:
    """Divides the bands into groups of `size`: (bands, their bins, their part of the basis).

    Outside these bins the basis is zero, so products leave them out.
    """
    groups = []
    for first in range(0, len(basis), size):
        bands = slice(first, first + size)
        used = np.flatnonzero(basis[bands].any(axis=0))
        bins = slice(used[0], used[-1] + 1) if used.size else slice(0)
        groups.append((bands, bins, basis[bands, bins]))
    return groups


@functools.lru_cache(maxsize=8)
def _mel_parts(audio: AudioConfig) -> list[tuple[slice, Float[np.ndarray, "_f _m"]]]:
    """Returns the bins of each group of bands, and the matrix that they are multiplied by."""
    groups = band_groups(mel_basis(audio), MEL_GROUP)
    return [(bins, np.ascontiguousarray(part.T)) for _, bins, part in groups]


def band_edges(audio: AudioConfig) -> Float[np.ndarray, " edges"]:
    """Returns the edges of the mel bands [n_mels + 2], Hz: band i peaks at edge i + 1."""
    return _mel_to_hz(np.linspace(0.0, _hz_to_mel(audio.sample_rate / 2), audio.n_mels + 2))


@functools.lru_cache(maxsize=8)
def window(n_fft: int) -> Float[np.ndarray, " n"]:
    """Returns the periodic Hann window, float32 [n_fft], read-only."""
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)
    hann.flags.writeable = False
    return hann


def log_mel_jax(wave: Float[Array, "*b n"], audio: AudioConfig) -> Float[Array, "*b t m"]:
    """Does `log_mel` for batches under jit and grad; dB relative to each clip's loudest cell."""
    import jax.numpy as jnp

    mel = jnp.square(jnp.abs(stft(wave, audio))) @ mel_basis(audio).T
    loudest = jnp.max(mel, axis=(-2, -1), keepdims=True)
    floor = 10.0 ** (audio.floor_db / 10.0)
    relative = mel / jnp.where(loudest <= 1e-20, 1.0, loudest)
    return 10.0 * jnp.log10(jnp.maximum(relative, floor))


def stft(wave: Float[Array, "*b n"], audio: AudioConfig) -> Any:
    """Computes the complex spectrogram [..., frames_of(n), n_fft // 2 + 1] under jit."""
    import jax.numpy as jnp

    # Frames are built from whole hops, which costs a reshape instead of a gather.
    per_frame, n = audio.n_fft // audio.hop, wave.shape[-1]
    frames = audio.frames_of(n)
    total = (frames + per_frame - 1) * audio.hop
    left = audio.n_fft // 2
    padded = jnp.pad(wave, [(0, 0)] * (wave.ndim - 1) + [(left, max(0, total - left - n))])
    hops = padded[..., :total].reshape(*wave.shape[:-1], -1, audio.hop)
    parts = [hops[..., i : i + frames, :] for i in range(per_frame)]
    return jnp.fft.rfft(jnp.concatenate(parts, axis=-1) * window(audio.n_fft), axis=-1)


def istft(spectrum: Any, audio: AudioConfig, n_samples: int) -> Float[Array, "*b n"]:
    """Inverts `stft` by least squares: windowed overlap-add over the window's energy."""
    import jax.numpy as jnp

    per_frame, hop = audio.n_fft // audio.hop, audio.hop
    frames = jnp.fft.irfft(spectrum, n=audio.n_fft, axis=-1) * window(audio.n_fft)
    wave = _overlap_add(frames, per_frame, hop)
    energy = _overlap_add(
        jnp.broadcast_to(jnp.square(window(audio.n_fft)), frames.shape[-2:]), per_frame, hop
    )
    left = audio.n_fft // 2
    return (wave / jnp.maximum(energy, 1e-3))[..., left : left + n_samples]


def _overlap_add(frames: Any, per_frame: int, hop: int) -> Any:
    import jax.numpy as jnp

    *batch, t, _ = frames.shape
    parts = frames.reshape(*batch, t, per_frame, hop)
    none = [(0, 0)] * len(batch)
    shifted = [
        jnp.pad(parts[..., i, :], [*none, (i, per_frame - 1 - i), (0, 0)]) for i in range(per_frame)
    ]
    return sum(shifted).reshape(*batch, -1)  # type: ignore[union-attr]


def frames(wave: Wave, audio: AudioConfig) -> Float[np.ndarray, "t n_fft"]:
    """Cuts one clip into windowed frames, centred on multiples of `hop`, zeros beyond its ends."""
    half = audio.n_fft // 2
    padded = np.zeros(len(wave) + audio.n_fft, np.float32)
    padded[half : half + len(wave)] = wave
    frames = np.lib.stride_tricks.sliding_window_view(padded, audio.n_fft)[:: audio.hop]
    return frames[: audio.frames_of(len(wave))] * window(audio.n_fft)


def _hz_to_mel(hz: float) -> float:
    """Converts to Slaney's scale: linear to 1 kHz, logarithmic above (Auditory Toolbox, 1998)."""
    return hz * 3 / 200 if hz < 1000.0 else 15.0 + np.log(hz / 1000.0) / (np.log(6.4) / 27.0)


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15.0, mel * 200 / 3, 1000.0 * np.exp(np.log(6.4) / 27.0 * (mel - 15.0)))
