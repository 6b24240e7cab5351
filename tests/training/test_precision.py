"""Training with the networks in bfloat16: near to float32, and float32 wherever it is asked for."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sst.config import ModelConfig
from sst.model import network, objective, pca
from sst.training import step as training_step
from tests import small_model

FULL = dataclasses.replace(
    small_model.CONFIG,
    model=ModelConfig(
        latent_dim=8, width=16, encoder_blocks=1, decoder_blocks=1, search_width=16, search_dim=16
    ),
)
LOW = dataclasses.replace(FULL, model=dataclasses.replace(FULL.model, precision="bfloat16"))
STEP = 2.0**-8  # between neighbouring numbers of bfloat16, relative to them
CLIPS = 24


@pytest.fixture(scope="module")
def begun():
    """Parameters, away from the zeros that they start with, and the constants."""
    stats = pca.data_stats(small_model.clips(CLIPS), FULL)
    params = small_model.MODEL.init(jax.random.key(0), FULL, stats, n_classes=3)
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    moved = [
        x + 0.02 * jax.random.normal(key, x.shape) for x, key in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(tree, moved), stats


def mean_terms(params, stats, run):
    loss, terms = objective.objective(
        params, stats, small_model.batch(CLIPS), jax.random.key(2), run, train=True
    )
    return loss.mean(), jax.tree.map(jnp.mean, terms)


def norm(tree):
    return float(jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(tree))))


@pytest.mark.slow
def test_loss_and_gradient_are_those_of_float32_but_for_the_rounding(begun):
    slope = jax.jit(jax.value_and_grad(mean_terms, has_aux=True), static_argnums=2)
    ((full, full_terms), full_slope), ((low, low_terms), low_slope) = (
        slope(*begun, run) for run in (FULL, LOW)
    )
    assert low != full  # it does round
    np.testing.assert_allclose(low, full, rtol=STEP)
    for name, value in full_terms.items():
        np.testing.assert_allclose(low_terms[name], value, rtol=4 * STEP, err_msg=name)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(low_slope))
    # Every layer, forward and back, adds a rounding of its own.
    off = norm(jax.tree.map(jnp.subtract, low_slope, full_slope))
    assert off < 10 * STEP * norm(full_slope)


def program(function, *arguments):
    return str(jax.make_jaxpr(function)(*arguments))


@pytest.mark.slow
def test_every_product_of_the_networks_is_rounded(begun):
    params, stats = begun
    text = program(lambda p: mean_terms(p, stats, LOW), params)
    layers = {
        name: sum("kernel" in str(path) for path, _ in jax.tree.leaves_with_path(params[name]))
        for name in network.NETWORKS
    }
    rounded = len(re.findall(r":bf16\[[\d,]*\] = (?:dot_general|conv_general_dilated)", text))
    assert rounded == layers["encoder"] + layers["decoder"] + 2 * layers["search"]


@pytest.mark.slow
def test_the_linear_part_is_not_rounded_on_accelerators_either(begun):
    _, stats = begun
    inputs, z = small_model.batch(2), jnp.zeros((2, LOW.model.latent_dim))
    for text in (
        program(lambda inputs: pca.project(inputs, stats, LOW), inputs),
        program(lambda z: pca.restore(z, stats, LOW), z),
    ):
        assert "Precision.HIGHEST" in text and text.count("dot_general[") == 1


@pytest.mark.slow
def test_whoever_does_not_train_computes_in_float32(begun):
    params, stats = begun
    batch, key = small_model.batch(8), jax.random.key(3)

    def everything(params):
        inferred = [f(params, stats, batch, LOW) for f in (network.encode, network.embed)]
        return inferred, objective.objective(params, stats, batch, key, LOW)  # an evaluation

    assert "bf16" not in program(everything, params)


def learn(run, steps):
    """Training loss of each step, the state after them and the validation loss."""
    devices, inputs = jax.devices()[:1], small_model.clips(CLIPS)
    clips = training_step.Clips(*inputs, np.arange(CLIPS, dtype=np.int32) % 3)
    stats = pca.data_stats(inputs, run)
    params = small_model.MODEL.init(jax.random.key(run.seed), run, stats, n_classes=3)
    state, stats, clips = (
        training_step.replicate(tree, devices)
        for tree in (training_step.init_state(run, params), stats, clips)
    )
    programs = training_step.make_programs(run, objective.objective, devices, resident=True)
    before = training_step.evaluate(programs, state.params, stats, clips, run, 1)
    for step in range(steps):
        rows = np.random.default_rng(step).permutation(CLIPS)[: run.optim.batch_size]
        state, _ = programs.step(state, stats, clips, rows.astype(np.int32)[None])
    return before, training_step.evaluate(programs, state.params, stats, clips, run, 1), state


@pytest.mark.slow
def test_it_learns_as_fast_as_in_float32():
    (start, full, _), (same, low, state) = learn(FULL, 60), learn(LOW, 60)
    assert start == same
    assert full["loss"] < 0.9 * start["loss"]
    np.testing.assert_allclose(start["loss"] - low["loss"], start["loss"] - full["loss"], rtol=0.1)
    kept = (state.params, state.ema, state.opt_state)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(kept)} == {"float32", "int32"}
