"""The sounds that a report lets one hear."""

from collections.abc import Mapping, Sequence

import numpy as np

from sst.evaluation.sounds import Sounds
from sst.evaluation.systems import System
from sst.evaluation.waves import Waves
from sst.report.media import Exhibit
from sst.types import Wave

SOUNDS = 12
DRAWS = 10
SHOWN = ("model", "pca", "samplevae", "griffinlim", "ceiling")


def exhibits(
    chosen: Mapping[str, System], held_out: Sounds, waves: Waves, seed: int
) -> list[Exhibit]:
    """Reconstructions, draws and interpolations, as tables of sounds."""
    made = [_reconstructions(chosen, held_out, waves, seed), _draws(chosen, waves)]
    return [*made, *_walks(chosen, held_out, waves)]


def spread_over_classes(classes: Sequence[str], count: int, seed: int) -> list[int]:
    """Up to `count` rows at random, of as many classes as there are, in ascending order."""
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
    names = [name for name in SHOWN if name in waves.remade]
    rows: list[tuple[str, list[Wave | None]]] = []
    for row in spread_over_classes(held_out.classes, SOUNDS, seed):
        made = [held_out.waves[row], *(waves.remade[name][row] for name in names)]
        # Two seconds of a decoder that does not know when to stop would hide the sound itself.
        rows.append((_short(held_out.ids[row]), [w[: len(held_out.waves[row])] for w in made]))
    return Exhibit(
        "Held-out sounds, and what the systems make of them",
        "Chosen at random, of as many classes as there are. All players are at the same peak "
        "level; sounds are cut at the length of the original.",
        ["original", *(chosen[name].title for name in names)],
        rows,
    )


def _draws(chosen: Mapping[str, System], waves: Waves) -> Exhibit:
    names = list(waves.draws)
    count = min([DRAWS, *(len(made) for made in waves.draws.values())])
    return Exhibit(
        "Random draws",
        "The first ones of each system, none left out.",
        [chosen[name].title for name in names],
        [(str(i + 1), [waves.draws[name][i] for name in names]) for i in range(count)],
    )


def _walks(chosen: Mapping[str, System], held_out: Sounds, waves: Waves) -> list[Exhibit]:
    if not waves.walks:
        return []
    rows: list[tuple[str, list[Wave | None]]] = []
    for name, walks in waves.walks.items():
        for walk in walks[:2]:
            ends = " to ".join(_short(held_out.ids[row]) for row in walk.ends)
            rows.append((f"{chosen[name].title}: {ends}", list(walk.waves)))
    steps = max(len(made) for _, made in rows)
    return [
        Exhibit(
            "Interpolations",
            "From one held-out sound to another of another pack, straight through the latent "
            "space.",
            [f"{i / (steps - 1):.2f}" for i in range(steps)],
            rows,
        )
    ]


def _short(name: str) -> str:
    """The file with the folder that it lies in."""
    return "/".join(name.split("/")[-2:])
