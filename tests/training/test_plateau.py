import dataclasses

import numpy as np
import pytest

from sst.config import OptimConfig
from sst.training import plateau

OPTIM = OptimConfig(learning_rate=1e-3, patience=2, factor=0.1, min_improvement=0.01, min_lr=1e-6)


def rates(losses, optim=OPTIM):
    state, seen = plateau.init(optim), []
    for loss in losses:
        state = plateau.observe(state, loss, optim)
        seen.append(plateau.learning_rate(state, optim))
    return state, seen


def test_a_constant_loss_lowers_the_rate_after_every_patience_evaluations():
    _, seen = rates([1.0] * 7)
    np.testing.assert_allclose(seen, [1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5, 1e-6], rtol=1e-5)


def test_a_constant_negative_loss_does_the_same():
    assert rates([-50.0] * 7)[1] == rates([1.0] * 7)[1]


def test_an_improvement_must_be_larger_than_min_improvement():
    _, seen = rates([1.0, 0.995, 0.9905])
    assert seen[-1] == pytest.approx(1e-4)
    _, seen = rates([1.0, 0.995, 0.989])
    assert seen[-1] == pytest.approx(1e-3)


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_not_finite_is_never_an_observation(loss):
    with pytest.raises(ValueError, match="cannot be compared"):
        plateau.observe(plateau.init(OPTIM), loss, OPTIM)


def test_the_run_ends_below_min_lr_not_at_it():
    at_the_limit, seen = rates([1.0] * 7)  # 1e-3 * 0.1**3 in float32 is not exactly 1e-6
    assert seen[-1] == pytest.approx(OPTIM.min_lr, rel=1e-6)
    assert not plateau.is_finished(at_the_limit, OPTIM)
    below, _ = rates([1.0] * 9)
    assert plateau.is_finished(below, OPTIM)


def test_the_state_keeps_its_types_so_that_the_step_is_not_traced_again():
    before = plateau.init(OPTIM)
    after = plateau.observe(before, 1.0, OPTIM)
    for a, b in zip(before, after, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)


@pytest.mark.parametrize("losses", [[1.0], [1.0, 1.0], [1.0] * 3, [1.0] * 4, [1.0] * 6, [1.0] * 7])
def test_the_outlook_comes_true(losses):
    state, _ = rates(losses)
    text = plateau.describe_outlook(state, OPTIM)
    count = int(text.split()[0])
    for _ in range(count):
        assert not plateau.is_finished(state, OPTIM)
        rate = plateau.learning_rate(state, OPTIM)
        state = plateau.observe(state, 1.0, OPTIM)
    assert plateau.learning_rate(state, OPTIM) < rate
    if "end" in text:
        assert plateau.is_finished(state, OPTIM)
    else:
        assert text.endswith(f"{plateau.learning_rate(state, OPTIM):.1e}")


def test_outlook_texts():
    optim = dataclasses.replace(OPTIM, patience=3, factor=0.4, min_lr=2e-4)
    state, _ = rates([1.0, 1.0], optim)
    assert plateau.describe_outlook(state, optim) == (
        "2 more evaluations without improvement lower the rate to 4.0e-04"
    )
    state, _ = rates([1.0] * 6, optim)
    text = plateau.describe_outlook(state, optim)
    assert text == "1 more evaluation without improvement ends the run"
