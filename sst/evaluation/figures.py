"""Figures of the report: a value, its 95 % interval and number of sounds, or why there is none."""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from sst.evaluation import intervals

Figure = dict[str, Any]  # value, low, high: float or None; n: int; reason: str where value is None
LOST = "lost in most files"


class Absent(NamedTuple):
    """The reason why a figure could not be measured, or a section or system not be made."""

    reason: str  # as the report says it

    def figure(self) -> Figure:
        """Returns a figure without a value, with the reason."""
        return {"value": None, "low": None, "high": None, "n": 0, "reason": self.reason}


NOT_APPLICABLE = Absent("it applies to none of these sounds")


def single(value: float, n: int = 0) -> Figure:
    """Returns a figure without an interval; `n` is the number of sounds it is made of."""
    return from_interval(intervals.Interval(float(value), math.nan, math.nan, n))


def over_files(
    values: Sequence[float] | np.ndarray,
    packs: Sequence[str] | None,
    statistic: Literal["mean", "median"] = "mean",
    seed: int = 0,
    absent: Absent = NOT_APPLICABLE,
) -> Figure:
    """Returns the mean or median over files with its cluster bootstrap interval over packs.

    Args:
        values: [n], one per file; nan does not apply, inf is lost.
        packs: [n], of the files; None where they have none.
        statistic: "mean" or "median".
        seed: of the bootstrap.
        absent: the result where no value applies.
    """
    found = intervals.bootstrap(values, packs, statistic, seed)
    return from_interval(found) if found.n else absent.figure()


def from_interval(found: intervals.Interval) -> Figure:
    """Returns an interval as JSON can hold it: None, with the reason, for what is not finite."""
    value, low, high = (x if math.isfinite(x) else None for x in found[:3])
    figure: Figure = {"value": value, "low": low, "high": high, "n": int(found.n)}
    if value is None:
        lost = math.isinf(found.value)
        figure["reason"] = LOST if lost else "not defined for these sounds"
    return figure
