"""Search across packs: the classes of a sound's nearest neighbours in other packs."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sst.evaluation import figures, intervals, retrieval
from sst.evaluation.figures import Absent, Figure
from sst.evaluation.sounds import Sounds
from sst.evaluation.systems import System


def measure(
    systems: Mapping[str, System], sounds: Sounds, seed: int
) -> dict[str, dict[str, Any]] | Absent:
    """Returns a row of the search table for every system with vectors, by the system's name.

    Args:
        systems: by name.
        sounds: the queries, and the sounds that are searched; those without a class are left out.
        seed: of the intervals.
    """
    labelled = [row for row, kind in enumerate(sounds.classes) if kind]
    if not labelled:
        return Absent("the held-out sounds have no classes")
    chosen = sounds.take(labelled)
    if len(set(chosen.packs)) < 2:
        return Absent(
            "the held-out sounds are all of one pack, and a pack's own sounds never count"
        )
    rows = {}
    for name, system in systems.items():
        if system.embed is None:
            continue
        found = retrieval.score(system.embed(chosen), chosen.packs, chosen.classes)
        if not len(found.query_rows):
            return Absent(f"no class has {retrieval.MIN_RELEVANT} sounds in other packs")
        rows[name] = system.row(_figures(found, np.array(chosen.packs), seed)) | {
            "per_class": {kind: _of_class(score) for kind, score in found.per_class.items()}
        }
    return rows


def _figures(found: retrieval.Retrieval, packs: np.ndarray, seed: int) -> dict[str, Figure]:
    """Returns means over classes; in the bootstrap a query keeps the weight of its class."""
    values = {"p1": found.query_p1, "p10": found.query_p10, "map": found.query_ap}
    groups = packs[found.query_rows]
    return {
        name: figures.from_interval(
            intervals.bootstrap(each, groups, seed=seed, weights=found.query_weight)
        )
        for name, each in values.items()
    }


def _of_class(score: retrieval.ClassScore) -> dict[str, Figure]:
    return {name: figures.single(getattr(score, name), score.n) for name in ("p1", "p10", "map")}
