import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sst.model import quantization

MATRICES = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 20)),
    elements=st.floats(-1e6, 1e6, width=32).map(lambda x: x if abs(x) > 1e-30 else 0.0),
)


@given(MATRICES, st.integers(1, 25))
def test_every_number_comes_back_within_half_a_step_of_its_block(matrix, block):
    coarse = quantization.quantize(matrix, block)
    assert coarse.values.dtype == np.int8 and coarse.values.shape == matrix.shape
    found = quantization.restore(coarse)
    assert found.dtype == np.float32
    for start in range(0, matrix.shape[1], block):
        here = slice(start, start + block)
        largest = np.abs(matrix[:, here]).max(axis=1, keepdims=True)
        away = np.abs(found[:, here] - matrix[:, here])
        assert (away <= largest * (0.5 / quantization.MAX_LEVEL) * 1.001).all()


def test_the_largest_of_a_block_and_zeros_are_exact():
    matrix = np.array([[0.0, 0.0, 3.0, 127.0, -1.0], [0.0, 0.0, 0.0, -254.0, 5.0]], np.float32)
    found = quantization.restore(quantization.quantize(matrix, 2))
    np.testing.assert_array_equal(found[:, [0, 1, 3, 4]], matrix[:, [0, 1, 3, 4]])
    assert found[0, 2] == 3.0 and found[1, 2] == 0.0


def test_a_loud_block_leaves_a_quiet_one_as_fine_as_it_was():
    rng = np.random.default_rng(0)
    quiet = rng.normal(size=(3, 64)).astype(np.float32)
    without_loud_block = quantization.restore(quantization.quantize(quiet, 64))
    loud = np.concatenate([quiet, 1000.0 * quiet], axis=1)
    np.testing.assert_array_equal(
        quantization.restore(quantization.quantize(loud, 64))[:, :64], without_loud_block
    )


@pytest.mark.parametrize(("block", "blocks"), [(0, 2), (-5, 2), (3, 2), (10**12, 2), (5, 1)])
def test_steps_that_are_not_as_many_as_the_blocks_are_refused(block, blocks):
    """As a damaged file would have them: nothing is allocated for them."""
    coarse = quantization.Quantized(np.ones((2, 10), np.int8), np.ones((2, blocks)), block)
    with pytest.raises(ValueError, match="steps for"):
        quantization.restore(coarse)
