"""Sampling of latents: draws from the prior, mixes, interpolations, variations, as recipes."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import sst
from sst import files
from sst.errors import ModelError, UsageError, plural
from sst.generation.recipe import MAX_SEED, Recipe, Source
from sst.library import embed_files
from sst.types import Sound

if TYPE_CHECKING:  # for mypy alone: these take seconds to import
    from sst.inference import Model


class Output(NamedTuple):
    """The format of the files to write."""

    sample_rate: int | None = None  # Hz; the model's where None
    subtype: str = "PCM_16"
    model: str = ""  # the name it is loaded by; its own name where empty


DEFAULT_OUTPUT = Output()


def draw(
    model: "Model",
    num: int,
    seed: int,
    temperature: float = 1.0,
    output: Output = DEFAULT_OUTPUT,
    class_name: str | None = None,
) -> list[Recipe]:
    """Draws `num` latents from the prior of all training sounds, or of one class.

    Raises:
        UsageError: the model knows no such class; a negative temperature.
    """
    import jax

    from sst import inference  # Imported here, as everywhere below: JAX and Flax take seconds

    if not (np.isfinite(temperature) and temperature >= 0):
        raise UsageError(f"Got temperature {temperature}: give a number from 0 up.")
    kind = None if class_name is None else inference.known_class(model, class_name)
    key, num = jax.random.key(seed), _check_count(num)
    latents = inference.sample_prior(model, key, num, temperature, kind)
    base = dataclasses.replace(
        _base_recipe(model, "draw", seed, output), temperature=temperature, class_name=kind or ""
    )
    return _recipes(base, latents)


def mix(
    model: "Model",
    paths: Sequence[str | os.PathLike[str]],
    weights: Sequence[float] | None = None,
    normalize_weights: bool = True,
    variance: float = 0.0,
    num: int = 1,
    seed: int = 0,
    output: Output = DEFAULT_OUTPUT,
) -> list[Recipe]:
    """Mixes files: `num` weighted means of their latents, each with its own Gaussian noise.

    Raises:
        UsageError: weights that do not fit or add up to 0, a negative variance, no file.
        NothingToDo: a file that cannot be read, or is silent.
    """
    weights = weights_or_raise(len(paths), weights, normalize_weights)
    check_variations(num, variance)
    import jax.numpy as jnp

    from sst import inference

    sounds, latents = _encode_files(model, paths)
    mixed = inference.mix(jnp.asarray(latents), jnp.asarray(weights), normalize=normalize_weights)
    base = dataclasses.replace(
        _base_recipe(model, "mix", seed, output),
        variance=variance,
        normalize_weights=normalize_weights,
        sources=_sources(sounds, weights),
    )
    return _recipes(base, _add_noise(mixed, num, seed, variance))


def interpolate(
    model: "Model",
    paths: Sequence[str | os.PathLike[str]],
    steps: int,
    variance: float = 0.0,
    seed: int = 0,
    output: Output = DEFAULT_OUTPUT,
) -> list[Recipe]:
    """Interpolates in `steps` latents from one file to another, both ends included.

    Each has its own Gaussian noise of `variance`, where that is above 0.

    Raises:
        UsageError: another number of files than two, fewer than two steps, a negative variance.
        NothingToDo: a file that cannot be read, or is silent.
    """
    check_interpolation(paths, steps, variance)
    from sst import inference

    sounds, latents = _encode_files(model, paths)
    line = np.asarray(inference.interpolate(latents[0], latents[1], steps))
    if variance:
        line = np.concatenate([_add_noise(z, 1, seed + i, variance) for i, z in enumerate(line)])
    base = dataclasses.replace(
        _base_recipe(model, "interpolation", seed, output), variance=variance
    )
    recipes = _recipes(base, line)
    shares = [(1 - i / (steps - 1), i / (steps - 1)) for i in range(steps)]
    return [
        dataclasses.replace(recipe, sources=_sources(sounds, share))
        for recipe, share in zip(recipes, shares, strict=True)
    ]


def vary(
    model: "Model", recipe: Recipe, variance: float, num: int = 1, seed: int = 0
) -> list[Recipe]:
    """Varies a recipe: `num` latents with Gaussian noise of `variance`, or itself where that is 0.

    Raises:
        ModelError: the recipe is of another model, or its latent has another size.
        UsageError: a negative variance, or several sounds without any.
    """
    if recipe.model_digest != model.digest:
        raise ModelError(
            f"The sound was made with the model {recipe.model} ({recipe.model_digest}), and this"
            f" one is {model.digest}: give --model the one it was made with."
        )
    check_variations(num, variance)
    latent = np.asarray(recipe.latent, np.float32)
    if len(latent) != model.config.model.latent_dim:
        raise ModelError(
            f"The recipe does not fit its model: its latent has {len(latent)} numbers, those of the"
            f" model have {model.config.model.latent_dim}."
        )
    if not variance:
        return [recipe]
    base = dataclasses.replace(recipe, kind="variation", seed=seed, variance=variance)
    return _recipes(base, _add_noise(latent, num, seed, variance))


def weights_or_raise(
    n_files: int, weights: Sequence[float] | None, normalize: bool
) -> tuple[float, ...]:
    """Returns one finite weight per file; equal ones where none are given.

    Raises:
        UsageError: another number of them, one that is not finite, or a sum of 0 to divide by.
    """
    if n_files == 0:
        raise UsageError("A mix needs at least one file.")
    weights = (1.0,) * n_files if weights is None else tuple(float(w) for w in weights)
    if len(weights) != n_files:
        raise UsageError(
            f"Got {plural(n_files, 'file')} but {plural(len(weights), 'weight')}: give one"
            " weight per file."
        )
    if not np.isfinite(weights).all():
        raise UsageError("Got weights that are not finite: give numbers.")
    if normalize and abs(sum(weights)) < 1e-6 * max(1e-30, *map(abs, weights)):
        raise UsageError(
            "The weights add up to 0 and cannot be divided by their sum: give other weights, or"
            " --no-normalize-weights."
        )
    return weights


def check_interpolation(
    paths: Sequence[str | os.PathLike[str]], steps: int, variance: float
) -> None:
    """Checks the arguments of `interpolate`.

    Raises:
        UsageError: another number of files than two, fewer than two steps, a negative variance.
    """
    if len(paths) != 2 or steps < 2:
        raise UsageError(
            f"Got {plural(len(paths), 'file')} and {plural(steps, 'step')} to interpolate: give"
            " 2 files and at least 2 steps."
        )
    _check_variance(variance)


def check_variations(num: int, variance: float) -> None:
    """Checks the number and the variance of the sounds to make of one latent.

    Raises:
        UsageError: a negative variance, or several sounds that would all be the same.
    """
    _check_variance(variance)
    if _check_count(num) > 1 and variance == 0:
        raise UsageError(f"{num} sounds without --variance would all be the same: add --variance.")


def _check_variance(variance: float) -> None:
    if not (np.isfinite(variance) and variance >= 0):
        raise UsageError(f"Got variance {variance}: give a number from 0 up.")


def _check_count(num: int) -> int:
    if num < 1:
        raise UsageError(f"--num {num}: give at least 1.")
    return num


def _base_recipe(model: "Model", kind: str, seed: int, output: Output) -> Recipe:
    import jax

    if not 0 <= seed <= MAX_SEED:
        raise UsageError(f"Got seed {seed}: give a whole number from 0 to {MAX_SEED}.")
    return Recipe(
        kind=kind,
        model=output.model or model.config.name,
        model_digest=model.digest,
        latent=(),
        sample_rate=output.sample_rate or model.config.audio.sample_rate,
        subtype=output.subtype,
        seed=seed,
        versions={"sst": sst.__version__, "jax": jax.__version__, "numpy": np.__version__},
    )


def _recipes(base: Recipe, latents: Any) -> list[Recipe]:
    rows = np.asarray(latents, np.float32)
    return [
        dataclasses.replace(base, latent=tuple(map(float, row)), index=i)
        for i, row in enumerate(rows, 1)
    ]


def _add_noise(latent: Any, num: int, seed: int, variance: float) -> np.ndarray:
    """Returns a latent [z] with Gaussian noise, another in each row: [num, z]."""
    import jax

    from sst import inference

    if not variance:
        return np.repeat(np.asarray(latent, np.float32)[None], num, axis=0)
    keys = [jax.random.fold_in(jax.random.key(seed), i) for i in range(num)]
    return np.stack([np.asarray(inference.perturb(key, latent, variance)) for key in keys])


def _encode_files(
    model: "Model", paths: Sequence[str | os.PathLike[str]]
) -> tuple[list[Sound], np.ndarray]:
    """Decodes and encodes files; returns their sounds and their posterior means [n, z]."""
    from sst import inference

    sounds = embed_files.decode_or_raise(paths, model.config.audio)
    features = embed_files.features_of(sounds, model.config.audio)
    return sounds, np.asarray(inference.encode_features(model, features))


def _sources(sounds: Sequence[Sound], weights: Sequence[float]) -> tuple[Source, ...]:
    return tuple(
        Source(files.to_text(Path(sound.path).name), sound.digest, float(weight))
        for sound, weight in zip(sounds, weights, strict=True)
    )
