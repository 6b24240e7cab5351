"""The session object for people at a Python prompt."""

import functools
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from sst.config import SegmentConfig
from sst.errors import UsageError
from sst.files import to_text
from sst.library import session as library_session
from sst.library.hits import Choice, Hit
from sst.search import searcher

Path_ = str | os.PathLike[str]


class Generated(NamedTuple):
    """A new sound."""

    wave: Float[np.ndarray, " n"]  # peak at -1 dBFS
    sample_rate: int  # Hz
    recipe: Any  # sst.generation.recipe.Recipe: how to get it again
    path: Path | None  # where it was written


class Prediction(NamedTuple):
    """What kind of sound it is, as far as the model can tell."""

    probabilities: Float[np.ndarray, " c"]  # in the order of `SoundSampleTool.class_names`
    class_name: str  # the most probable one


class SoundSampleTool:
    """A model and, optionally, a library. Any number of them can be alive at once.

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
    def model(self) -> Any:
        """The loaded model (`sst.inference`)."""
        from sst import inference

        return inference.load(self._name)

    @functools.cached_property
    def _training(self) -> list[Any]:
        from sst.generation import novelty_filter

        return novelty_filter.of_training(self._name)

    @property
    def class_names(self) -> list[str]:
        """The kinds of sounds that the model tells apart; empty where it was trained on none."""
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
        """A random sound, or a mix of files; written to `out_file` if that is given.

        `recipe.nearest` names the training sound that is nearest to it. Where that is nearer than
        `min_novelty`, 0 to 100 per cent, other draws are tried (`sst.generation.novelty_filter`).

        Raises:
            UsageError: weights that do not fit, a negative variance, a class that the model does
                not know, a file that exists already, a mix that is to be novel without variance.
            NothingToDo: an audio file that cannot be read, or is silent.
            ModelError: `min_novelty` of a model that does not hold its training sounds.
        """
        from sst.generation import novelty_filter
        from sst.generation import recipe as recipes

        seed = secrets.randbelow(recipes.LARGEST_SEED) if seed is None else seed
        path = None if out_file is None else recipes.free_path(out_file, overwrite)
        output = recipes.Output(sample_rate, subtype, to_text(self._name))
        if audio_files and class_name is not None:
            raise UsageError("class_name is of random sounds; it does not go with audio_files.")
        if not audio_files and (weights or variance):
            raise UsageError("weights and variance go with audio_files.")
        if min_novelty is not None and audio_files and not variance:
            raise UsageError("min_novelty is of random sounds, or goes with variance.")

        def draw(num: int, seed: int) -> list[recipes.Recipe]:
            if not audio_files:
                return recipes.draws(self.model, num, seed, temperature, output, class_name)
            mixed = (audio_files, weights, normalize_weights, variance, num, seed, output)
            return recipes.mixes(self.model, *mixed)

        (recipe,) = draw(1, seed)
        if min_novelty is None:
            wave, recipe = novelty_filter.render(self.model, recipe, self._training)
        else:
            novelty_filter.check(self._training, min_novelty)
            known, least = self._training, min_novelty
            wave, recipe = novelty_filter.render_novel(self.model, recipe, known, least, draw)
        if path is not None:
            recipes.write(path, wave, recipe)
        return Generated(wave, recipe.sample_rate, recipe, path)

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
        """The sounds of the library nearest to a file, which need not be in it.

        `aspects` are weights other than the default ones, such as {"pitch": 0}: see
        `sst.search.aspects`.

        Raises:
            UsageError: no library was given, there is no such file, or no such aspect.
            NothingToDo: the file or the library cannot be read.
        """
        choice = Choice(num_similar, include_self, keep_duplicates, per_folder, aspects or {})
        return library_session.find(self.session, target_file, choice)

    @functools.cached_property
    def session(self) -> library_session.Session:
        """The library, brought up to date when it is first asked for; `refresh` does it again."""
        if not self._dirs:
            raise UsageError("Give library_dir to SoundSampleTool to search in it.")
        return library_session.open_session(self._encoder, self._dirs, self._engine)

    def refresh(self) -> None:
        """Notices what has changed in the library at the next search."""
        self.__dict__.pop("session", None)

    def predict(self, file: Path_, offset: float = 0.0) -> Prediction:
        """The kind of sound in a file, from `offset` seconds on.

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
        heard = embed_files.features_of(sounds, config)
        (probabilities,) = inference.classify_features(self.model, heard)
        return Prediction(probabilities, self.model.class_names[int(probabilities.argmax())])
