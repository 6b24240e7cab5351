"""The speed of training and the time it has taken."""

import time
from collections.abc import Sequence

import jax

from sst.config import Config
from sst.training import peak_flops
from sst.training.run_log import Row


class Clock:
    """Measures clips per second between evaluations, and the seconds over all sessions of a run.

    Args:
        config: of the run.
        train_clips: in the data set.
        devices: that train.
        seconds_before: of earlier sessions.
    """

    def __init__(
        self,
        config: Config,
        train_clips: int,
        devices: Sequence[jax.Device],
        seconds_before: float,
    ) -> None:
        self._config, self._train_clips, self._devices = config, train_clips, devices
        self._seconds_before = seconds_before
        self._start = self._interval_start = time.perf_counter()
        self._untimed_steps = 0  # of this interval
        self._step_flops = self._peak_flops = 0.0

    def exclude(self, steps: int, seconds: float, step_flops: float) -> None:
        """Takes a call that compiled out of the interval; the first one starts the interval anew.

        Args:
            steps: of the call.
            seconds: that it took.
            step_flops: floating-point operations of one step on one device.
        """
        self._untimed_steps += steps
        self._interval_start += seconds
        if self._peak_flops:
            return
        device, n_devices = self._devices[0], len(self._devices)
        self._step_flops = step_flops * n_devices
        peak = peak_flops.peak_flops(device, self._config.model.precision)
        # Virtual CPU devices share one CPU.
        self._peak_flops = peak * (1 if device.platform == "cpu" else n_devices)
        self._interval_start = time.perf_counter()

    def start_interval(self) -> None:
        """Starts the next interval, after an evaluation."""
        self._interval_start, self._untimed_steps = time.perf_counter(), 0

    def total(self) -> float:
        """Returns the seconds over all sessions."""
        return self._seconds_before + time.perf_counter() - self._start

    def row(self, step: int, steps: int) -> Row:
        """Returns the columns of an evaluation that this measures.

        Args:
            step: of the evaluation.
            steps: since the last one.
        """
        timed = steps - self._untimed_steps
        rate = timed / max(time.perf_counter() - self._interval_start, 1e-9)
        batch_size, peak = self._config.optim.batch_size, self._peak_flops
        return {
            "step": step,
            "epoch": step * batch_size / self._train_clips,
            "seconds": self.total(),
            "clips_per_second": rate * batch_size,
            "share_of_peak": rate * self._step_flops / peak if peak else 0.0,
        }
