"""The output waves of the systems, computed once for the measures and the examples."""

from collections.abc import Mapping
from typing import NamedTuple

from sst.evaluation import generation, interpolation
from sst.evaluation.clock import Clock
from sst.evaluation.interpolation import Interpolation
from sst.evaluation.sounds import Sounds
from sst.evaluation.systems import System
from sst.types import Wave

MAX_DRAWS = 256


class Waves(NamedTuple):
    """The outputs of the systems, by the system's name."""

    reconstructions: dict[str, list[Wave]]  # one per held-out sound
    draws: dict[str, list[Wave]]
    interpolations: dict[str, list[Interpolation]]


def make_waves(chosen: Mapping[str, System], held_out: Sounds, seed: int, clock: Clock) -> Waves:
    """Makes the reconstructions, random draws and interpolations of each system that has them."""
    n_draws = min(max(held_out.size, generation.MIN_SOUNDS), MAX_DRAWS)
    pairs = interpolation.choose_pairs(held_out.packs, seed)
    waves = Waves({}, {}, {})
    for name, system in chosen.items():
        if system.reconstruct:
            with clock(f"reconstructing {held_out.size:,} sounds: {system.title}"):
                waves.reconstructions[name] = system.reconstruct(held_out)
        if system.draw:
            with clock(f"drawing {n_draws:,} sounds: {system.title}"):
                waves.draws[name] = system.draw(n_draws)
        if system.decode and len(pairs):
            with clock(f"interpolating: {system.title}"):
                waves.interpolations[name] = interpolation.interpolate(system, held_out, pairs)
    return waves
