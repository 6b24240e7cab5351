"""The training step and the evaluation, on every device: the only pmap of the project."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from sst.batching import padded_batches
from sst.config import Config, OptimConfig
from sst.errors import UsageError
from sst.model.functions import Objective
from sst.training import plateau
from sst.types import Batch

AXIS = "device"
EVAL_SEED = 2**31 - 1  # of the noise in evaluations: never that of a training step


class TrainState(NamedTuple):
    """The training state: all that a resume needs."""

    step: jax.Array  # int32 []: updates done
    params: Any
    ema: Any  # moving average of params: what is evaluated and exported
    opt_state: optax.OptState
    plateau: plateau.State  # advanced once per evaluation, not per step
    key: jax.Array  # uint32 [2]: key data


class Clips(NamedTuple):
    """Training or validation clips in one block."""

    log_mel: Any  # float16 [n, t, m]
    n_frames: Any  # int32 [n]
    peak_db: Any  # float32 [n]
    attack: Any  # float16 [n, a]
    label: Any  # int32 [n]


class Programs(NamedTuple):
    """The compiled functions of `make_programs`."""

    step: Callable[..., tuple[TrainState, dict[str, jax.Array]]]
    steps: Callable[..., tuple[TrainState, dict[str, jax.Array]]]  # several, with resident clips
    evaluate: Callable[..., dict[str, jax.Array]]


def make_optimiser(optim: OptimConfig) -> optax.GradientTransformation:
    """Returns AdamW (only matrices decay) with a clipped gradient norm and a linear warm-up."""
    rate: Any = optim.learning_rate
    if optim.warmup_steps > 0:
        first = optim.learning_rate / optim.warmup_steps
        rate = optax.linear_schedule(first, optim.learning_rate, optim.warmup_steps - 1)
    return optax.chain(
        optax.clip_by_global_norm(optim.clip_norm),
        optax.adamw(rate, weight_decay=optim.weight_decay, mask=_is_matrix),
    )


def _is_matrix(params: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def init_state(config: Config, params: Any) -> TrainState:
    """Returns the state before the first step."""
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        ema=jax.tree.map(jnp.array, params),
        opt_state=make_optimiser(config.optim).init(params),
        plateau=plateau.init(config.optim),
        key=jax.random.key_data(jax.random.key(config.seed)),
    )


def masked_mean(values: jax.Array, mask: jax.Array) -> jax.Array:
    """Returns the mean over the rows where `mask` is true; padding may even hold NaN."""
    return jnp.sum(jnp.where(mask, values, 0.0)) / jnp.maximum(jnp.sum(mask), 1)


def check_batch(batch_size: int, n_devices: int) -> None:
    """Raises UsageError, with the nearest sizes that work, unless the devices can share a batch."""
    if batch_size < 1 or batch_size % n_devices:
        below = max(batch_size // n_devices, 1) * n_devices
        sizes = " or ".join(str(size) for size in dict.fromkeys((below, below + n_devices)))
        raise UsageError(
            f"optim.batch_size={batch_size} cannot be shared by {n_devices} devices: use {sizes}."
        )


def replicate(tree: Any, devices: Sequence[jax.Device]) -> Any:
    """Copies `tree` to every device, without a device axis."""
    return jax.device_put(tree, NamedSharding(Mesh(np.array(devices), (AXIS,)), PartitionSpec()))


def to_host(tree: Any) -> Any:
    """Copies `tree` to NumPy arrays, which stay when the device buffers are donated."""
    return jax.tree.map(np.array, jax.device_get(tree))


def fit_on_devices(clips: Clips, devices: Sequence[Any]) -> bool:
    """Tells whether the clips fit on each device: always on a CPU, else in half of its memory."""
    if devices[0].platform == "cpu":
        return True
    limit = (devices[0].memory_stats() or {}).get("bytes_limit", 0)
    return sum(np.asarray(x).nbytes for x in clips) <= limit // 2


def make_programs(
    config: Config, objective: Objective, devices: Sequence[jax.Device], resident: bool
) -> Programs:
    """Makes the training step and the evaluation for these devices.

    step(state, stats, clips, rows int32 [devices, b]) -> (state, {name: mean over the batch})
        donates the state. With `resident`, clips are replicated and rows select from them;
        otherwise clips are the batch itself, [devices, b, ...], and rows only its shape.
    steps(state, stats, clips, rows int32 [devices, k, b]) -> (state, {name: [k]})
        is k times `step`, up to the rounding of another fusion. Each k is a program of its own.
    evaluate(params, stats, clips, rows, mask bool [devices, b], number) -> {name: masked sum}
        with noise that depends on the `number` of the batch alone.
    """
    check_batch(config.optim.batch_size, len(devices))
    axes = None if resident else 0
    over_devices = functools.partial(jax.pmap, axis_name=AXIS, out_axes=None, devices=list(devices))
    step = _step_function(config, objective, resident)
    evaluate = _evaluate_function(config, objective, resident)

    def steps(state: TrainState, stats: Any, clips: Clips, rows: jax.Array) -> Any:
        return jax.lax.scan(lambda state, rows: step(state, stats, clips, rows), state, rows)

    return Programs(
        over_devices(step, in_axes=(None, None, axes, 0), donate_argnums=0),
        over_devices(steps, in_axes=(None, None, None, 0), donate_argnums=0),
        over_devices(evaluate, in_axes=(None, None, axes, 0, 0, None)),
    )


def _step_function(config: Config, objective: Objective, resident: bool) -> Callable[..., Any]:
    tx = make_optimiser(config.optim)

    def step(state: TrainState, stats: Any, clips: Clips, rows: jax.Array) -> Any:
        batch = _select(clips, rows, jnp.ones(rows.shape, bool), resident)
        key = _device_key(jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step))

        def loss_of(params: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
            loss, terms = objective(params, stats, batch, key, config, train=True)
            means = {name: masked_mean(value, batch.mask) for name, value in terms.items()}
            return masked_mean(loss, batch.mask), means

        (loss, terms), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        gradients, terms = jax.lax.pmean((gradients, terms | {"loss": loss}), AXIS)
        terms["gradient_norm"] = optax.tree.norm(gradients)
        updates, opt_state = tx.update(gradients, state.opt_state, state.params)
        updates = jax.tree.map(lambda update: update * state.plateau.scale, updates)
        params = optax.apply_updates(state.params, updates)
        decay = jnp.minimum(config.optim.ema_decay, (1.0 + state.step) / (10.0 + state.step))
        new = state._replace(
            step=state.step + 1,
            params=params,
            ema=optax.incremental_update(params, state.ema, 1.0 - decay),
            opt_state=opt_state,
        )
        return new, terms

    return step


def _evaluate_function(config: Config, objective: Objective, resident: bool) -> Callable[..., Any]:
    def evaluate(params: Any, stats: Any, clips: Clips, rows: Any, mask: Any, number: Any) -> Any:
        batch = _select(clips, rows, mask, resident)
        key = _device_key(jax.random.fold_in(jax.random.key(EVAL_SEED), number))
        loss, terms = objective(params, stats, batch, key, config)
        sums = {
            name: jnp.sum(jnp.where(mask, value, 0.0))
            for name, value in {**terms, "loss": loss}.items()
        }
        return jax.lax.psum(sums, AXIS)

    return evaluate


def evaluate(
    programs: Programs, params: Any, stats: Any, clips: Clips, config: Config, n_devices: int
) -> dict[str, float]:
    """Returns the mean of the loss and of each of its terms over all `clips`, with fixed noise.

    Args:
        programs: of `make_programs`.
        params: replicated; the moving average, usually.
        stats: replicated constants of the data set.
        clips: the whole validation set, replicated on the devices or in host memory.
        config: for the batch size.
        n_devices: that `programs` were made for.
    """
    n = clips.n_frames.shape[0]
    resident = isinstance(clips.log_mel, jax.Array)
    sums = []
    for number, (rows, mask) in enumerate(padded_batches(n, config.optim.batch_size)):
        rows, mask = rows.reshape(n_devices, -1), mask.reshape(n_devices, -1)
        batch = clips if resident else gather(clips, rows)
        sums.append(jax.device_get(programs.evaluate(params, stats, batch, rows, mask, number)))
    return {name: float(sum(float(each[name]) for each in sums) / n) for name in sums[0]}


def gather(clips: Clips, rows: np.ndarray) -> Clips:
    """Copies some rows of clips in host memory: [n, ...] and rows [d, b] -> [d, b, ...]."""
    return Clips(*(np.asarray(field)[rows] for field in clips))


def _device_key(key: jax.Array) -> jax.Array:
    return jax.random.fold_in(key, jax.lax.axis_index(AXIS))


def _select(clips: Clips, rows: jax.Array, mask: jax.Array, resident: bool) -> Batch:
    taken = Clips(*(jnp.take(field, rows, axis=0) for field in clips)) if resident else clips
    return Batch(
        log_mel=taken.log_mel.astype(jnp.float32),
        n_frames=taken.n_frames,
        peak_db=taken.peak_db,
        attack=taken.attack.astype(jnp.float32),
        label=taken.label,
        mask=mask,
    )
