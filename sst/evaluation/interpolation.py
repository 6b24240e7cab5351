"""Interpolations between held-out sounds and mixes of them, in a system's latent space."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from sst.evaluation import figures, metrics, systems
from sst.evaluation.sounds import Sounds
from sst.evaluation.systems import System
from sst.types import Wave

N_STEPS = 7  # of an interpolation, both ends included
N_PAIRS = 16
N_MIXES = 24
SOUNDS_PER_MIX = 3  # sounds in a mix


class Interpolation(NamedTuple):
    """The waves along the path from one sound to another."""

    ends: tuple[int, int]  # rows of the sounds
    waves: list[Wave]  # N_STEPS of them, the ends included


def choose_pairs(packs: Sequence[str], seed: int) -> Int[np.ndarray, "p 2"]:
    """Chooses `N_PAIRS` pairs of rows, of different packs where there are several; none for one."""
    if len(packs) < 2:
        return np.zeros((0, 2), int)
    rng, pairs = np.random.default_rng(seed), []
    names = np.array(packs)
    for _ in range(N_PAIRS):
        first = int(rng.integers(len(packs)))
        others = np.flatnonzero(names != names[first])
        others = others if len(others) else np.delete(np.arange(len(packs)), first)
        pairs.append((first, int(rng.choice(others))))
    return np.array(pairs)


def choose_mixes(n: int, seed: int) -> Int[np.ndarray, "m k"]:
    """Chooses rows of `n` sounds, [N_MIXES, SOUNDS_PER_MIX]; those of one mix differ."""
    rng = np.random.default_rng(seed)
    return np.array([rng.permutation(n)[:SOUNDS_PER_MIX] for _ in range(N_MIXES)])


def interpolate(
    system: System, sounds: Sounds, pairs: Int[np.ndarray, "p 2"], steps: int = N_STEPS
) -> list[Interpolation]:
    """Decodes points at even steps on the straight line between the latents of each pair."""
    assert system.encode and system.decode
    z = system.encode(sounds)
    shares = np.linspace(0.0, 1.0, steps, dtype=np.float32)[:, None]
    found = []
    for a, b in pairs:
        line = (1.0 - shares) * z[a] + shares * z[b]
        found.append(Interpolation((int(a), int(b)), [system.decode(point) for point in line]))
    return found


def measure(
    system: System,
    interpolations: Sequence[Interpolation],
    sounds: Sounds,
    sample_rate: int,
    seed: int,
) -> dict[str, figures.Figure]:
    """Returns the figures of `definitions.PATHS` for one system.

    Args:
        system: it encodes and decodes.
        interpolations: made by it.
        sounds: the held-out sounds, which give the scale of the features.
        sample_rate: of all waves, Hz.
        seed: of the mixes and the intervals.
    """
    deviation = np.maximum(systems.mfcc_statistics(sounds.waves, sample_rate).std(axis=0), 1e-9)
    smoothness = [
        metrics.path_smoothness(systems.mfcc_statistics(one.waves, sample_rate) / deviation)
        for one in interpolations
    ]
    holes = [
        metrics.level_hole_db(np.array([metrics.level_db(wave) for wave in one.waves]))
        for one in interpolations
    ]
    mixed = mix_holes(system, sounds, seed)
    return {
        "smoothness": figures.over_files(smoothness, None, "mean", seed),
        "level_hole_db": figures.over_files(holes, None, "mean", seed),
        "mix_hole_db": figures.over_files(mixed, None, "mean", seed),
    }


def mix_holes(system: System, sounds: Sounds, seed: int) -> list[float]:
    """Returns the dB that each of `N_MIXES` random mixes lies below the mean level of its parts.

    The mean has the weights of the mix. The parts are what the system makes of the sounds, so that
    only the mixing counts. Each value is >= 0; fewer than `SOUNDS_PER_MIX` sounds give none.
    """
    encode, decode = system.encode, system.decode
    assert encode and decode
    if sounds.size < SOUNDS_PER_MIX:
        return []
    rows = choose_mixes(sounds.size, seed)
    weights = (
        np.random.default_rng(seed).dirichlet(np.ones(SOUNDS_PER_MIX), len(rows)).astype(np.float32)
    )
    z = encode(sounds)

    @functools.cache
    def level_db(row: int) -> float:
        return metrics.level_db(decode(z[row]))

    holes = []
    for parts, shares in zip(rows, weights, strict=True):
        mean = sum(share * level_db(int(row)) for row, share in zip(parts, shares, strict=True))
        holes.append(max(0.0, mean - metrics.level_db(decode(shares @ z[parts]))))
    return holes
