"""The session object for people at a Python prompt."""

import functools
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from sst.config import SegmentConfig
from sst.errors import UsageError
from sst.files import to_text
from sst.library import session as library_session
from sst.library.hits import Choice, Hit
from sst.search import searcher
from sst.types import Path_

if TYPE_CHECKING:  # for mypy alone: these take seconds to import
    from sst.generation.novelty_filter import Collection
    from sst.generation.recipe import Recipe
    from sst.inference import Model


class Generated(NamedTuple):
    """A new sound, as `SoundSampleTool.generate` returns it."""

    wave: Float[np.ndarray, " n"]  # peak at -1 dBFS
    sample_rate: int  # Hz
    recipe: "Recipe"  # all that decides the sound
    path: Path | None  # where it was written


class Prediction(NamedTuple):
    """The class that the model predicts for a sound."""

    probabilities: Float[np.ndarray, " c"]  # in the order of `SoundSampleTool.class_names`
    class_name: str  # the most probable one


class SoundSampleTool:
    """A model and, optionally, a library of sounds. Any number of them can be open at once.

    >>> tool = SoundSampleTool("model_test", library_dir="~/Samples")      # doctest: +SKIP
    >>> tool.generate("mix.wav", audio_files=["a.wav", "b.wav"], weights=[1, 2])  # doctest: +SKIP
    >>> [hit.path for hit in tool.find_similar("a.wav", num_similar=5)]    # doctest: +SKIP
    """

    def __init__(
        self,
        model: Path_ = "model_test",
        library_dir: Path_ | Sequence[Path_] | None = None,
        library_segmentation: bool = False,
        engine: searcher.Engine = "auto",
    ) -> None:
        """Opens a run directory or a shipped model; the library is read at the first search.

        Raises:
            ModelError: there is no such model, or it is damaged.
        """
        self._name, self._engine = model, engine
        one = isinstance(library_dir, str | os.PathLike)
        self._dirs: tuple[Path_, ...] = (library_dir,) if one else tuple(library_dir or ())  # type: ignore[assignment,arg-type]
        self._encoder = library_session.load_encoder(
            model, SegmentConfig() if library_segmentation else None
        )

    @functools.cached_property
    def model(self) -> "Model":
        """Returns the loaded model, see `sst.inference`."""
        from sst import inference

        return inference.load(self._name)

    @functools.cached_property
    def _training(self) -> "list[Collection]":
        from sst.generation import novelty_filter

        return novelty_filter.load_training_sounds(self._name)

    @property
    def class_names(self) -> list[str]:
        """Returns the classes that the model predicts; none where it was trained without labels."""
        return list(self.model.class_names)

    def generate(
        self,
        out_file: Path_ | None = None,
        audio_files: Sequence[Path_] = (),
        weights: Sequence[float] | None = None,
        normalize_weights: bool = True,
        variance: float = 0.0,
        seed: int | None = None,
        *,
        temperature: float = 1.0,
        class_name: str | None = None,
        min_novelty: float | None = None,
        sample_rate: int | None = None,
        subtype: str = "PCM_16",
        overwrite: bool = False,
    ) -> Generated:
        """Makes a random sound, or a mix of files, and writes it to `out_file` if that is given.

        `recipe.nearest` names the nearest training sound and the novelty, 0 to 100 per cent. Below
        `min_novelty`, other draws are tried (`sst.generation.novelty_filter`).

        Raises:
            UsageError: weights that do not fit, a negative variance, a class that the model does
                not know, a file that exists already, a mix that is to be novel without variance.
            NothingToDo: an audio file that cannot be read, or is silent.
            ModelError: `min_novelty` of a model that does not hold its training sounds.
        """
        from sst.generation import rendering, sampling
        from sst.generation.recipe import MAX_SEED

        seed = secrets.randbelow(MAX_SEED) if seed is None else seed
        path = None if out_file is None else rendering.check_output_path(out_file, overwrite)
        output = sampling.Output(sample_rate, subtype, to_text(self._name))
        _check_sources(audio_files, weights, variance, class_name, min_novelty)

        def draw(num: int, seed: int) -> "list[Recipe]":
            if not audio_files:
                return sampling.draw(self.model, num, seed, temperature, output, class_name)
            mixed = (audio_files, weights, normalize_weights, variance, num, seed, output)
            return sampling.mix(self.model, *mixed)

        wave, recipe = self._render(draw, seed, min_novelty)
        if path is not None:
            rendering.write(path, wave, recipe)
        return Generated(wave, recipe.sample_rate, recipe, path)

    def _render(
        self, draw: "Callable[[int, int], list[Recipe]]", seed: int, min_novelty: float | None
    ) -> tuple[Float[np.ndarray, " n"], "Recipe"]:
        """Renders the recipe that `draw` makes, or another one where it is not novel enough."""
        from sst.generation import novelty_filter

        (recipe,) = draw(1, seed)
        if min_novelty is None:
            return novelty_filter.render(self.model, recipe, self._training)
        novelty_filter.check_min_novelty(self._training, min_novelty)
        return novelty_filter.render_novel(self.model, recipe, self._training, min_novelty, draw)

    def find_similar(
        self,
        target_file: Path_,
        num_similar: int = 10,
        include_self: bool = False,
        *,
        aspects: Mapping[str, float] | None = None,
        keep_duplicates: bool = False,
        per_folder: int | None = None,
    ) -> list[Hit]:
        """Finds the sounds of the library nearest to a file, which need not be in the library.

        `aspects` are weights that replace the default ones, such as {"pitch": 0}: see
        `sst.search.aspects`.

        Raises:
            UsageError: no library was given, there is no such file, or no such aspect.
            NothingToDo: the file or the library cannot be read.
        """
        choice = Choice(num_similar, include_self, keep_duplicates, per_folder, aspects or {})
        return library_session.find(self.session, target_file, choice)

    @functools.cached_property
    def session(self) -> library_session.Session:
        """Returns the library, updated at the first use; after `refresh`, updated again."""
        if not self._dirs:
            raise UsageError("Give library_dir to SoundSampleTool to search in it.")
        return library_session.open_session(self._encoder, self._dirs, self._engine)

    def refresh(self) -> None:
        """Makes the next search update the library first."""
        self.__dict__.pop("session", None)

    def predict(self, file: Path_, offset: float = 0.0) -> Prediction:
        """Predicts the class of the sound in a file, from `offset` seconds on.

        >>> probabilities, name = tool.predict("a.wav")                    # doctest: +SKIP

        Raises:
            ModelError: the model was trained without classes.
            UsageError: there is no such file, or the offset is negative.
            NothingToDo: the file cannot be read, is silent, or ends before the offset.
        """
        from sst import inference
        from sst.library import embed_files

        inference.check_classes(self.model)
        config = self.model.config.audio
        sounds = embed_files.decode_or_raise([file], config, offset)
        features = embed_files.features_of(sounds, config)
        (probabilities,) = inference.classify_features(self.model, features)
        return Prediction(probabilities, self.model.class_names[int(probabilities.argmax())])


def _check_sources(
    audio_files: Sequence[Path_],
    weights: Sequence[float] | None,
    variance: float,
    class_name: str | None,
    min_novelty: float | None,
) -> None:
    """Raises UsageError for options of a mix with a random sound, and the other way round."""
    if audio_files and class_name is not None:
        raise UsageError("class_name is of random sounds; it does not go with audio_files.")
    if not audio_files and (weights or variance):
        raise UsageError("weights and variance go with audio_files.")
    if min_novelty is not None and audio_files and not variance:
        raise UsageError("min_novelty is of random sounds, or goes with variance.")
