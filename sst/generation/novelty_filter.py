"""The novelty filter: the nearest real sound to a new one, and other draws where it is too near."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from sst.config import AudioConfig
from sst.errors import ModelError, UsageError
from sst.files import absolute, to_text
from sst.generation import rendering
from sst.generation.recipe import MAX_SEED, Recipe
from sst.library import copies
from sst.library.rows import Rows
from sst.model import export_format
from sst.search import aspects, novelty
from sst.search.novelty import KnownSounds, Nearest
from sst.types import Wave

if TYPE_CHECKING:  # for mypy alone: these take seconds to import
    from sst.inference import Model

MAX_DRAWS = 20  # draws of one sound, at most


class Collection(NamedTuple):
    """Real sounds that new ones are compared with."""

    name: str  # "training" or "library"
    known: KnownSounds


def load_training_sounds(name: str | os.PathLike[str]) -> list[Collection]:
    """Returns the training sounds of a model; none where it was exported without them.

    Raises:
        ModelError: there is no such model, or it is damaged.
    """
    known = export_format.load_known(export_format.find_model(name))
    return [] if known is None else [Collection("training", known)]


def library_sounds(
    rows: Rows, dirs: Sequence[str | os.PathLike[str]], audio: AudioConfig
) -> Collection:
    """Returns the sounds of a library by their timbre, named from the library's folder on.

    Args:
        rows: of the library's index.
        dirs: its folders.
        audio: the transform that the index was made with.
    """
    roots = [os.path.dirname(absolute(folder)) for folder in dirs]
    ids = [_below(path, roots) for path in rows.paths]
    timbre = np.ascontiguousarray(rows.vectors[:, : -aspects.SIZE])
    is_copy = copies.Comparison(rows, audio).same_sound
    spacing = novelty.measure_spacing(timbre, novelty.number_groups(ids), is_copy)
    return Collection("library", KnownSounds(ids, timbre, spacing))


def nearest(
    model: "Model", collections: Iterable[Collection], wave: Wave, sample_rate: int
) -> tuple[Nearest, ...]:
    """Finds the sound nearest to a wave [n] in each collection; none for silence."""
    from sst import inference

    if not np.any(wave):
        return ()
    vector = np.asarray(inference.embed(model, wave, sample_rate))
    return tuple(novelty.find_nearest(c.name, c.known, vector) for c in collections)


def render(
    model: "Model", recipe: Recipe, collections: Sequence[Collection]
) -> tuple[Float[np.ndarray, " n"], Recipe]:
    """Renders a recipe; returns the wave and the recipe with `nearest` filled in.

    The wave has the sample rate of the recipe, and its peak at -1 dBFS.
    """
    wave = rendering.render(model, recipe)
    found = nearest(model, collections, wave, recipe.sample_rate)
    return wave, dataclasses.replace(recipe, nearest=found)


def render_novel(
    model: "Model",
    recipe: Recipe,
    collections: Sequence[Collection],
    min_novelty: float,
    draw: Callable[[int, int], list[Recipe]],
) -> tuple[Float[np.ndarray, " n"], Recipe]:
    """Renders draws until one is novel enough, at most `MAX_DRAWS`; else keeps the most novel one.

    Args:
        model: the model.
        recipe: of the first draw.
        collections: of real sounds; the nearest of all counts. See `check_min_novelty`.
        min_novelty: the lowest novelty that is enough, 0 to 100 per cent.
        draw: makes other recipes from a number of them and a seed. The seed follows from the
            recipe's own seed and index, so that the same seed gives the same sounds again.

    Returns:
        The wave, and its recipe with the number of draws in `tries`.
    """
    wave, best = render(model, recipe, collections)
    tries = 1
    others = draw(MAX_DRAWS - 1, _next_seed(recipe)) if novelty_of(best) < min_novelty else []
    for other in others:
        numbered = dataclasses.replace(other, seed=recipe.seed, index=recipe.index)
        new_wave, new = render(model, numbered, collections)
        tries += 1
        if novelty_of(new) > novelty_of(best):
            wave, best = new_wave, new
        if novelty_of(best) >= min_novelty:
            break
    return wave, dataclasses.replace(best, tries=tries)


def novelty_of(recipe: Recipe) -> float:
    """Returns the novelty of a rendered recipe in per cent, the lowest over the collections.

    Silence, and a sound whose novelty was not measured, has 0.
    """
    known = [found.novelty for found in recipe.nearest if found.novelty is not None]
    return min(known, default=0.0)


def check_min_novelty(collections: Sequence[Collection], min_novelty: float) -> None:
    """Checks that a lowest novelty is a percentage, and that novelty can be measured.

    Raises:
        UsageError: it is no percentage.
        ModelError: there are no real sounds to compare with, or too few to say how near is near.
    """
    if not 0.0 <= min_novelty <= 100.0:
        raise UsageError(f"A novelty of {min_novelty:g} should be 0 to 100 per cent.")
    if not any(len(collection.known.spacing) for collection in collections):
        raise ModelError(
            "Novelty cannot be measured: the model was exported without its training sounds, or"
            " has too few. Give --library-dir."
        )


def _next_seed(recipe: Recipe) -> int:
    state = np.random.SeedSequence([recipe.seed, recipe.index]).generate_state(1)
    return int(state[0]) % MAX_SEED


def _below(path: str, roots: Sequence[str]) -> str:
    """Returns the path from the name of its library's folder on, with slashes."""
    inside = [os.path.relpath(path, root) for root in roots if path.startswith(root)]
    return to_text(min(inside, key=len, default=path)).replace(os.sep, "/")
