"""Calibration of class probabilities: the temperature and the calibration error."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from sst.config import Config
from sst.data import dataset as datasets
from sst.model import calibration
from sst.training import export
from tests import linear_model


def drawn(rng, n=4000, classes=5):
    """Logits, and labels drawn with exactly the probabilities that these say."""
    logits = 2.0 * rng.standard_normal((n, classes))
    shares = calibration.probabilities(logits)
    return logits, np.array([rng.choice(classes, p=row) for row in shares])


def test_probabilities_are_a_softmax_that_large_logits_do_not_break():
    shares = calibration.probabilities(np.array([[1000.0, 1000.0, -1000.0]]))
    np.testing.assert_allclose(shares, [[0.5, 0.5, 0.0]])
    even = calibration.probabilities(np.array([3.0, 1.0]), temperature=1e9)
    np.testing.assert_allclose(even, [0.5, 0.5], atol=1e-6)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.5])
def test_the_temperature_takes_back_a_factor_on_the_logits(rng, factor):
    logits, labels = drawn(rng)
    assert calibration.temperature(factor * logits, labels) == pytest.approx(factor, rel=0.1)


def test_clips_without_a_label_do_not_count_and_few_give_a_temperature_of_one(rng):
    logits, labels = drawn(rng, 200)
    chosen = calibration.temperature(logits, labels)
    more = np.concatenate([logits, 9.0 * rng.standard_normal((50, 5))])
    assert calibration.temperature(more, np.append(labels, [-1] * 50)) == pytest.approx(chosen)
    assert calibration.temperature(9.0 * logits[:19], labels[:19]) == 1.0


def test_the_error_of_calibrated_probabilities_is_small_and_of_overconfident_ones_their_excess(rng):
    logits, labels = drawn(rng)
    shares = calibration.probabilities(logits)
    right = shares.argmax(axis=1) == labels
    assert calibration.error(shares.max(axis=1), right) < 0.03
    assert calibration.error(np.ones(4000), right) == pytest.approx(1.0 - right.mean())
    twice = calibration.error(np.array([0.9, 0.1]), np.array([1.0, 1.0]), np.array([3.0, 1.0]))
    assert twice == pytest.approx((3 * 0.1 + 0.9) / 4)


def _overconfident_logits(params, stats, features, config):
    """Logits that are the first cells of the clips, three times too large."""
    return 3.0 * jnp.asarray(features.log_mel[:, 0, :5])


def test_an_exported_model_has_the_temperature_of_its_validation_clips(rng):
    logits, labels = drawn(rng, 600)
    names = [f"kind {label}" for label in range(5)]
    cells = np.zeros((600, 2, 8), np.float16)
    cells[:, 0, :5] = logits
    split = datasets.Split(
        ids=[str(i) for i in range(600)],
        labels=[names[label] for label in labels],
        log_mel=cells,
        n_frames=np.ones(600, np.int32),
        peak_db=np.zeros(600, np.float32),
        attack=np.zeros((600, 3), np.float16),
    )
    dataset = datasets.Dataset("sample_library/x", Path(), split, split, names, "", {})
    model = linear_model.MODEL._replace(class_logits=_overconfident_logits)
    inputs = export.ExportInputs(Config(), dataset, model, Path())
    found = export.class_temperature(inputs, {"prototypes": np.zeros(1)}, {})
    assert found == pytest.approx(3.0, rel=0.15)
    assert export.class_temperature(inputs, {}, {}) == 1.0
