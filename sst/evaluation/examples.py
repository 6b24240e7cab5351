"""The tables of sounds in a report: reconstructions, draws and interpolations."""

from collections.abc import Mapping, Sequence

import numpy as np

from sst.evaluation.sounds import Sounds, short_name
from sst.evaluation.systems import System
from sst.evaluation.waves import Waves
from sst.report.media import Exhibit
from sst.types import Wave

MAX_SOUNDS = 12
MAX_DRAWS = 10
SHOWN_SYSTEMS = ("model", "pca", "samplevae", "griffinlim", "ceiling")


def make_exhibits(
    chosen: Mapping[str, System], held_out: Sounds, waves: Waves, seed: int
) -> list[Exhibit]:
    """Returns the tables of reconstructions, draws and interpolations."""
    made = [_reconstructions(chosen, held_out, waves, seed), _draws(chosen, waves)]
    return [*made, *_interpolations(chosen, held_out, waves)]


def choose_over_classes(classes: Sequence[str], count: int, seed: int) -> list[int]:
    """Chooses up to `count` rows at random, of as many classes as possible, in ascending order."""
    order = np.random.default_rng(seed).permutation(len(classes))
    seen: dict[str, int] = {}
    ranked: list[tuple[int, int, int]] = []
    for row in order:
        turn = seen[classes[row]] = seen.get(classes[row], 0) + 1
        ranked.append((turn, len(ranked), int(row)))
    return sorted(row for _, _, row in sorted(ranked)[:count])


def _reconstructions(
    chosen: Mapping[str, System], held_out: Sounds, waves: Waves, seed: int
) -> Exhibit:
    names = [name for name in SHOWN_SYSTEMS if name in waves.reconstructions]
    rows: list[tuple[str, list[Wave | None]]] = []
    for row in choose_over_classes(held_out.classes, MAX_SOUNDS, seed):
        made = [held_out.waves[row], *(waves.reconstructions[name][row] for name in names)]
        # Two seconds of a decoder that does not know when to stop would hide the sound itself.
        rows.append((short_name(held_out.ids[row]), [w[: len(held_out.waves[row])] for w in made]))
    return Exhibit(
        "Held-out sounds and their reconstructions",
        "Chosen at random, of as many classes as there are. All players are at the same peak "
        "level; sounds are cut at the length of the original.",
        ["original", *(chosen[name].title for name in names)],
        rows,
    )


def _draws(chosen: Mapping[str, System], waves: Waves) -> Exhibit:
    names = list(waves.draws)
    count = min([MAX_DRAWS, *(len(made) for made in waves.draws.values())])
    return Exhibit(
        "Random draws",
        "The first ones of each system, none left out.",
        [chosen[name].title for name in names],
        [(str(i + 1), [waves.draws[name][i] for name in names]) for i in range(count)],
    )


def _interpolations(chosen: Mapping[str, System], held_out: Sounds, waves: Waves) -> list[Exhibit]:
    if not waves.interpolations:
        return []
    rows: list[tuple[str, list[Wave | None]]] = []
    for name, found in waves.interpolations.items():
        for one in found[:2]:
            ends = " to ".join(short_name(held_out.ids[row]) for row in one.ends)
            rows.append((f"{chosen[name].title}: {ends}", list(one.waves)))
    steps = max(len(made) for _, made in rows)
    return [
        Exhibit(
            "Interpolations",
            "From one held-out sound to another of another pack, on a straight line through the "
            "latent space.",
            [f"{i / (steps - 1):.2f}" for i in range(steps)],
            rows,
        )
    ]
