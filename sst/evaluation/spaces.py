"""Feature spaces that have nothing to do with the model: where draws are compared with sounds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sst.evaluation.baselines import classifier
from sst.evaluation.sounds import Sounds
from sst.types import Wave

SURE = 0.8  # probability above which a sound counts as recognised
FEWEST = 10  # labelled training sounds of a class
FEWEST_PACKS = 2  # that a class must come from


class Judge(NamedTuple):
    """A classifier that has heard nothing but real sounds."""

    fitted: classifier.Classifier
    names: list[str]  # of the classes, in the order of its probabilities


class Verdict(NamedTuple):
    """What a judge says of some waves."""

    hidden: np.ndarray  # [n, h]
    probabilities: np.ndarray  # [n, c]


def train_judge(train: Sounds, sample_rate: int, seed: int) -> Judge | str:
    """A classifier of the training sounds' classes, or why there can be none."""
    if not train.class_names:
        return "the training sounds have no classes"
    kept = [name for name in train.class_names if _enough(train, name)]
    if len(kept) < 2:
        return f"fewer than two classes have {FEWEST} training sounds from {FEWEST_PACKS} packs"
    rows = [i for i, kind in enumerate(train.classes) if kind in kept]
    chosen = train.take(rows)
    features = features_of(chosen.waves, sample_rate)
    fitted = classifier.fit(features, chosen.classes, chosen.packs, seed)
    return Judge(fitted, list(fitted.class_names))


def hear(judge: Judge, waves: Sequence[Wave], sample_rate: int) -> Verdict:
    """The judge's hidden layer and probabilities for some waves."""
    features = features_of(waves, sample_rate)
    return Verdict(
        np.asarray(classifier.hidden(judge.fitted, features)),
        np.asarray(classifier.probabilities(judge.fitted, features)),
    )


def quality(judge: Judge) -> str:
    """How well the judge does on packs of training sounds that it did not learn from."""
    f1 = judge.fitted.held_out_f1
    return "is not known: there is one pack" if f1 != f1 else f"on packs left out is {f1:.2f}"


def features_of(waves: Sequence[Wave], sample_rate: int) -> np.ndarray:
    """The judge's own features, [n, f]."""
    return np.stack([classifier.features(wave, sample_rate) for wave in waves])


def _enough(train: Sounds, name: str) -> bool:
    packs = [pack for pack, kind in zip(train.packs, train.classes, strict=True) if kind == name]
    return len(packs) >= FEWEST and len(set(packs)) >= FEWEST_PACKS
