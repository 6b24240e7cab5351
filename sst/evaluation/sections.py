"""The tables of a report: a row per system, a column per quantity.

`measure` fills the sections one after the other; `compare_goals` tells which goals are met.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from sst.config import AudioConfig
from sst.evaluation import (
    classification,
    definitions,
    degraded_copies,
    figures,
    generation,
    interpolation,
    reconstruction,
    search,
)
from sst.evaluation import reference_classifier as reference
from sst.evaluation import sounds as sources
from sst.evaluation.classification import OURS
from sst.evaluation.clock import Clock
from sst.evaluation.figures import Absent
from sst.evaluation.generation import FeatureSet, RealSounds
from sst.evaluation.material import Material
from sst.evaluation.quantities import Quantity
from sst.evaluation.reference_classifier import ReferenceClassifier
from sst.evaluation.sounds import Sounds
from sst.evaluation.systems import System
from sst.evaluation.waves import Waves

Rows = dict[str, dict[str, Any]]  # system -> its row, see `System.row`
Table = dict[str, Any]  # a section or a confusion matrix, as report.json has it
HOLDS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">=": operator.ge,
}


class Tables(NamedTuple):
    """The sections of a report, its confusion matrices, and the sections that are absent."""

    sections: dict[str, Table]  # by the names of `definitions.SECTIONS`
    confusion: list[Table]
    absent: dict[str, Absent]  # by the titles of the sections


def measure(
    material: Material,
    chosen: Mapping[str, System],
    waves: Waves,
    classifier: ReferenceClassifier | Absent,
    audio: AudioConfig,
    seed: int,
    clock: Clock,
) -> Tables:
    """Measures every system in all sections but "model", whose rows stay empty.

    Args:
        material: the held-out and the training sounds.
        chosen: the systems by name; `OURS` is the model.
        waves: their sounds.
        classifier: trained on the training sounds.
        audio: of the model.
        seed: of the intervals, of random choices and of noise.
        clock: times each section.
    """
    held_out, rate = material.held_out, audio.sample_rate
    tables = Tables({name: empty_section(name) for name in definitions.SECTIONS}, [], {})
    with clock("measuring reconstructions"):
        rows = _reconstruction(chosen, held_out, waves, rate, seed)
    with clock("classifying reconstructions"):
        confusion = _add_class_kept(rows, held_out, waves, classifier, rate, seed)
    _fill(tables, "reconstruction", rows)
    with clock("measuring draws"):
        _fill(tables, "generation", _generation(chosen, material, waves, classifier, rate, seed))
    with clock("measuring interpolations"):
        _fill(tables, "paths", _paths(chosen, held_out, waves, rate, seed))
    with clock("measuring search"):
        _fill(tables, "search", search.measure(chosen, held_out, seed))
    with clock("measuring classification"):
        found = classification.measure(chosen, material, seed)
        _fill(tables, "classes", found if isinstance(found, Absent) else found.rows)
        tables.confusion.extend([] if isinstance(found, Absent) else found.confusion)
    tables.confusion.extend(confusion)
    with clock("searching for degraded copies"):
        _fill(tables, "copies", degraded_copies.measure(chosen, held_out, audio, seed))
    return tables


def compare_goals(sections: Mapping[str, Table]) -> list[dict[str, Any]]:
    """Returns every quantity that has a goal, with the model's figure.

    "met" is True or False, or None where the figure was not measured.
    """
    found = []
    for section, quantities in definitions.SECTIONS.items():
        row = sections[section]["rows"].get(OURS, {"figures": {}})
        for name, quantity in quantities.items():
            if not quantity.relation:
                continue
            figure = row["figures"].get(name) or Absent("not measured").figure()
            found.append(
                {
                    "section": section,
                    "quantity": name,
                    "relation": quantity.relation,
                    "goal": quantity.goal,
                    "figure": figure,
                    "met": _met(quantity, figure),
                }
            )
    return found


def empty_section(name: str) -> Table:
    """Returns a section of `definitions.SECTIONS` without rows."""
    title, intro = definitions.TITLES[name]
    quantities = definitions.as_dict(definitions.SECTIONS[name])
    return {"title": title, "intro": intro, "quantities": quantities, "rows": {}}


def _fill(tables: Tables, name: str, rows: Rows | Absent) -> None:
    """Puts the rows into a section, or notes that it is absent."""
    section = tables.sections[name]
    if isinstance(rows, Absent):
        tables.absent[section["title"]] = rows
    else:
        section["rows"] = rows


def _met(quantity: Quantity, figure: figures.Figure) -> bool | None:
    if figure["value"] is not None:
        return HOLDS[quantity.relation](figure["value"], quantity.goal)
    return False if figure["reason"] == figures.LOST else None


def _reconstruction(
    chosen: Mapping[str, System], held_out: Sounds, waves: Waves, rate: int, seed: int
) -> Rows:
    found = reconstruction.measure(held_out, waves.reconstructions, rate)
    return {
        name: chosen[name].row(reconstruction.summarise(errors, held_out.packs, seed))
        for name, errors in found.items()
    }


def _add_class_kept(
    rows: Rows,
    held_out: Sounds,
    waves: Waves,
    classifier: ReferenceClassifier | Absent,
    rate: int,
    seed: int,
) -> list[Table]:
    """Adds the figure "class_kept" to rows; returns the classifier's confusion matrices."""
    if isinstance(classifier, Absent):
        for row in rows.values():
            row["figures"]["class_kept"] = classifier.figure()
        return []
    before = reference.predict(classifier, held_out.waves, rate).classes
    tables = [_confusion("held-out real sounds", held_out, classifier, before)]
    for name, made in waves.reconstructions.items():
        after = reference.predict(classifier, made, rate).classes
        kept = (before == after).astype(float)
        rows[name]["figures"]["class_kept"] = figures.over_files(kept, held_out.packs, "mean", seed)
        if name == OURS:
            tables.append(_confusion("the model's reconstructions", held_out, classifier, after))
    return [table for table in tables if table["classes"]]


def _confusion(
    what: str, held_out: Sounds, classifier: ReferenceClassifier, predicted: Int[np.ndarray, " n"]
) -> Table:
    names = [kind for kind in held_out.class_names if kind in classifier.names]
    counts = []
    f1 = reference.describe_quality(classifier)
    for kind in names:
        rows = [i for i, own in enumerate(held_out.classes) if own == kind]
        counts.append([int((predicted[rows] == j).sum()) for j in range(len(classifier.names))])
    return {
        "title": f"Reference classifier on {what}",
        "intro": "Rows: the class by the folder. Columns: the class predicted by a classifier that "
        f"was trained on real training sounds only; its macro F1 {f1}.",
        "classes": names,
        "columns": classifier.names,
        "counts": counts,
    }


def _generation(
    chosen: Mapping[str, System],
    material: Material,
    waves: Waves,
    classifier: ReferenceClassifier | Absent,
    rate: int,
    seed: int,
) -> Rows:
    held_out = generation.compute_features(material.held_out.waves, classifier, rate)
    train: FeatureSet | Absent
    if isinstance(material.train, Absent):
        train = material.train
    else:
        train = generation.compute_features(material.train.waves, classifier, rate)
    real = RealSounds(held_out, material.held_out.packs, train)
    names = [] if isinstance(classifier, Absent) else classifier.names
    rows = {}
    for name, made in waves.draws.items():
        draws = generation.compute_features(made, classifier, rate)
        rows[name] = chosen[name].row(generation.measure_draws(draws, real, seed))
        rows[name]["per_class"] = generation.per_class(draws, names)
    return rows | _real_sounds(real, len(waves.draws[OURS]), seed)


def _real_sounds(real: RealSounds, n: int, seed: int) -> Rows:
    """Returns the rows of up to `n` training sounds, if there are any, and of held-out sounds."""
    rows = {}
    if isinstance(real.train, FeatureSet):
        some = real.train.take(sources.choose(len(real.train.mfcc), n, seed))
        note = "the upper end; the classifier was trained on them"
        system = System("training sounds themselves", note)
        rows["train"] = system.row(generation.measure_train(some, real, seed))
    system = System("held-out real sounds", "the reference")
    return rows | {"held_out": system.row(generation.measure_held_out(real, seed))}


def _paths(
    chosen: Mapping[str, System], held_out: Sounds, waves: Waves, rate: int, seed: int
) -> Rows | Absent:
    if not waves.interpolations:
        return Absent("it takes two held-out sounds")
    return {
        name: chosen[name].row(interpolation.measure(chosen[name], found, held_out, rate, seed))
        for name, found in waves.interpolations.items()
    }
