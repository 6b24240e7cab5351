import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sst.config import AudioConfig, Config, ModelConfig
from sst.dsp import features
from sst.errors import UsageError
from sst.model import companding

CONFIG = Config()


def scaled(**fields):
    return dataclasses.replace(CONFIG, model=ModelConfig(**fields))


@settings(max_examples=40, deadline=None)
@given(
    slope=st.floats(0.01, 1.0),
    weight=st.floats(0.1, 20.0),
    floor=st.floats(-120.0, -20.0),
    seed=st.integers(0, 99),
)
def test_expanding_is_the_inverse(slope, weight, floor, seed):
    config = dataclasses.replace(
        scaled(quiet_slope=slope, bass_weight=weight), audio=AudioConfig(floor_db=floor)
    )
    log_mel = np.random.default_rng(seed).uniform(floor, 0.0, (3, 128)).astype(np.float32)
    log_mel[0], log_mel[1] = 0.0, floor
    cells = companding.compand(log_mel, config)
    assert np.all(cells >= companding.lowest(config) * 1.0001) and np.all(cells <= 0.0)
    # At the floor a step of the cells is 1 / slope as large in dB, and so is its rounding.
    back = companding.expand(cells, config)
    np.testing.assert_allclose(back, log_mel, atol=2e-5 * abs(floor) / slope)


def test_a_step_counts_as_much_as_the_configuration_says():
    config = scaled(quiet_slope=0.25, bass_weight=3.0)

    def step(db):
        ends = [companding.compand(jnp.full(128, at), config) for at in (db, db + 0.1)]
        return np.asarray(ends[1] - ends[0]) / 0.1

    hz = features.band_edges(config.audio)[1:-1]
    bass, high = int(np.argmin(hz)), int(np.argmax(hz))
    assert step(-0.1)[high] == pytest.approx(1.0, rel=1e-2)
    assert step(-80.0)[high] == pytest.approx(0.25, rel=1e-2)
    assert step(-0.1)[bass] == pytest.approx(3.0, rel=1e-2)
    half_way = np.interp(companding.BASS_HZ, hz, step(-0.1))
    assert half_way == pytest.approx(2.0, rel=2e-2)


def test_with_a_slope_and_a_weight_of_one_nothing_changes():
    log_mel = np.linspace(-80.0, 0.0, 128, dtype=np.float32)[None]
    plain = scaled(quiet_slope=1.0, bass_weight=1.0)
    np.testing.assert_array_equal(companding.compand(log_mel, plain), log_mel)
    np.testing.assert_array_equal(companding.expand(log_mel, plain), log_mel)


def test_what_is_out_of_range_becomes_the_nearest_level():
    cells = np.stack([companding.lowest(CONFIG) - 5.0, np.full(128, 5.0)])
    db = companding.expand(cells, CONFIG)
    np.testing.assert_allclose(db[0], CONFIG.audio.floor_db, rtol=1e-5)
    assert float(db.min()) >= CONFIG.audio.floor_db
    np.testing.assert_array_equal(db[1], 0.0)


def test_gradients_are_finite_everywhere():
    def total(cells):
        return companding.expand(cells, CONFIG).sum()

    cells = jnp.stack([companding.lowest(CONFIG), jnp.zeros(128), jnp.full(128, -1.0)])
    assert np.isfinite(jax.grad(total)(cells)).all()


@pytest.mark.parametrize("fields", [{"quiet_slope": 0.0}, {"quiet_slope": 1.1}, {"bass_weight": 0}])
def test_a_scale_without_an_inverse_is_refused(fields):
    with pytest.raises(UsageError, match=next(iter(fields))):
        ModelConfig(**fields)
