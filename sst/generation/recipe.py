"""New sounds and how they were made: draws, mixes, variations, and files that know their recipe."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

import sst
from sst import atomic, files
from sst.audio.clip import resample
from sst.audio.reader import BadAudio
from sst.audio.wav import read_comment, write_wave
from sst.errors import ModelError, NothingToDo, ResourceError, UsageError
from sst.library import embed_files
from sst.search.novelty import Nearest
from sst.types import Sound

PEAK = 10 ** (-1 / 20)  # -1 dBFS
FORMAT = 1
LARGEST_SEED = 2**31 - 1


class Source(NamedTuple):
    """A sound that went into a mix."""

    name: str  # of the file, without its folder
    digest: str  # of the decoded sound
    weight: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides a sound. The latent gives it back; the rest says where it came from."""

    kind: str  # "draw", "mix", "interpolation" or "variation"
    model: str
    model_digest: str
    latent: tuple[float, ...]
    sample_rate: int  # Hz, of the file
    subtype: str = "PCM_16"
    seed: int = 0
    index: int = 1  # of the sounds made together, from 1
    temperature: float = 1.0
    class_name: str = ""  # that was drawn from; "" for all
    variance: float = 0.0
    normalize_weights: bool = True
    sources: tuple[Source, ...] = ()
    nearest: tuple[Nearest, ...] = ()  # real sounds, see `sst.generation.novelty_filter`
    tries: int = 1  # draws that this one was chosen from
    versions: dict[str, str] = dataclasses.field(default_factory=dict)

    def to_json(self, indent: int | None = None) -> str:
        """As text; numbers come back to the bit."""
        fields = dataclasses.asdict(self)
        fields["sources"] = [source._asdict() for source in self.sources]
        fields["nearest"] = [real._asdict() for real in self.nearest]
        return json.dumps({"sst_recipe": FORMAT} | fields, indent=indent, allow_nan=False)


class Output(NamedTuple):
    """How the files are to be."""

    sample_rate: int | None = None  # Hz; the model's where None
    subtype: str = "PCM_16"
    model: str = ""  # by which name it is loaded; its own where empty


AS_THE_MODEL = Output()


def draws(
    model: Any,
    num: int,
    seed: int,
    temperature: float = 1.0,
    output: Output = AS_THE_MODEL,
    class_name: str | None = None,
) -> list[Recipe]:
    """`num` random sounds from what the model has learned, or of one class of it.

    Raises:
        UsageError: the model knows no such class; a negative temperature.
    """
    import jax

    from sst import inference  # Imported here, as everywhere below: JAX and Flax take seconds

    if not (np.isfinite(temperature) and temperature >= 0):
        raise UsageError(f"Got temperature {temperature}: give a number from 0 up.")
    kind = None if class_name is None else inference.known_class(model, class_name)
    latents = inference.sample_prior(model, jax.random.key(seed), _count(num), temperature, kind)
    base = dataclasses.replace(
        _base(model, "draw", seed, output), temperature=temperature, class_name=kind or ""
    )
    return _recipes(base, latents)


def mixes(
    model: Any,
    paths: Sequence[str | os.PathLike[str]],
    weights: Sequence[float] | None = None,
    normalize_weights: bool = True,
    variance: float = 0.0,
    num: int = 1,
    seed: int = 0,
    output: Output = AS_THE_MODEL,
) -> list[Recipe]:
    """Weighted means of the latents of files, each of the `num` with its own noise of `variance`.

    Raises:
        UsageError: weights that do not fit or add up to 0, a negative variance, no file.
        NothingToDo: a file that cannot be read, or is silent.
    """
    weights = checked_weights(len(paths), weights, normalize_weights)
    check_variations(num, variance)
    import jax.numpy as jnp

    from sst import inference

    sounds, latents = _encoded(model, paths)
    mixed = inference.mix(jnp.asarray(latents), jnp.asarray(weights), normalize=normalize_weights)
    base = dataclasses.replace(
        _base(model, "mix", seed, output),
        variance=variance,
        normalize_weights=normalize_weights,
        sources=_sources(sounds, weights),
    )
    return _recipes(base, _noisy(mixed, num, seed, variance))


def interpolations(
    model: Any,
    paths: Sequence[str | os.PathLike[str]],
    steps: int,
    variance: float = 0.0,
    seed: int = 0,
    output: Output = AS_THE_MODEL,
) -> list[Recipe]:
    """`steps` sounds on the way from the first of two files to the second, both ends included."""
    check_interpolation(paths, steps, variance)
    from sst import inference

    sounds, latents = _encoded(model, paths)
    line = np.asarray(inference.interpolate(latents[0], latents[1], steps))
    if variance:
        line = np.concatenate([_noisy(z, 1, seed + i, variance) for i, z in enumerate(line)])
    base = dataclasses.replace(_base(model, "interpolation", seed, output), variance=variance)
    recipes = _recipes(base, line)
    shares = [(1 - i / (steps - 1), i / (steps - 1)) for i in range(steps)]
    return [
        dataclasses.replace(recipe, sources=_sources(sounds, share))
        for recipe, share in zip(recipes, shares, strict=True)
    ]


def variations(
    model: Any, recipe: Recipe, variance: float, num: int = 1, seed: int = 0
) -> list[Recipe]:
    """The recipe itself where `variance` is 0, or `num` sounds around it.

    Raises:
        ModelError: the recipe is of another model.
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
    return _recipes(base, _noisy(latent, num, seed, variance))


def with_output(recipe: Recipe, sample_rate: int | None, subtype: str | None) -> Recipe:
    """The recipe for a file of another rate or subtype, where these are given."""
    return dataclasses.replace(
        recipe,
        sample_rate=sample_rate or recipe.sample_rate,
        subtype=subtype or recipe.subtype,
    )


def render(model: Any, recipe: Recipe) -> Float[np.ndarray, " n"]:
    """The sound of a recipe at its sample rate, with its peak at -1 dBFS; silence stays silence.

    One at a time, so that a sound is the same to the bit whatever it was made together with.
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
    """Writes the sound with its recipe inside, and the recipe as `.json` beside it.

    Raises:
        ResourceError: the folder cannot be written; neither file is left half written.
    """
    try:
        write_wave(path, wave, recipe.sample_rate, recipe.subtype, recipe.to_json())
        atomic.write_text(path.with_suffix(".json"), recipe.to_json(indent=1) + "\n")
    except OSError as error:
        raise ResourceError(f"Cannot write {files.to_text(path)}: {error.strerror}.") from error


def read(path: str | os.PathLike[str]) -> Recipe:
    """The recipe of a WAV file (from its comment, or from the `.json` beside it) or of a `.json`.

    Raises:
        UsageError: there is no such file.
        NothingToDo: it has no recipe.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise UsageError(f"No file {files.to_text(file)}.")
    for text in _recipe_texts(file):
        with contextlib.suppress(ValueError, TypeError, KeyError):
            return _parsed(json.loads(text))
    raise NothingToDo(
        f"{files.to_text(file)} has no recipe of SST in it, and none lies beside it as .json."
    )


def free_path(path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """A place for a WAV file and its recipe.

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
    if not overwrite and (there := taken([file])):
        raise UsageError(f"{files.to_text(there[0])} exists already; --overwrite replaces it.")
    return file


def taken(paths: Sequence[Path]) -> list[Path]:
    """Those of the files that `write` would make which exist already."""
    both = (file for path in paths for file in (path, path.with_suffix(".json")))
    return [file for file in both if file.exists() or file.is_symlink()]


def checked_weights(
    n_files: int, weights: Sequence[float] | None, normalize: bool
) -> tuple[float, ...]:
    """One finite weight per file; equal ones where none are given.

    Raises:
        UsageError: another number of them, one that is not finite, or a sum of 0 to divide by.
    """
    if n_files == 0:
        raise UsageError("A mix needs at least one file.")
    weights = (1.0,) * n_files if weights is None else tuple(float(w) for w in weights)
    if len(weights) != n_files:
        raise UsageError(
            f"Got {_counted(n_files, 'file')} but {_counted(len(weights), 'weight')}: give one"
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
    """Refuses any number of files but two, fewer steps than two, and a negative variance.

    Raises:
        UsageError: in these cases.
    """
    if len(paths) != 2 or steps < 2:
        raise UsageError(
            f"Got {_counted(len(paths), 'file')} and {_counted(steps, 'step')} to interpolate: give"
            " 2 files and at least 2 steps."
        )
    _check_variance(variance)


def check_variations(num: int, variance: float) -> None:
    """Refuses a negative variance, and several sounds that would all be the same.

    Raises:
        UsageError: in these cases.
    """
    _check_variance(variance)
    if _count(num) > 1 and variance == 0:
        raise UsageError(f"{num} sounds without --variance would all be the same: add --variance.")


def _check_variance(variance: float) -> None:
    if not (np.isfinite(variance) and variance >= 0):
        raise UsageError(f"Got variance {variance}: give a number from 0 up.")


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _count(num: int) -> int:
    if num < 1:
        raise UsageError(f"--num {num}: give at least 1.")
    return num


def _base(model: Any, kind: str, seed: int, output: Output) -> Recipe:
    import jax

    if not 0 <= seed <= LARGEST_SEED:
        raise UsageError(f"Got seed {seed}: give a whole number from 0 to {LARGEST_SEED}.")
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


def _noisy(latent: Any, num: int, seed: int, variance: float) -> np.ndarray:
    """[num, z]: the latent, each row with its own noise."""
    import jax

    from sst import inference

    if not variance:
        return np.repeat(np.asarray(latent, np.float32)[None], num, axis=0)
    keys = [jax.random.fold_in(jax.random.key(seed), i) for i in range(num)]
    return np.stack([np.asarray(inference.perturb(key, latent, variance)) for key in keys])


def _encoded(model: Any, paths: Sequence[str | os.PathLike[str]]) -> tuple[list[Sound], np.ndarray]:
    """The sounds of files and the means of their latents [n, z]."""
    from sst import inference

    sounds = embed_files.decode_or_raise(paths, model.config.audio)
    heard = embed_files.features_of(sounds, model.config.audio)
    return sounds, np.asarray(inference.encode_features(model, heard))


def _sources(sounds: Sequence[Sound], weights: Sequence[float]) -> tuple[Source, ...]:
    return tuple(
        Source(files.to_text(Path(sound.path).name), sound.digest, float(weight))
        for sound, weight in zip(sounds, weights, strict=True)
    )


def _recipe_texts(file: Path) -> Iterator[str]:
    if file.suffix.lower() != ".json":
        with contextlib.suppress(BadAudio):
            yield read_comment(file)
    beside = file.with_suffix(".json")
    with contextlib.suppress(OSError):
        yield beside.read_text(encoding="utf-8")


def _parsed(fields: dict[str, Any]) -> Recipe:
    if fields.pop("sst_recipe") != FORMAT:
        raise ValueError("another format")
    fields["sources"] = tuple(Source(**source) for source in fields["sources"])
    fields["nearest"] = tuple(Nearest(**real) for real in fields.get("nearest", ()))
    fields["latent"] = tuple(float(number) for number in fields["latent"])
    if not np.isfinite(fields["latent"]).all():
        raise ValueError("not finite")
    return Recipe(**fields)
