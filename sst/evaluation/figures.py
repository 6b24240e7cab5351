"""A figure of the report: a value, its 95 % interval, how many it is of, or why there is none."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from sst.evaluation import intervals

Figure = dict[str, Any]  # value, low, high: float or None; n: int; reason: str where value is None
LOST = "lost in most files"


def absent(reason: str) -> Figure:
    """A figure that could not be measured."""
    return {"value": None, "low": None, "high": None, "n": 0, "reason": reason}


def single(value: float, n: int = 0) -> Figure:
    """A figure without an interval."""
    return of_interval(intervals.Interval(float(value), math.nan, math.nan, n))


def over_files(
    values: Sequence[float] | np.ndarray,
    packs: Sequence[str] | None,
    statistic: Literal["mean", "median"] = "mean",
    seed: int = 0,
    reason: str = "it applies to none of these sounds",
) -> Figure:
    """The mean or median over files, with whole packs drawn again for the interval.

    Args:
        values: one per file; nan does not apply, inf is lost.
        packs: of the files; None where they have none.
        statistic: "mean" or "median".
        seed: of the bootstrap.
        reason: said where no value applies.
    """
    found = intervals.bootstrap(values, packs, statistic, seed)
    return of_interval(found) if found.n else absent(reason)


def of_interval(found: intervals.Interval) -> Figure:
    """An interval as JSON can hold it: what is not finite becomes None, with the reason."""
    value, low, high = (x if math.isfinite(x) else None for x in found[:3])
    figure: Figure = {"value": value, "low": low, "high": high, "n": int(found.n)}
    if value is None:
        lost = math.isinf(found.value)
        figure["reason"] = LOST if lost else "not defined for these sounds"
    return figure
