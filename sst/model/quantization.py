"""Matrices in eight bits, for files: whole numbers, and a step size for each block of a row.

A step for every block (Dettmers et al., "8-bit optimizers via block-wise quantization", 2022), so
that a few large numbers in one place do not make those elsewhere quantized.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int8

MAX_LEVEL = 127


class Quantized(NamedTuple):
    """A matrix [n, d] in eight bits, as a model file holds it."""

    values: Int8[np.ndarray, "n d"]
    steps: Float[np.ndarray, "n blocks"]  # a block is as wide as the others, but for the last one
    block: int


def quantize(matrix: Float[np.ndarray, "n d"], block: int) -> Quantized:
    """Rounds to whole numbers of steps; the largest of each block is MAX_LEVEL steps, exactly.

    Args:
        matrix: d >= 1 columns.
        block: columns that share a step.
    """
    matrix = np.asarray(matrix, np.float32)
    starts = np.arange(0, matrix.shape[1], block)
    steps = np.maximum.reduceat(np.abs(matrix), starts, axis=1) / MAX_LEVEL
    sizes = _columns(np.where(steps > 0.0, steps, 1.0), block, matrix.shape[1])
    return Quantized(np.round(matrix / sizes).astype(np.int8), steps, block)


def restore(quantized: Quantized) -> Float[np.ndarray, "n d"]:
    """Returns the matrix in float32, each number within half a step of the original.

    Raises:
        ValueError: the steps are not as many as the blocks.
    """
    (n, d), block = quantized.values.shape, int(quantized.block)
    if block < 1 or quantized.steps.shape != (n, -(-d // block)):
        raise ValueError(f"{quantized.steps.shape} steps for {(n, d)} numbers in blocks of {block}")
    return quantized.values * _columns(quantized.steps, block, d)


def _columns(steps: np.ndarray, block: int, columns: int) -> np.ndarray:
    """Returns the step of every column of each row."""
    return np.repeat(np.asarray(steps, np.float32), block, axis=1)[:, :columns]
