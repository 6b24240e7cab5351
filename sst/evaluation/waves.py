"""Every sound that is measured or heard, computed once."""

from collections.abc import Mapping
from typing import NamedTuple

from sst.evaluation import generation, interpolation
from sst.evaluation.clock import Clock
from sst.evaluation.sounds import Sounds
from sst.evaluation.systems import System
from sst.types import Wave

MOST_DRAWS = 256


class Waves(NamedTuple):
    """What the systems made, each wave computed once."""

    remade: dict[str, list[Wave]]
    draws: dict[str, list[Wave]]
    walks: dict[str, list[interpolation.Walk]]


def make_waves(chosen: Mapping[str, System], held_out: Sounds, seed: int, clock: Clock) -> Waves:
    """Every sound that is measured or heard."""
    n_draws = min(max(held_out.size, generation.FEWEST), MOST_DRAWS)
    pairs = interpolation.choose_pairs(held_out.packs, seed)
    waves = Waves({}, {}, {})
    for name, system in chosen.items():
        if system.reconstruct:
            with clock(f"reconstructing {held_out.size:,} sounds: {system.title}"):
                waves.remade[name] = system.reconstruct(held_out)
        if system.draw:
            with clock(f"drawing {n_draws:,} sounds: {system.title}"):
                waves.draws[name] = system.draw(n_draws)
        if system.decode and len(pairs):
            with clock(f"interpolating: {system.title}"):
                waves.walks[name] = interpolation.walk(system, held_out, pairs)
    return waves
