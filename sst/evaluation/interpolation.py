"""What lies between sounds: interpolations and mixes of held-out sounds."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from sst.evaluation import figures, metrics, systems
from sst.evaluation.sounds import Sounds
from sst.evaluation.systems import System
from sst.types import Wave

STEPS = 7  # of an interpolation, both ends included
PAIRS = 16
MIXES = 24
MIXED = 3  # sounds in a mix


class Walk(NamedTuple):
    """The waves along one interpolation."""

    ends: tuple[int, int]  # rows of the sounds
    waves: list[Wave]


def choose_pairs(packs: Sequence[str], seed: int) -> np.ndarray:
    """`PAIRS` pairs of rows, [p, 2], of different packs where there are several; none for one."""
    if len(packs) < 2:
        return np.zeros((0, 2), int)
    rng, pairs = np.random.default_rng(seed), []
    names = np.array(packs)
    for _ in range(PAIRS):
        first = int(rng.integers(len(packs)))
        others = np.flatnonzero(names != names[first])
        others = others if len(others) else np.delete(np.arange(len(packs)), first)
        pairs.append((first, int(rng.choice(others))))
    return np.array(pairs)


def choose_parts(n: int, seed: int) -> np.ndarray:
    """`MIXES` choices of `MIXED` different rows of `n`, [m, 3]."""
    rng = np.random.default_rng(seed)
    return np.array([rng.permutation(n)[:MIXED] for _ in range(MIXES)])


def walk(system: System, sounds: Sounds, pairs: np.ndarray, steps: int = STEPS) -> list[Walk]:
    """Interpolations between pairs of sounds, straight in the system's latent space."""
    assert system.encode and system.decode
    z = system.encode(sounds)
    shares = np.linspace(0.0, 1.0, steps, dtype=np.float32)[:, None]
    walks = []
    for a, b in pairs:
        line = (1.0 - shares) * z[a] + shares * z[b]
        walks.append(Walk((int(a), int(b)), [system.decode(point) for point in line]))
    return walks


def measure(
    system: System,
    walks: Sequence[Walk],
    sounds: Sounds,
    sample_rate: int,
    seed: int,
) -> dict[str, figures.Figure]:
    """The figures of `definitions.PATHS` for one system."""
    centre = systems.mfcc_of(sounds.waves, sample_rate)
    spread = np.maximum(centre.std(axis=0), 1e-9)
    smooth = [
        metrics.path_smoothness(systems.mfcc_of(w.waves, sample_rate) / spread) for w in walks
    ]
    holes = [
        metrics.level_hole_db(np.array([metrics.level_db(wave) for wave in w.waves])) for w in walks
    ]
    mixed = mix_holes(system, sounds, seed)
    return {
        "smoothness": figures.over_files(smooth, None, "mean", seed),
        "level_hole_db": figures.over_files(holes, None, "mean", seed),
        "mix_hole_db": figures.over_files(mixed, None, "mean", seed),
    }


def mix_holes(system: System, sounds: Sounds, seed: int) -> list[float]:
    """How many dB each of `MIXES` random mixes lies below the weighted mean level of its parts.

    The parts are what the system makes of the sounds, so that only the mixing counts.
    """
    assert system.encode and system.decode
    if sounds.size < MIXED:
        return []
    rows = choose_parts(sounds.size, seed)
    weights = np.random.default_rng(seed).dirichlet(np.ones(MIXED), len(rows)).astype(np.float32)
    z = system.encode(sounds)
    level = _remembered(lambda row: metrics.level_db(system.decode(z[row])))  # type: ignore[misc]
    holes = []
    for parts, shares in zip(rows, weights, strict=True):
        straight = sum(share * level(int(row)) for row, share in zip(parts, shares, strict=True))
        holes.append(max(0.0, straight - metrics.level_db(system.decode(shares @ z[parts]))))
    return holes


def _remembered(measure: Callable[[int], float]) -> Callable[[int], float]:
    known: dict[int, float] = {}

    def value(row: int) -> float:
        if row not in known:
            known[row] = measure(row)
        return known[row]

    return value
