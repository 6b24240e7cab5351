"""The tables of a report: a row per system, a column per quantity."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sst.config import AudioConfig
from sst.evaluation import (
    copies,
    definitions,
    figures,
    generation,
    interpolation,
    kinds,
    reconstruction,
    search,
    spaces,
    systems,
)
from sst.evaluation import sounds as sources
from sst.evaluation.clock import Clock
from sst.evaluation.kinds import OURS
from sst.evaluation.material import Material
from sst.evaluation.sounds import Sounds
from sst.evaluation.systems import System
from sst.evaluation.waves import Waves
from sst.types import Wave

NO_TRAIN = "no training sounds: give --dataset sample_library/NAME, the one it was trained on"


def measure(
    material: Material,
    chosen: Mapping[str, System],
    waves: Waves,
    judge: spaces.Judge | str,
    audio: AudioConfig,
    seed: int,
    clock: Clock,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The sections of the report with their rows, and the confusion tables."""
    held_out, rate = material.held_out, audio.sample_rate
    sections = {name: empty(name) for name in definitions.SECTIONS}
    with clock("measuring reconstructions"):
        found = reconstruction.table(held_out, waves.remade, rate)
        for name, errors in found.items():
            row = reconstruction.summarise(errors, held_out.packs, seed)
            sections["reconstruction"]["rows"][name] = _row(chosen[name], row)
    with clock("what a classifier hears"):
        confusion = _add_class_kept(sections, held_out, waves, judge, rate, seed)
    with clock("measuring draws"):
        sections["generation"]["rows"] = _generation(chosen, material, waves, judge, rate, seed)
    with clock("measuring paths"):
        for name, walks in waves.walks.items():
            row = interpolation.measure(chosen[name], walks, held_out, rate, seed)
            sections["paths"]["rows"][name] = _row(chosen[name], row)
        if not waves.walks:
            sections["paths"]["why"] = "it takes two held-out sounds"
    with clock("measuring search"):
        ranked = search.measure(chosen, held_out, seed)
        if isinstance(ranked, str):
            sections["search"]["why"] = ranked
        else:
            sections["search"]["rows"] = ranked
    with clock("telling kinds apart"):
        told = kinds.measure(chosen, material, seed)
        if isinstance(told, str):
            sections["classes"]["why"] = told
        else:
            sections["classes"]["rows"], tables = told
            confusion = tables + confusion
    with clock("looking for copies"):
        sections["copies"]["rows"] = copies.measure(chosen, held_out, audio, seed)
    return sections, confusion


def _generation(
    chosen: Mapping[str, System],
    material: Material,
    waves: Waves,
    judge: spaces.Judge | str,
    rate: int,
    seed: int,
) -> dict[str, Any]:
    held_out, train = material.held_out, material.train

    def heard(made: Sequence[Wave]) -> generation.Heard:
        verdict = None if isinstance(judge, str) else spaces.hear(judge, made, rate)
        return generation.Heard(systems.mfcc_of(made, rate), verdict)

    why = judge if isinstance(judge, str) else ""
    of_train = None if train is None else heard(train.waves)
    real = generation.Real(heard(held_out.waves), held_out.packs, of_train, NO_TRAIN, why)
    names = [] if isinstance(judge, str) else judge.names
    rows = {}
    for name, made in waves.draws.items():
        draws = heard(made)
        rows[name] = _row(chosen[name], generation.of_draws(draws, real, seed))
        rows[name]["per_class"] = generation.per_class(draws, names)
    if of_train is not None and train is not None:
        some = sources.choose(train.size, len(waves.draws[OURS]), seed)
        verdict = of_train.verdict
        part = generation.Heard(
            of_train.mfcc[some],
            verdict and spaces.Verdict(verdict.hidden[some], verdict.probabilities[some]),
        )
        rows["train"] = {
            "title": "training sounds themselves",
            "note": "the upper end; the classifier has learned from them",
            "figures": generation.of_train(part, real, seed),
        }
    rows["held_out"] = {
        "title": "held-out real sounds",
        "note": "the reference",
        "figures": generation.of_held_out(real, seed),
    }
    return rows


def _add_class_kept(
    sections: dict[str, Any],
    held_out: Sounds,
    waves: Waves,
    judge: spaces.Judge | str,
    rate: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Adds what the classifier makes of reconstructions; returns the tables of confusion."""
    rows = sections["reconstruction"]["rows"]
    if isinstance(judge, str):
        for row in rows.values():
            row["figures"]["class_kept"] = figures.absent(judge)
        return []
    before = spaces.hear(judge, held_out.waves, rate).probabilities.argmax(axis=1)
    tables = [_confusion("held-out real sounds", held_out, judge, before)]
    for name, made in waves.remade.items():
        after = spaces.hear(judge, made, rate).probabilities.argmax(axis=1)
        kept = (before == after).astype(float)
        rows[name]["figures"]["class_kept"] = figures.over_files(kept, held_out.packs, "mean", seed)
        if name == OURS:
            tables.append(_confusion("the model's reconstructions", held_out, judge, after))
    return [table for table in tables if table["classes"]]


def _confusion(
    what: str, held_out: Sounds, judge: spaces.Judge, answers: np.ndarray
) -> dict[str, Any]:
    names = [kind for kind in held_out.class_names if kind in judge.names]
    counts = []
    for kind in names:
        rows = [i for i, own in enumerate(held_out.classes) if own == kind]
        counts.append([int((answers[rows] == j).sum()) for j in range(len(judge.names))])
    return {
        "title": f"What a classifier hears in {what}",
        "intro": "Rows: the folder's class. Columns: the answer of a classifier that was trained "
        f"on real training sounds only; its macro F1 {spaces.quality(judge)}.",
        "classes": names,
        "columns": judge.names,
        "counts": counts,
    }


def goals(sections: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every quantity that has a goal, and whether the model meets it (None: not measured)."""
    holds: dict[str, Callable[[float, float], bool]] = {
        "<": lambda value, goal: value < goal,
        "<=": lambda value, goal: value <= goal,
        ">=": lambda value, goal: value >= goal,
    }
    found = []
    for section, quantities in definitions.SECTIONS.items():
        row = sections[section]["rows"].get(OURS, {"figures": {}})
        for name, quantity in quantities.items():
            if not quantity.relation:
                continue
            figure = row["figures"].get(name) or figures.absent("not measured")
            value, met = figure["value"], None
            if value is not None:
                met = holds[quantity.relation](value, quantity.goal)
            elif figure["reason"] == figures.LOST:
                met = False
            found.append(
                {
                    "section": section,
                    "quantity": name,
                    "relation": quantity.relation,
                    "goal": quantity.goal,
                    "figure": figure,
                    "met": met,
                }
            )
    return found


def empty(name: str) -> dict[str, Any]:
    """A section of `definitions.SECTIONS` without rows."""
    title, intro = definitions.TITLES[name]
    quantities = definitions.as_dict(definitions.SECTIONS[name])
    return {"title": title, "intro": intro, "quantities": quantities, "rows": {}}


def _row(system: System, row: dict[str, Any]) -> dict[str, Any]:
    return {"title": system.title, "note": system.note, "figures": row}
