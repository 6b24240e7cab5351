"""The recipe of a new sound: all that decides it, as a record, as JSON and inside its file."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sst import files
from sst.audio.reader import BadAudio
from sst.audio.wav import read_comment
from sst.errors import NothingToDo, UsageError
from sst.search.novelty import Nearest

FORMAT_VERSION = 1
MAX_SEED = 2**31 - 1


class Source(NamedTuple):
    """A sound that went into a mix."""

    name: str  # of the file, without its folder
    digest: str  # of the decoded sound
    weight: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides a sound. The latent alone reproduces it; the rest is its origin."""

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
        """Returns the recipe as JSON; numbers are read back exactly."""
        fields = dataclasses.asdict(self)
        fields["sources"] = [source._asdict() for source in self.sources]
        fields["nearest"] = [real._asdict() for real in self.nearest]
        return json.dumps({"sst_recipe": FORMAT_VERSION} | fields, indent=indent, allow_nan=False)


def read(path: str | os.PathLike[str]) -> Recipe:
    """Reads the recipe of a WAV file, from its comment or the `.json` beside it, or of a `.json`.

    Raises:
        UsageError: there is no such file.
        NothingToDo: it has no recipe.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise UsageError(f"No file {files.to_text(file)}.")
    for text in _recipe_texts(file):
        with contextlib.suppress(ValueError, TypeError, KeyError):
            return _from_fields(json.loads(text))
    raise NothingToDo(
        f"{files.to_text(file)} has no recipe of SST in it, and none lies beside it as .json."
    )


def replace_output(recipe: Recipe, sample_rate: int | None, subtype: str | None) -> Recipe:
    """Returns the recipe with another sample rate (Hz) or subtype; None keeps what it has."""
    return dataclasses.replace(
        recipe,
        sample_rate=sample_rate or recipe.sample_rate,
        subtype=subtype or recipe.subtype,
    )


def _recipe_texts(file: Path) -> Iterator[str]:
    if file.suffix.lower() != ".json":
        with contextlib.suppress(BadAudio):
            yield read_comment(file)
    beside = file.with_suffix(".json")
    with contextlib.suppress(OSError):
        yield beside.read_text(encoding="utf-8")


def _from_fields(fields: dict[str, Any]) -> Recipe:
    if fields.pop("sst_recipe") != FORMAT_VERSION:
        raise ValueError("another format")
    fields["sources"] = tuple(Source(**source) for source in fields["sources"])
    fields["nearest"] = tuple(Nearest(**real) for real in fields.get("nearest", ()))
    fields["latent"] = tuple(float(number) for number in fields["latent"])
    if not np.isfinite(fields["latent"]).all():
        raise ValueError("not finite")
    return Recipe(**fields)
