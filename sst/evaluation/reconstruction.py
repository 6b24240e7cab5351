"""Errors of the reconstructions of held-out sounds."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from sst.evaluation import figures, metrics
from sst.evaluation.figures import Absent
from sst.evaluation.sounds import Sounds
from sst.types import Wave

AVERAGED = ("log_mel_l1_db", "stft_distance")  # over files; of the others the median


def measure_errors(
    original: Wave, other: Wave, sample_rate: int, pitched: bool
) -> dict[str, float]:
    """Returns the errors of one reconstruction, by the names of `definitions.RECONSTRUCTION`.

    Args:
        original: [n] samples.
        other: [m] samples, its reconstruction.
        sample_rate: of both, Hz.
        pitched: the original has a clear pitch, which is found once and not for every system.

    Returns:
        Values >= 0 in the units of the definitions; nan where an error does not apply to the
        original, inf where what it measures is lost.
    """
    return {
        "log_mel_l1_db": metrics.log_mel_l1(original, other, sample_rate),
        "stft_distance": metrics.stft_distance(original, other, sample_rate),
        "pitch_cents": (
            metrics.pitch_error_cents(original, other, sample_rate) if pitched else math.nan
        ),
        "attack_ms": metrics.attack_error_ms(original, other, sample_rate),
        "decay_octaves": metrics.decay_error_octaves(original, other, sample_rate),
        "level_db": metrics.level_error_db(original, other),
    }


def measure(
    sounds: Sounds, reconstructions: Mapping[str, Sequence[Wave]], sample_rate: int
) -> dict[str, dict[str, np.ndarray]]:
    """Returns every error of every system: system -> quantity -> [n].

    Args:
        sounds: [n] the originals.
        reconstructions: system -> one wave per original.
        sample_rate: of all, Hz.
    """
    pitched = [math.isfinite(metrics.pitch_hz(wave, sample_rate)) for wave in sounds.waves]
    found = {}
    for name, waves in reconstructions.items():
        rows = [
            measure_errors(original, wave, sample_rate, has_pitch)
            for original, wave, has_pitch in zip(sounds.waves, waves, pitched, strict=True)
        ]
        found[name] = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    return found


def summarise(
    found: Mapping[str, np.ndarray], packs: Sequence[str], seed: int
) -> dict[str, figures.Figure]:
    """Returns the figures of one system from its errors [n] per quantity."""
    summary = {
        name: figures.over_files(values, packs, "mean" if name in AVERAGED else "median", seed)
        for name, values in found.items()
    }
    cents = found["pitch_cents"]
    lost = np.where(np.isnan(cents), np.nan, np.isinf(cents).astype(float))
    no_pitch = Absent("none of these sounds has a clear pitch")
    summary["pitch_lost"] = figures.over_files(lost, packs, "mean", seed, no_pitch)
    return summary
