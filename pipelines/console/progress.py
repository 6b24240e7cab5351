"""The progress of a long job: a bar on a terminal, elsewhere one line per 10 %."""

import sys
import time
from types import TracebackType
from typing import Any

from pipelines.console.messages import say

QUIET_S = 1.0  # jobs that end sooner say nothing
_BAR = (
    "{desc} {percentage:3.0f} % |{bar}| {n_fmt}/{total_fmt}{unit},"
    " {rate_noinv_fmt}, {remaining} left{postfix}"
)


class Progress:
    """Shows how much of a job is done: the rate, the time left and the skipped count."""

    def __init__(self, what: str, unit: str = "files") -> None:
        self._what, self._unit = what, unit
        self._start = time.monotonic()
        self._tenth = 0
        self._bar: Any = None

    def __call__(self, done: int, total: int, skipped: int = 0) -> None:
        """Shows how many files are done and skipped; called after each file or batch."""
        elapsed = time.monotonic() - self._start
        if sys.stderr.isatty():
            self._draw(done, total, skipped, elapsed)
        elif done == total and not self._tenth:
            return  # one line that all is done tells nothing
        elif elapsed >= QUIET_S and total and 10 * done // total > self._tenth:
            self._tenth = 10 * done // total
            self._say(done, total, skipped, elapsed)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def _draw(self, done: int, total: int, skipped: int, elapsed: float) -> None:
        if self._bar is None:
            from tqdm import tqdm  # Imported here: --help is instant

            self._bar = tqdm(
                total=total, desc=self._what, unit=f" {self._unit}", bar_format=_BAR,
                delay=QUIET_S, leave=False, dynamic_ncols=True, miniters=1, smoothing=0,
            )  # fmt: skip
            self._bar.start_t -= elapsed
            self._bar.last_print_t -= elapsed
        self._bar.set_postfix_str(f"{skipped:,} skipped", refresh=False)
        self._bar.update(done - self._bar.n)

    def _say(self, done: int, total: int, skipped: int, elapsed: float) -> None:
        minutes, seconds = divmod(round(elapsed * (total - done) / max(done, 1)), 60)
        say(
            f"{self._what} {100 * done // total} %: {done:,} of {total:,} {self._unit},"
            f" {done / elapsed:.3g} {self._unit}/s, {minutes}:{seconds:02d} left,"
            f" {skipped:,} skipped"
        )
