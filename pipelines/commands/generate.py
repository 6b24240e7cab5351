"""`generate`: new sounds, written with their recipes."""

import argparse
import functools
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.console.messages import put, say
from pipelines.library_session import open_library_session
from sst.errors import UsageError

if TYPE_CHECKING:  # for mypy alone: these take seconds to import
    from sst.generation.novelty_filter import Collection
    from sst.generation.recipe import Recipe
    from sst.inference import Model


def generate(arguments: argparse.Namespace) -> None:
    """Makes sounds and writes them."""
    from sst.generation import recipe

    origin = _check(arguments)
    seed = secrets.randbelow(recipe.MAX_SEED) if arguments.seed is None else arguments.seed
    count = arguments.interpolate or arguments.num or 1
    paths = _output_paths(arguments, _name(arguments), seed, count)

    from sst import inference

    arguments.model = arguments.model or (origin and origin.model) or "model_test"
    model = inference.load(arguments.model)
    draw = functools.partial(_recipes, arguments, model, origin)
    recipes = draw(arguments.num or 1, seed)
    collections = _collections(arguments)
    for path, first in zip(paths, recipes, strict=True):
        _write(path, first, arguments, model, collections, draw)
    if "training" not in [collection.name for collection in collections]:
        say("The model was exported without its training sounds: novelty is not measured.")
    if arguments.seed is None and _is_random(arguments):
        say(f"seed {seed}: --seed {seed} gives the same again")


def _write(
    path: Path,
    first: "Recipe",
    arguments: argparse.Namespace,
    model: "Model",
    collections: "list[Collection]",
    draw: "Callable[[int, int], list[Recipe]]",
) -> None:
    """Renders one sound, drawn again where it is not novel enough, writes and describes it."""
    from sst.generation import novelty_filter, rendering

    if arguments.min_novelty is None:
        wave, one = novelty_filter.render(model, first, collections)
    else:
        least = arguments.min_novelty
        wave, one = novelty_filter.render_novel(model, first, collections, least, draw)
    rendering.write(path, wave, one)
    if not sys.stdout.isatty():
        put(f"{path}\n")
    say(f"wrote {path} ({_describe(one, model, bool(wave.any()))})")
    _say_novelty(one, arguments.min_novelty or 0.0)


def _check(arguments: argparse.Namespace) -> "Recipe | None":
    """Checks the options before the model is loaded; returns the recipe of --from, if any."""
    from sst import files
    from sst.generation import recipe

    _check_values(arguments)
    _check_sources(arguments)
    _check_interpolation_and_mix(arguments)
    _check_novelty(arguments)
    for file in arguments.audio_files or []:
        files.existing_file(file)
    return recipe.read(arguments.origin) if arguments.origin else None


def _check_values(arguments: argparse.Namespace) -> None:
    from sst.audio import reader, wav
    from sst.generation import recipe

    if arguments.subtype not in (None, *wav.SUBTYPES):
        raise UsageError(f"--subtype {arguments.subtype}: give {' or '.join(wav.SUBTYPES)}.")
    low, high = reader.RATES
    if arguments.sample_rate is not None and not low <= arguments.sample_rate <= high:
        raise UsageError(f"--sample-rate {arguments.sample_rate}: give {low} to {high} Hz.")
    if arguments.seed is not None and not 0 <= arguments.seed <= recipe.MAX_SEED:
        raise UsageError(f"--seed {arguments.seed}: give 0 to {recipe.MAX_SEED}.")
    if arguments.num is not None and arguments.num < 1:
        raise UsageError(f"--num {arguments.num}: give at least 1.")


def _check_sources(arguments: argparse.Namespace) -> None:
    """Checks that the options belong to one source: the prior, files, or a recipe."""
    files, weights = arguments.audio_files, arguments.weights
    if arguments.origin and (files or weights or arguments.interpolate):
        raise UsageError(
            "--from makes a sound again: leave out --audio-files, --weights and --interpolate."
        )
    if arguments.class_name and (files or arguments.origin):
        raise UsageError("--class is for random sounds: leave out --audio-files and --from.")
    if weights and not files:
        raise UsageError("--weights needs --audio-files, one file for each weight.")


def _check_interpolation_and_mix(arguments: argparse.Namespace) -> None:
    from sst.generation import sampling

    files, weights = arguments.audio_files, arguments.weights
    if arguments.interpolate is not None:
        sampling.check_interpolation(files or [], arguments.interpolate, arguments.variance)
        if weights or arguments.num:
            raise UsageError("--interpolate N makes N sounds: leave out --weights and --num.")
    elif files:
        sampling.weights_or_raise(len(files), weights, not arguments.no_normalize_weights)
    if (files or arguments.origin) and not arguments.interpolate:
        sampling.check_variations(1 if arguments.num is None else arguments.num, arguments.variance)
    elif arguments.variance and not files:
        raise UsageError(
            "--variance needs --audio-files or --from; random sounds have --temperature."
        )


def _check_novelty(arguments: argparse.Namespace) -> None:
    least = arguments.min_novelty
    if least is None:
        return
    if not 0.0 <= least <= 100.0:
        raise UsageError(f"--min-novelty {least:g}: give 0 to 100 per cent.")
    if arguments.interpolate or not _is_random(arguments):
        raise UsageError("--min-novelty needs sounds that can be drawn again: random ones, or"
                         " variations by --variance.")  # fmt: skip


def _collections(arguments: argparse.Namespace) -> "list[Collection]":
    """Returns the real sounds that the new ones are compared with."""
    from sst.generation import novelty_filter

    collections = novelty_filter.load_training_sounds(arguments.model)
    if arguments.library_dir:
        session = open_library_session(arguments)
        dirs, audio = arguments.library_dir, session.encoder.audio
        collections.append(novelty_filter.library_sounds(session.rows, dirs, audio))
    if arguments.min_novelty is not None:
        novelty_filter.check_min_novelty(collections, arguments.min_novelty)
    return collections


def _say_novelty(recipe: "Recipe", least: float) -> None:
    from sst.generation import novelty_filter

    names = {"training": "nearest training sound", "library": "nearest in the library"}
    for found in recipe.nearest:
        novelty = "novelty not measured, there are too few sounds"
        if found.novelty is not None:
            novelty = f"novelty {found.novelty:.0f} % (0 % = a copy)"
        say(f"  {names[found.of]}: {found.name}, {novelty}")
    if recipe.tries > 1:
        failed = novelty_filter.novelty_of(recipe) < least
        kept = f"; none was {least:g} % novel: kept the most novel one"
        say(f"  drawn {recipe.tries} times{kept if failed else ''}")


def _recipes(
    arguments: argparse.Namespace, model: "Model", origin: "Recipe | None", num: int, seed: int
) -> "list[Recipe]":
    from sst.generation import recipe, sampling

    variance, files = arguments.variance, arguments.audio_files
    output = sampling.Output(arguments.sample_rate, arguments.subtype or "PCM_16", arguments.model)
    if origin:
        chosen = recipe.replace_output(origin, arguments.sample_rate, arguments.subtype)
        return sampling.vary(model, chosen, variance, num, seed)
    if arguments.interpolate:
        return sampling.interpolate(model, files, arguments.interpolate, variance, seed, output)
    if files:
        normalize = not arguments.no_normalize_weights
        return sampling.mix(model, files, arguments.weights, normalize, variance, num, seed, output)
    return sampling.draw(model, num, seed, arguments.temperature, output, arguments.class_name)


def _is_random(arguments: argparse.Namespace) -> bool:
    return bool(arguments.variance) or not (arguments.audio_files or arguments.origin)


def _name(arguments: argparse.Namespace) -> str:
    if arguments.origin:
        return Path(arguments.origin).stem
    if arguments.audio_files:
        stems = [Path(file).stem for file in arguments.audio_files]
        between = "-to-" if arguments.interpolate else "-x-"
        return between.join(stems)[:120]
    return arguments.class_name or "random"


def _output_paths(arguments: argparse.Namespace, name: str, seed: int, count: int) -> list[Path]:
    """Returns a path per sound: --out itself, numbered names like it, or names in that folder."""
    from sst.generation import rendering

    out = Path(arguments.out).expanduser() if arguments.out else Path("out")
    is_folder = not arguments.out or out.is_dir() or arguments.out.endswith(("/", os.sep))
    if is_folder or not out.suffix:
        if not out.parent.is_dir():
            raise UsageError(f"No folder {out.parent} to make {out.name} in.")
        if out.exists() and not out.is_dir():
            raise UsageError(f"{out} is a file; give a folder, or a name ending in .wav.")
        paths = [out / f"{name}_seed{seed}_{i:03d}.wav" for i in range(1, count + 1)]
        if not out.exists():  # made when there is something to put in it
            return paths
    elif count == 1:
        paths = [out]
    else:
        paths = [out.with_stem(f"{out.stem}_{i:03d}") for i in range(1, count + 1)]
    return [rendering.check_output_path(path, arguments.overwrite) for path in paths]


def _describe(recipe: "Recipe", model: "Model", audible: bool) -> str:
    kind = {"PCM_16": "16 bit", "PCM_24": "24 bit", "FLOAT": "32 bit float"}[recipe.subtype]
    limit = min(recipe.sample_rate, model.config.audio.sample_rate) / 2000
    level = "peak -1 dB" if audible else "silent"
    return (
        f"{recipe.sample_rate / 1000:g} kHz, {kind}, {level};"
        f" content above {limit:g} kHz is not modelled"
    )
