import dataclasses
import os
import subprocess
import sys
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sst.config import Config, ModelConfig, OptimConfig
from sst.errors import UsageError
from sst.training import step as training_step
from tests import linear_model
from tests.small_dataset import AUDIO, records

CONFIG = Config(
    audio=AUDIO,
    model=ModelConfig(latent_dim=4, width=16, encoder_blocks=2, decoder_blocks=1),
    optim=OptimConfig(batch_size=8, warmup_steps=3, learning_rate=1e-2),
)


def make_clips(n, seed=0):
    made = records(n, AUDIO, seed)
    log_mel = np.full((n, AUDIO.n_frames, AUDIO.n_mels), AUDIO.floor_db, np.float16)
    for row, record in enumerate(made):
        log_mel[row, : len(record["log_mel"])] = record["log_mel"]
    frames = np.array([len(record["log_mel"]) for record in made], np.int32)
    peak_db = np.array([r["peak_db"] for r in made], np.float32)
    attack = np.stack([r["attack"] for r in made])
    return training_step.Clips(log_mel, frames, peak_db, attack, np.arange(n, dtype=np.int32) % 3)


def start(clips, config=CONFIG, model=linear_model.MODEL):
    stats = model.data_stats(clips, config)
    params = model.init(jax.random.key(config.seed), config, stats)
    return training_step.init_state(config, params), stats


def run(n_devices, steps, clips, resident=True, objective=linear_model.objective, config=CONFIG):
    devices = jax.devices()[:n_devices]
    state, stats = (training_step.replicate(tree, devices) for tree in start(clips, config))
    programs = training_step.make_programs(config, objective, devices, resident)
    placed = training_step.replicate(clips, devices) if resident else clips
    losses = []
    for step in range(steps):
        rows = (np.arange(8, dtype=np.int32) * 3 + step) % len(clips.n_frames)
        rows = rows.reshape(n_devices, -1)
        part = placed if resident else training_step.gather(clips, rows)
        state, terms = programs.step(state, stats, part, rows)
        losses.append(float(terms["loss"]))
    valid = training_step.evaluate(programs, state.ema, stats, placed, config, n_devices)
    return state, losses, valid


def assert_same(a, b, **tolerance):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, **tolerance)


def test_two_devices_compute_what_one_does():
    clips = make_clips(13)
    one, two = run(1, 6, clips), run(2, 6, clips)
    np.testing.assert_allclose(one[1], two[1], rtol=1e-5)
    assert_same(one[0], two[0], rtol=2e-4, atol=1e-6)
    assert one[2].keys() == two[2].keys()
    np.testing.assert_allclose(list(one[2].values()), list(two[2].values()), rtol=1e-5)


EIGHT = """
import jax, numpy as np
from tests.training import test_step as t
assert jax.device_count() == 8
clips = t.make_clips(13)
one, eight = t.run(1, 6, clips), t.run(8, 6, clips)
np.testing.assert_allclose(one[1], eight[1], rtol=1e-5)
t.assert_same(one[0], eight[0], rtol=2e-4, atol=1e-6)
np.testing.assert_allclose(list(one[2].values()), list(eight[2].values()), rtol=1e-5)
"""


def test_eight_devices_compute_what_one_does():
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", EIGHT], env=environment, cwd=root, check=True)


def test_clips_in_host_memory_give_the_same_bits_as_resident_ones():
    clips = make_clips(13)
    resident, fed = run(2, 4, clips), run(2, 4, clips, resident=False)
    assert_same(resident[0], fed[0], rtol=0)
    assert resident[2] == fed[2]


@pytest.mark.parametrize("n_devices", [1, 2])
def test_several_steps_in_one_call_are_as_many_single_ones(n_devices):
    clips, devices = make_clips(13), jax.devices()[:n_devices]
    programs = training_step.make_programs(CONFIG, linear_model.noisy_objective, devices, True)
    rows = np.random.default_rng(0).integers(
        13, size=(n_devices, 5, 8 // n_devices), dtype=np.int32
    )
    placed, (first, stats) = training_step.replicate(clips, devices), start(clips)
    stats = training_step.replicate(stats, devices)
    state, losses = training_step.replicate(training_step.to_host(first), devices), []
    for step in range(5):
        state, terms = programs.step(state, stats, placed, rows[:, step])
        losses.append(terms["loss"])
    again = training_step.replicate(first, devices)
    of_one = programs.step.lower(again, stats, placed, rows[:, 0]).cost_analysis()["flops"]
    of_all = programs.steps.lower(again, stats, placed, rows).cost_analysis()["flops"]
    assert of_all == pytest.approx(of_one, rel=0.01)  # the speed of a run is counted in these
    again, terms = programs.steps(again, stats, placed, rows)
    np.testing.assert_array_equal(terms["loss"], losses)
    assert_same(again, state, rtol=0)


def test_step_and_evaluation_are_each_traced_once():
    traces = []

    def counted(params, stats, batch, key, config, train=False):
        traces.append(train)
        return linear_model.objective(params, stats, batch, key, config)

    clips = make_clips(21)  # three evaluation batches, the last one padded
    run(2, 5, clips, objective=counted)
    assert sorted(traces) == [False, True]


def test_the_state_is_donated_and_stays_replicated():
    clips, devices = make_clips(8), jax.devices()[:2]
    state, stats = (training_step.replicate(tree, devices) for tree in start(clips))
    programs = training_step.make_programs(CONFIG, linear_model.objective, devices, True)
    rows = np.arange(8, dtype=np.int32).reshape(2, 4)
    kept = training_step.to_host(state)
    new, _ = programs.step(state, stats, training_step.replicate(clips, devices), rows)
    assert state.params["down"]["kernel"].is_deleted()
    assert new.params["down"]["kernel"].is_fully_replicated
    assert_same(kept, start(clips)[0], rtol=0)


def test_one_step_is_adam_on_the_clipped_gradient_of_the_whole_batch():
    clips = make_clips(8)
    optim = OptimConfig(batch_size=8, warmup_steps=0, weight_decay=20.0)
    config = dataclasses.replace(CONFIG, optim=optim)
    state, stats = start(clips, config)
    batch = training_step.Batch(
        jnp.asarray(clips.log_mel, jnp.float32), *clips[1:], np.ones(8, bool)
    )

    def loss(params):
        return linear_model.objective(params, stats, batch, None, config)[0].mean()

    gradients = jax.grad(loss)(state.params)
    norm = optax.tree.norm(gradients)
    clipped = jax.tree.map(lambda g: g * jnp.minimum(1.0, config.optim.clip_norm / norm), gradients)
    updates, _ = optax.adam(1e-3).update(clipped, optax.adam(1e-3).init(state.params))
    kept = jax.tree.map(lambda p: p * (1.0 - 1e-3 * 20.0 * (p.ndim > 1)), state.params)
    expected = optax.apply_updates(kept, updates)  # matrices decay, vectors do not
    before = training_step.to_host(state.params)

    devices = jax.devices()[:2]
    programs = training_step.make_programs(config, linear_model.objective, devices, True)
    rows = np.arange(8, dtype=np.int32).reshape(2, 4)
    new, terms = programs.step(
        *(training_step.replicate(x, devices) for x in (state, stats, clips)), rows
    )
    np.testing.assert_allclose(terms["gradient_norm"], norm, rtol=1e-5)
    assert_same(new.params, expected, rtol=1e-4, atol=1e-7)
    # The average begins with decay 1/10.
    mixed = jax.tree.map(lambda old, fresh: 0.1 * old + 0.9 * fresh, before, expected)
    assert_same(new.ema, mixed, rtol=1e-4, atol=1e-7)


def test_the_plateau_scales_the_update():
    clips, devices = make_clips(8), jax.devices()[:1]
    programs = training_step.make_programs(CONFIG, linear_model.objective, devices, True)
    rows = np.arange(8, dtype=np.int32).reshape(1, 8)
    moved = {}
    for scale in (1.0, 0.25, 0.0):
        state, stats = start(clips)
        state = state._replace(plateau=state.plateau._replace(scale=jnp.float32(scale)))
        before = training_step.to_host(state.params["up"]["kernel"])
        new, _ = programs.step(
            *(training_step.replicate(x, devices) for x in (state, stats, clips)), rows
        )
        moved[scale] = np.asarray(new.params["up"]["kernel"]) - before
    assert not moved[0.0].any()
    np.testing.assert_allclose(moved[0.25], 0.25 * moved[1.0], rtol=1e-2, atol=1e-7)


def test_evaluation_is_the_mean_over_every_clip_whatever_the_batch():
    clips = make_clips(13)
    state, stats = start(clips)
    batch = training_step.Batch(
        jnp.asarray(clips.log_mel, jnp.float32), *clips[1:], np.ones(13, bool)
    )
    loss, terms = linear_model.objective(state.params, stats, batch, None, CONFIG)
    for size, n_devices in ((2, 1), (8, 2), (26, 2)):
        config = dataclasses.replace(CONFIG, optim=OptimConfig(batch_size=size))
        devices = jax.devices()[:n_devices]
        programs = training_step.make_programs(config, linear_model.objective, devices, True)
        params, constants, placed = (
            training_step.replicate(x, devices) for x in (state.params, stats, clips)
        )
        found = training_step.evaluate(programs, params, constants, placed, config, n_devices)
        assert found["loss"] == pytest.approx(float(loss.mean()), rel=1e-5)
        assert found["recon_db"] == pytest.approx(float(terms["recon_db"].mean()), rel=1e-5)


def test_evaluation_has_the_same_noise_every_time():
    clips = make_clips(13)
    a, b = (run(2, 2, clips, objective=linear_model.noisy_objective)[2] for _ in range(2))
    assert a == b


def test_masked_mean_ignores_what_padding_holds():
    values, mask = jnp.array([1.0, 3.0, jnp.nan]), jnp.array([True, True, False])
    assert float(training_step.masked_mean(values, mask)) == 2.0
    assert float(training_step.masked_mean(values, jnp.zeros(3, bool))) == 0.0


@pytest.mark.parametrize(
    ("size", "devices", "advice"), [(9, 2, "8 or 10"), (1, 2, "use 2 or 4"), (64, 6, "60 or 66")]
)
def test_a_batch_that_cannot_be_shared_is_refused_with_sizes_that_can(size, devices, advice):
    with pytest.raises(UsageError, match=advice):
        training_step.check_batch(size, devices)
    training_step.check_batch(size * devices, devices)


def test_clips_too_large_for_a_gpu_stay_in_host_memory():
    clips = make_clips(8)
    size = sum(np.asarray(field).nbytes for field in clips)

    def gpu(limit):
        return types.SimpleNamespace(platform="gpu", memory_stats=lambda: {"bytes_limit": limit})

    assert training_step.fit_on_devices(clips, [gpu(2 * size)])
    assert not training_step.fit_on_devices(clips, [gpu(2 * size - 2)])


@pytest.mark.slow
def test_the_real_model_overfits_one_batch():
    from sst.model.functions import VAE

    optim = OptimConfig(batch_size=8, warmup_steps=10, learning_rate=3e-3, clip_norm=10.0)
    config = dataclasses.replace(CONFIG, optim=optim)
    clips, devices = make_clips(8), jax.devices()[:2]

    def plain(params, stats, batch, key, config, train=False):
        return VAE.objective(params, stats, batch, None, config)

    state, stats = (training_step.replicate(tree, devices) for tree in start(clips, config, VAE))
    programs = training_step.make_programs(config, plain, devices, True)
    placed, rows = (
        training_step.replicate(clips, devices),
        np.arange(8, dtype=np.int32).reshape(2, 4),
    )
    first = None
    for _ in range(400):
        state, terms = programs.step(state, stats, placed, rows)
        last = float(terms["recon_db"])
        first = first or last
    assert last < 0.35 * first
