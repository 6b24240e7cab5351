"""Batches of one size, so that one compiled program serves all of them."""

from collections.abc import Iterator

import numpy as np


def padded_batches(n: int, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Splits rows 0 .. n - 1 into batches of `size`, the last one padded with row n - 1.

    Yields:
        rows int32 [size] and mask bool [size], which is False on the padding.
    """
    for start in range(0, n, size):
        rows = np.arange(start, start + size, dtype=np.int32)
        yield np.minimum(rows, n - 1), rows < n
