"""Classification: the classes that systems predict against the names of the folders."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sst.evaluation import figures, intervals
from sst.evaluation.baselines import classifier, mfcc
from sst.evaluation.figures import Absent
from sst.evaluation.material import Material
from sst.evaluation.sounds import Sounds, class_of
from sst.evaluation.systems import System
from sst.model import calibration

OURS = "model"
NEIGHBOUR_COUNTS = (1, 3, 5, 9, 15)
N_FOLDS = 4  # of the training packs


class Predicted(NamedTuple):
    """The classes that a system predicts for some sounds, and their true ones."""

    names: list[str]  # of the classes
    probabilities: Float[np.ndarray, "n k"]
    targets: Int[np.ndarray, " n"]  # rows of `names`

    @property
    def classes(self) -> Int[np.ndarray, " n"]:
        """Returns the most probable class of each sound, a row of `names`."""
        return self.probabilities.argmax(axis=1)


class Classification(NamedTuple):
    """The rows of the table, and a confusion matrix for each of them."""

    rows: dict[str, dict[str, Any]]
    confusion: list[dict[str, Any]]


def measure(
    systems: Mapping[str, System], material: Material, seed: int
) -> Classification | Absent:
    """Measures every system that classifies; absent for a model without classes.

    A sound counts where the model was trained on its class. Probabilities of other classes are
    dropped and the rest normalised.

    Args:
        systems: by name; `OURS` is the model.
        material: with the held-out sounds and the table of classes.
        seed: of the intervals.
    """
    if OURS not in systems or systems[OURS].classify is None:
        return Absent("the model was trained without classes")
    names = known_classes(systems[OURS].class_names, material.classes)
    sounds = material.held_out
    rows = [row for row, kind in enumerate(sounds.classes) if kind in names]
    if not rows:
        return Absent("no held-out sound is of a class that the model was trained on")
    chosen = sounds.take(rows)
    found = Classification({}, [])
    for name, system in systems.items():
        if system.classify is None:
            continue
        predicted = predict(system, chosen, names, material.classes)
        found.rows[name] = system.row(score(predicted, chosen.packs, seed))
        title = f"{system.title}: predicted classes"
        found.confusion.append(confusion(predicted, title, _left_out(sounds, chosen)))
    return found


def known_classes(class_names: Sequence[str], classes: dict[str, str] | None) -> list[str]:
    """Returns the classes that a model's own classes belong to, sorted; see `class_of`."""
    return sorted({class_of(name, classes) for name in class_names} - {""})


def predict(
    system: System, sounds: Sounds, names: Sequence[str], classes: dict[str, str] | None
) -> Predicted:
    """Predicts one of `names` for each sound, adding up the system's classes that belong to it.

    Args:
        system: it classifies.
        sounds: [n], each of a class in `names`.
        names: [k] the classes.
        classes: label of the system -> class, see `class_of`.
    """
    assert system.classify is not None
    of_labels = np.asarray(system.classify(sounds), np.float64)
    joined = np.zeros((len(of_labels), len(names)))
    for label, shares in zip(system.class_names, of_labels.T, strict=True):
        if (kind := class_of(label, classes)) in names:
            joined[:, names.index(kind)] += shares
    total = np.maximum(joined.sum(axis=1, keepdims=True), 1e-12)
    targets = np.array([names.index(kind) for kind in sounds.classes])
    return Predicted(list(names), joined / total, targets)


def score(predicted: Predicted, packs: Sequence[str], seed: int) -> dict[str, figures.Figure]:
    """Returns the figures of `definitions.CLASSES`; `packs` [n] are those of the sounds."""
    confidence = predicted.probabilities.max(axis=1)
    right = predicted.classes == predicted.targets

    def macro_f1(counts: Float[np.ndarray, "r n"]) -> Float[np.ndarray, " r"]:
        return classifier.macro_f1(predicted.targets, predicted.classes, counts)

    def calibration_error(counts: Float[np.ndarray, "r n"]) -> Float[np.ndarray, " r"]:
        return calibration.error(confidence, right, counts)

    n = len(right)
    return {
        "macro_f1": figures.from_interval(intervals.resampled(macro_f1, n, packs, seed)),
        "accuracy": figures.over_files(right.astype(float), packs, "mean", seed),
        "calibration": figures.from_interval(
            intervals.resampled(calibration_error, n, packs, seed)
        ),
    }


def confusion(predicted: Predicted, title: str, note: str = "") -> dict[str, Any]:
    """Returns the confusion matrix: counts of sounds by true class (rows) and predicted class."""
    size = len(predicted.names)
    counts = np.zeros((size, size), int)
    np.add.at(counts, (predicted.targets, predicted.classes), 1)
    there = [row for row in range(size) if counts[row].any()]
    return {
        "title": title,
        "intro": f"Rows: the class by the folder. Columns: the predicted class. {note}".strip(),
        "classes": [predicted.names[row] for row in there],
        "columns": predicted.names,
        "counts": counts[there].tolist(),
    }


def nearest_neighbours(train: Sounds, sample_rate: int) -> dict[str, System]:
    """Returns a k-nearest-neighbour classifier on MFCC statistics; none without classes and packs.

    Args:
        train: the training sounds.
        sample_rate: of all sounds, Hz.
    """
    from sklearn.metrics import f1_score, make_scorer
    from sklearn.model_selection import GridSearchCV, GroupKFold
    from sklearn.neighbors import KNeighborsClassifier

    chosen = train.take([row for row, kind in enumerate(train.classes) if kind])
    packs = len(set(chosen.packs))
    if len(chosen.class_names) < 2 or packs < 2:
        return {}

    def vectors(sounds: Sounds) -> np.ndarray:
        return np.stack([mfcc.embed(wave, sample_rate) for wave in sounds.waves])

    search = GridSearchCV(
        KNeighborsClassifier(weights="distance"),
        {"n_neighbors": [k for k in NEIGHBOUR_COUNTS if k <= chosen.size // 2] or [1]},
        scoring=make_scorer(f1_score, average="macro", zero_division=0.0),
        cv=GroupKFold(min(N_FOLDS, packs)),
    )
    search.fit(vectors(chosen), np.array(chosen.classes), groups=np.array(chosen.packs))
    k = search.best_params_["n_neighbors"]
    return {
        "mfcc_vote": System(
            "vote by MFCC statistics",
            f"the nearest training sounds, k = {k}, nearer ones counting more; the k that did best"
            " on packs of them left out",
            classify=lambda sounds: search.predict_proba(vectors(sounds)),
            class_names=tuple(map(str, search.classes_)),
        )
    }


def _left_out(sounds: Sounds, chosen: Sounds) -> str:
    rest = sounds.size - chosen.size
    return f"{rest:,} held-out sounds are of other classes and left out." * bool(rest)
