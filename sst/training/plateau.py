"""The plateau rule: lowers the learning rate and ends the run, one observation per evaluation."""

import functools
import math
from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from optax import contrib

from sst.config import OptimConfig

State: TypeAlias = contrib.ReduceLROnPlateauState

RELATIVE_TOLERANCE = 1e-5  # 1e-3 * 0.1**3 is a little above 1e-6 in float32


def init(optim: OptimConfig) -> State:
    """Returns the state before the first evaluation."""
    return _rule(optim).init({"like": jnp.zeros((), jnp.float32)})


def observe(state: State, loss: float, optim: OptimConfig) -> State:
    """Advances the rule by one evaluation of the whole validation set.

    Args:
        state: after the evaluation before.
        loss: of this evaluation, in dB; it may be negative.
        optim: patience, factor and the improvement that counts.

    Raises:
        ValueError: if the loss is not finite. It would count as a plateau, and a diverged run would
            end as a converged one; the caller must stop instead.
    """
    if not math.isfinite(loss):
        raise ValueError(f"a validation loss of {loss} cannot be compared")
    return _program(optim)(state, jnp.float32(loss))


def learning_rate(state: State, optim: OptimConfig) -> float:
    """Returns the learning rate after warm-up."""
    return optim.learning_rate * float(state.scale)


def is_finished(state: State, optim: OptimConfig) -> bool:
    """Tells whether the learning rate has fallen below `min_lr`."""
    return learning_rate(state, optim) < optim.min_lr * (1 - RELATIVE_TOLERANCE)


def describe_outlook(state: State, optim: OptimConfig) -> str:
    """Describes in words the consequence of further evaluations without improvement."""
    left = optim.patience - int(np.asarray(state.plateau_count))
    lowered = learning_rate(state, optim) * optim.factor
    ends = lowered < optim.min_lr * (1 - RELATIVE_TOLERANCE)
    consequence = "end the run" if ends else f"lower the rate to {lowered:.1e}"
    if left == 1:
        verb = "ends the run" if ends else f"lowers the rate to {lowered:.1e}"
        return f"1 more evaluation without improvement {verb}"
    return f"{left} more evaluations without improvement {consequence}"


@functools.lru_cache(maxsize=8)
def _program(optim: OptimConfig) -> Callable[[State, jax.Array], State]:
    rule = _rule(optim)
    return jax.jit(lambda state, loss: rule.update({}, state, value=loss)[1])


def _rule(optim: OptimConfig) -> optax.GradientTransformationExtraArgs:
    return contrib.reduce_on_plateau(
        factor=optim.factor, patience=optim.patience, rtol=0.0, atol=optim.min_improvement
    )
