"""CPU time of the stages of an evaluation."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from sst.evaluation.sounds import Progress


class Clock:
    """A timer that announces each stage of a run and keeps its CPU seconds."""

    def __init__(self, say: Progress):
        self.say = say
        self.stages: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Times the code inside, in CPU seconds."""
        self.say(stage)
        start = _cpu_s()
        yield
        self.stages[stage] = round(_cpu_s() - start, 2)


def _cpu_s() -> float:
    """Returns user and system time of this process and of its children that have ended."""
    return sum(os.times()[:4])
