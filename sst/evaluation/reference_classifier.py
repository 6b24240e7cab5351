"""A classifier of real sounds, independent of the model: its hidden layer and probabilities."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sst.evaluation.baselines import classifier
from sst.evaluation.figures import Absent
from sst.evaluation.sounds import Sounds
from sst.types import Wave

MIN_CONFIDENCE = 0.8  # probability above which a sound counts as recognised
MIN_SOUNDS = 10  # labelled training sounds of a class
MIN_PACKS = 2  # that a class must come from


class ReferenceClassifier(NamedTuple):
    """A classifier trained on real training sounds only."""

    fitted: classifier.Classifier
    names: list[str]  # of the classes, in the order of its probabilities


class Predictions(NamedTuple):
    """The outputs of the reference classifier for some sounds."""

    hidden: Float[np.ndarray, "n h"]
    probabilities: Float[np.ndarray, "n c"]

    @property
    def classes(self) -> Int[np.ndarray, " n"]:
        """Returns the most probable class of each sound."""
        return self.probabilities.argmax(axis=1)

    def take(self, rows: Int[np.ndarray, " r"]) -> "Predictions":
        """Returns the predictions for some of the sounds."""
        return Predictions(self.hidden[rows], self.probabilities[rows])


def train(sounds: Sounds, sample_rate: int, seed: int) -> ReferenceClassifier | Absent:
    """Trains a classifier of the sounds' classes, where enough sounds and packs have one.

    Args:
        sounds: real training sounds.
        sample_rate: of the sounds, Hz.
        seed: of the training.
    """
    if not sounds.class_names:
        return Absent("the training sounds have no classes")
    kept = [name for name in sounds.class_names if _has_enough(sounds, name)]
    if len(kept) < 2:
        return Absent(
            f"fewer than two classes have {MIN_SOUNDS} training sounds from {MIN_PACKS} packs"
        )
    chosen = sounds.take([row for row, name in enumerate(sounds.classes) if name in kept])
    rows = _features_of(chosen.waves, sample_rate)
    fitted = classifier.fit(rows, chosen.classes, chosen.packs, seed)
    return ReferenceClassifier(fitted, list(fitted.class_names))


def predict(reference: ReferenceClassifier, waves: Sequence[Wave], sample_rate: int) -> Predictions:
    """Returns the classifier's hidden layer and probabilities for some waves at a rate in Hz."""
    rows = _features_of(waves, sample_rate)
    return Predictions(
        np.asarray(classifier.hidden(reference.fitted, rows)),
        np.asarray(classifier.probabilities(reference.fitted, rows)),
    )


def describe_quality(reference: ReferenceClassifier) -> str:
    """Returns the macro F1 of the classifier on packs held out from its training, in words."""
    f1 = reference.fitted.held_out_f1
    return "is not known: there is one pack" if f1 != f1 else f"on packs left out is {f1:.2f}"


def _features_of(waves: Sequence[Wave], sample_rate: int) -> Float[np.ndarray, "n f"]:
    return np.stack([classifier.features(wave, sample_rate) for wave in waves])


def _has_enough(sounds: Sounds, name: str) -> bool:
    packs = [pack for pack, kind in zip(sounds.packs, sounds.classes, strict=True) if kind == name]
    return len(packs) >= MIN_SOUNDS and len(set(packs)) >= MIN_PACKS
