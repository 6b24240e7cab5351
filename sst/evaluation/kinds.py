"""Are sounds told apart by their kind? What a system hears against the names of the folders."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sst.evaluation import figures, intervals
from sst.evaluation.baselines import mfcc
from sst.evaluation.material import Material
from sst.evaluation.sounds import Sounds, class_of
from sst.evaluation.systems import System
from sst.model import calibration

OURS = "model"
NEIGHBOURS = (1, 3, 5, 9, 15)
FOLDS = 4  # of the training packs


class Answers(NamedTuple):
    """How probable a system finds the kinds of some sounds, and which they are."""

    names: list[str]  # of the kinds
    probabilities: Float[np.ndarray, "n k"]
    own: Int[np.ndarray, " n"]  # rows of `names`


def measure(
    systems: Mapping[str, System], material: Material, seed: int
) -> tuple[dict[str, Any], list[dict[str, Any]]] | str:
    """Rows of the table for every system that classifies, and its confusion; or why there is none.

    A sound counts where the model was taught its class; probability that a system gives to labels
    outside these classes does not count.
    """
    if OURS not in systems or systems[OURS].classify is None:
        return "the model was trained without classes"
    names = known_kinds(systems[OURS].class_names, material.classes)
    sounds = material.held_out
    rows = [row for row, kind in enumerate(sounds.classes) if kind in names]
    if not rows:
        return "no held-out sound is of a class that the model was taught"
    chosen = sounds.take(rows)
    found, tables = {}, []
    for name, system in systems.items():
        if system.classify is None:
            continue
        answers = answered(system, chosen, names, material.classes)
        found[name] = {
            "title": system.title,
            "note": system.note,
            "figures": measured(answers, chosen.packs, seed),
        }
        tables.append(
            confusion(answers, f"{system.title}: the kinds it hears", _passed(sounds, chosen))
        )
    return found, tables


def known_kinds(class_names: Sequence[str], classes: dict[str, str] | None) -> list[str]:
    """The kinds that a model's classes belong to, sorted."""
    return sorted({class_of(name, classes) for name in class_names} - {""})


def answered(
    system: System, sounds: Sounds, names: Sequence[str], classes: dict[str, str] | None
) -> Answers:
    """What a system says of the sounds, each of one of `names`, its classes joined to these."""
    assert system.classify is not None
    of_classes = np.asarray(system.classify(sounds), np.float64)
    joined = np.zeros((len(of_classes), len(names)))
    for label, shares in zip(system.class_names, of_classes.T, strict=True):
        if (kind := class_of(label, classes)) in names:
            joined[:, names.index(kind)] += shares
    total = np.maximum(joined.sum(axis=1, keepdims=True), 1e-12)
    own = np.array([names.index(kind) for kind in sounds.classes])
    return Answers(list(names), joined / total, own)


def measured(answers: Answers, packs: Sequence[str], seed: int) -> dict[str, figures.Figure]:
    """The figures of `definitions.CLASSES`, with intervals over packs."""
    heard, sure = answers.probabilities.argmax(axis=1), answers.probabilities.max(axis=1)
    right, kinds = heard == answers.own, np.arange(len(answers.names))
    is_of, is_heard = (rows[:, None] == kinds for rows in (answers.own, heard))

    def macro_f1(counts: Float[np.ndarray, "r n"]) -> Float[np.ndarray, " r"]:
        there, named = counts @ is_of, counts @ is_heard
        scores = 2.0 * (counts @ (is_of & is_heard)) / np.maximum(there + named, 1.0)
        return np.sum(scores, axis=1, where=there > 0) / np.maximum((there > 0).sum(axis=1), 1)

    def away(counts: Float[np.ndarray, "r n"]) -> Float[np.ndarray, " r"]:
        return calibration.error(sure, right, counts)

    n = len(right)
    return {
        "macro_f1": figures.of_interval(intervals.resampled(macro_f1, n, packs, seed)),
        "accuracy": figures.over_files(right.astype(float), packs, "mean", seed),
        "calibration": figures.of_interval(intervals.resampled(away, n, packs, seed)),
    }


def confusion(answers: Answers, title: str, note: str = "") -> dict[str, Any]:
    """How many sounds of each kind were heard as each kind."""
    heard, size = answers.probabilities.argmax(axis=1), len(answers.names)
    counts = np.zeros((size, size), int)
    np.add.at(counts, (answers.own, heard), 1)
    there = [row for row in range(size) if counts[row].any()]
    return {
        "title": title,
        "intro": f"Rows: the kind by the folder. Columns: what was heard. {note}".strip(),
        "classes": [answers.names[row] for row in there],
        "columns": answers.names,
        "counts": counts[there].tolist(),
    }


def nearest_neighbours(train: Sounds, sample_rate: int) -> dict[str, System]:
    """A vote of the training sounds that are nearest in MFCC statistics, if they have classes."""
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
        {"n_neighbors": [k for k in NEIGHBOURS if k <= chosen.size // 2] or [1]},
        scoring=make_scorer(f1_score, average="macro", zero_division=0.0),
        cv=GroupKFold(min(FOLDS, packs)),
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


def _passed(sounds: Sounds, chosen: Sounds) -> str:
    rest = sounds.size - chosen.size
    return f"{rest:,} held-out sounds are of no kind that it was taught, and left out." * bool(rest)
