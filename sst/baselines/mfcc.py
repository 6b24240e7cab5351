"""Mel-frequency cepstral coefficients of a sound, pooled: the plain vector of similarity search."""

import numpy as np
import scipy.fft
from jaxtyping import Float

from sst import features
from sst.baselines import griffinlim
from sst.metrics import PROTOCOL
from sst.types import Wave

COEFFICIENTS = 20
ACTIVE_DB = -60.0  # a frame counts where a cell of it is above this, relative to the loudest


def statistics(wave: Wave, sample_rate: int) -> Float[np.ndarray, " 40"]:
    """Mean and standard deviation over the active frames of 20 coefficients (Davis and Mermelstein,
    1980), and the mean size of their steps from frame to frame.

    16 kHz, 1024/256, 128 bands, decibels relative to the loudest cell with a floor of -80 dB,
    orthonormal cosine transform. To compare such vectors, divide each column by its spread.

    Args:
        wave: [n] mono samples at any level, n >= 1.
        sample_rate: in Hz.

    Returns:
        [40] float32, finite; the same for every silence.
    """
    narrow = griffinlim.resample(wave, sample_rate, PROTOCOL.sample_rate)
    log_mel = features.log_mel(narrow, PROTOCOL)
    active = log_mel.max(axis=1) > ACTIVE_DB
    cepstrum = scipy.fft.dct(log_mel[active] if active.any() else log_mel, norm="ortho", axis=1)
    kept = cepstrum[:, :COEFFICIENTS]
    return np.concatenate([kept.mean(axis=0), kept.std(axis=0)]).astype(np.float32)
