import numpy as np
import pytest

from sst.batching import padded_batches


@pytest.mark.parametrize(("n", "size"), [(1, 4), (4, 4), (5, 4), (12, 4), (13, 1)])
def test_every_row_comes_once_and_every_batch_has_one_size(n, size):
    batches = list(padded_batches(n, size))
    assert len(batches) == -(-n // size)
    for rows, mask in batches:
        assert rows.shape == mask.shape == (size,)
        assert rows.dtype == np.int32 and mask.dtype == bool
        assert mask[0] and (rows[~mask] == n - 1).all()  # padding is a row that is there
    kept = np.concatenate([rows[mask] for rows, mask in batches])
    np.testing.assert_array_equal(kept, np.arange(n))


def test_no_rows_are_no_batches():
    assert list(padded_batches(0, 4)) == []
