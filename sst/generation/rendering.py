"""Rendering: from the latent of a recipe to a wave, and to a WAV file that holds the recipe."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from sst import atomic, files
from sst.audio.clip import resample
from sst.audio.wav import write_wave
from sst.errors import ModelError, ResourceError, UsageError
from sst.generation.recipe import Recipe

if TYPE_CHECKING:  # for mypy alone: these take seconds to import
    from sst.inference import Model

PEAK = 10 ** (-1 / 20)  # -1 dBFS


def render(model: "Model", recipe: Recipe) -> Float[np.ndarray, " n"]:
    """Decodes the latent of a recipe to a wave at the recipe's rate; silence stays silence.

    Sounds are decoded one at a time, so that each is bit-identical whatever is made with it.

    Returns:
        [n] float32, with its peak at -1 dBFS.

    Raises:
        ModelError: the wave is not finite.
    """
    import jax.numpy as jnp

    from sst import inference

    wave = np.asarray(inference.decode(model, jnp.asarray(recipe.latent)), np.float32)
    if not np.isfinite(wave).all():
        raise ModelError("The decoded sound is not finite: lower the variance or the weights.")
    wave = resample(wave, model.config.audio.sample_rate, recipe.sample_rate)
    peak = float(np.max(np.abs(wave), initial=0.0))
    return wave if peak == 0.0 else wave * np.float32(PEAK / peak)


def write(path: Path, wave: Float[np.ndarray, " n"], recipe: Recipe) -> None:
    """Writes a wave [n] as WAV with its recipe inside, and the recipe as `.json` beside it.

    Makes the folder where only that is missing.

    Raises:
        ResourceError: the folder cannot be written; neither file is left half written.
    """
    try:
        path.parent.mkdir(exist_ok=True)
        write_wave(path, wave, recipe.sample_rate, recipe.subtype, recipe.to_json())
        atomic.write_text(path.with_suffix(".json"), recipe.to_json(indent=1) + "\n")
    except OSError as error:
        raise ResourceError(f"Cannot write {files.to_text(path)}: {error.strerror}.") from error


def check_output_path(path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Checks that a WAV file and its recipe can be written at a path, and returns the path.

    Raises:
        UsageError: another suffix than .wav, no such folder, or a file that is there already.
    """
    file = Path(path).expanduser()
    if file.suffix.lower() != ".wav":
        raise UsageError(f"{files.to_text(file)}: sounds are written as .wav; give such a name.")
    if not file.parent.is_dir():
        raise UsageError(f"No folder {files.to_text(file.parent)} to write {file.name} into.")
    if file.is_dir():
        raise UsageError(f"{files.to_text(file)} is a folder.")
    if not overwrite and (there := existing_files([file])):
        raise UsageError(f"{files.to_text(there[0])} exists already; --overwrite replaces it.")
    return file


def existing_files(paths: Sequence[Path]) -> list[Path]:
    """Returns the files, of those that `write` would make for these paths, that exist already."""
    both = (file for path in paths for file in (path, path.with_suffix(".json")))
    return [file for file in both if file.exists() or file.is_symlink()]
