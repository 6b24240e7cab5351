"""The training batches: resident on the devices, or gathered one step ahead in host memory."""

import concurrent.futures
from collections.abc import Sequence

import jax
import numpy as np

from sst.config import Config
from sst.data import dataset as datasets
from sst.data.dataset import Dataset, Split
from sst.training import step as training_step
from sst.training.step import Clips


class Batches:
    """The clips of a data set, and the rows of them that each step trains on.

    Attributes:
        resident: whether all clips lie on every device; otherwise they lie in host memory.
        valid_clips: the whole validation set, in the same place.
    """

    def __init__(self, config: Config, dataset: Dataset, devices: Sequence[jax.Device]) -> None:
        self._shape = (len(devices), config.optim.batch_size // len(devices))
        self._seed, self._size = config.seed, dataset.train.size
        clips = [_clips(dataset, split) for split in (dataset.train, dataset.validation)]
        self.resident = all(training_step.fit_on_devices(each, devices) for each in clips)
        if self.resident:
            clips = [training_step.replicate(each, devices) for each in clips]
        self._clips, self.valid_clips = clips
        self._pool = concurrent.futures.ThreadPoolExecutor(1, "batches")
        self._next: tuple[int, concurrent.futures.Future[Clips]] | None = None

    def batch(self, step: int, n_steps: int = 1) -> tuple[np.ndarray, Clips]:
        """Returns the rows of a step, int32 [devices, b], and the clips for the step function.

        Rows of several steps, possible where the clips are resident, are [devices, n_steps, b].
        """
        rows = self._rows(step)
        if n_steps > 1:
            rows = np.stack([self._rows(step + i) for i in range(n_steps)], axis=1)
        if self.resident:
            return rows, self._clips
        if self._next and self._next[0] == step:
            clips = self._next[1].result()
        else:
            clips = training_step.gather(self._clips, rows)
        # Gathered while the devices compute this step.
        self._next = (step + 1, self._pool.submit(self._gather, step + 1))
        return rows, clips

    def _gather(self, step: int) -> Clips:
        return training_step.gather(self._clips, self._rows(step))

    def _rows(self, step: int) -> np.ndarray:
        batch_size = self._shape[0] * self._shape[1]
        return datasets.batch_rows(self._seed, step, self._size, batch_size).reshape(self._shape)


def _clips(dataset: Dataset, split: Split) -> Clips:
    labels = dataset.label_rows(split)
    return Clips(split.log_mel, split.n_frames, split.peak_db, split.attack, labels)
