"""Waveforms from the decoder's output."""

import numpy as np

from sst.config import AudioConfig
from sst.dsp import features, vocoder
from sst.model.network import Decoded
from sst.model.pca import LOWEST_PEAK_DB
from sst.types import Wave

LENGTH_DIVISORS = (4, 2, 1)  # of the longest clip
SPARE_FRAMES = 4  # after the end of a sound, where its last windows fade
CREST_RANGE = (0.5, 2.0)  # of the peak, relative to the decoded one
FADE_S = 0.004  # at the end of a decoded sound


def waveform(sound: Decoded, config: AudioConfig) -> Wave:
    """Makes the waveform of a decoded spectrogram, attack, length and level.

    Args:
        sound: one row: log_mel [t, m], n_frames [], peak_db [], attack [a].
        config: the transform.

    Returns:
        [n] float32, as long as `n_frames` says; zeros where the level is that of silence.
    """
    n_frames = int(sound.n_frames)
    total = _padded_frames(n_frames, config)
    samples = min(config.clip_samples, (total - 1) * config.hop)
    wave = vocoder.invert(sound.log_mel[:total], config, samples, sound.attack)
    wave = np.array(wave)[: max(1, (n_frames - 1) * config.hop)]
    fade = min(len(wave), round(FADE_S * config.sample_rate))
    wave[len(wave) - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    peak, level = float(np.max(np.abs(wave))), float(sound.peak_db)
    if peak < 1e-9 or level <= LOWEST_PEAK_DB:
        return np.zeros_like(wave)
    # Set by the power at the start: the inversion keeps power better than it keeps peaks.
    target = float((10.0 ** (sound.attack / 10.0)).sum())
    power = max(float(features.attack_power(wave, config).sum()), 1e-20)
    crest = np.clip(peak * np.sqrt(target / power), *CREST_RANGE)  # a slow sound starts quietly
    return wave * np.float32(10.0 ** (level / 20.0) * crest / peak)


def _padded_frames(n_frames: int, config: AudioConfig) -> int:
    """Returns one of a few lengths in frames, a compiled program each; most sounds are short."""
    lengths = (-(-config.n_frames // divisor) for divisor in LENGTH_DIVISORS)
    return next(n for n in lengths if n >= min(n_frames + SPARE_FRAMES, config.n_frames))
