"""Does search find sounds of the query's kind in other packs?"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sst.evaluation import figures, intervals, retrieval
from sst.evaluation.sounds import Sounds
from sst.evaluation.systems import System


def measure(systems: Mapping[str, System], sounds: Sounds, seed: int) -> dict[str, Any] | str:
    """Rows of the search table for every system with vectors, or why there can be none."""
    labelled = [row for row, kind in enumerate(sounds.classes) if kind]
    if not labelled:
        return "the held-out sounds have no classes"
    chosen = sounds.take(labelled)
    if len(set(chosen.packs)) < 2:
        return "the held-out sounds are all of one pack, and a pack's own sounds never count"
    rows = {}
    for name, system in systems.items():
        if system.embed is None:
            continue
        found = retrieval.score(system.embed(chosen), chosen.packs, chosen.classes)
        if not len(found.query_rows):
            return f"no class has {retrieval.MIN_RELEVANT} sounds in other packs"
        rows[name] = {
            "title": system.title,
            "note": system.note,
            "figures": _figures(found, np.array(chosen.packs), seed),
            "per_class": {
                kind: {
                    "p1": figures.single(score.p1, score.n),
                    "p10": figures.single(score.p10, score.n),
                    "map": figures.single(score.map, score.n),
                }
                for kind, score in found.per_class.items()
            },
        }
    return rows


def _figures(found: retrieval.Retrieval, packs: np.ndarray, seed: int) -> dict[str, Any]:
    """Means over classes; the interval draws packs again, each query with its class's weight."""
    values = {"p1": found.query_p1, "p10": found.query_p10, "map": found.query_ap}
    groups = packs[found.query_rows]
    return {
        name: figures.of_interval(
            intervals.bootstrap(each, groups, seed=seed, weights=found.query_weight)
        )
        for name, each in values.items()
    }
