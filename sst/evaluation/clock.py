"""What the stages of an evaluation cost."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from sst.evaluation.sounds import Progress


class Clock:
    """CPU seconds of the stages of a run, said when each begins."""

    def __init__(self, say: Progress):
        self.say = say
        self.stages: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Times what is done inside."""
        self.say(stage)
        start = _cpu_s()
        yield
        self.stages[stage] = round(_cpu_s() - start, 2)


def _cpu_s() -> float:
    """User and system time of this process and of its children that have ended."""
    return sum(os.times()[:4])
