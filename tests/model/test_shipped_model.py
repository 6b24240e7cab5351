"""The model that comes with the package: there, whole, and as good as its card says."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from sst import inference
from sst.evaluation import metrics
from sst.generation import novelty_filter
from sst.model import export_format, network, pca
from sst.search import novelty
from tests import synth
from tests.synth import strongest_hz


@pytest.fixture(scope="module")
def model():
    return inference.load("model_test")


def test_it_loads_by_name_from_any_directory(tmp_path, model):
    code = (
        "from sst.model.export_format import *; print(load_model(find_model('model_test')).digest)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == model.digest


def test_its_parameters_are_those_of_the_network(model):
    """A renamed submodule would leave checkpoints and exported models without a network."""
    c = model.config
    fresh = jax.eval_shape(
        lambda key: network.init(key, c, model.stats, len(model.class_names)), jax.random.key(0)
    )

    def shapes(params):
        found = jax.tree_util.tree_leaves_with_path(params)
        return {jax.tree_util.keystr(path): leaf.shape for path, leaf in found}

    assert shapes(model.params) == shapes(fresh)
    assert set(model.stats) == set(pca.Stats.__annotations__)


def test_it_is_small_enough_to_be_shipped():
    folder = export_format.find_model("model_test")
    assert sum(entry.stat().st_size for entry in os.scandir(folder)) < 25e6


TONES = [55.0, 82.4, 110.0, 165.0, 220.0, 440.0, 880.0, 1760.0, 3520.0]


@pytest.mark.parametrize("hz", TONES)
def test_decaying_tones_come_back_within_half_a_semitone_and_a_quarter_above_the_bass(model, hz):
    rate = model.config.audio.sample_rate
    wave = synth.tone(hz, rate, 0.5)
    wave *= np.exp(-6 * np.arange(len(wave)) / rate).astype(np.float32)
    back = inference.decode(model, inference.encode(model, wave, rate))
    cents = abs(1200 * np.log2(strongest_hz(back, rate) / hz))
    assert cents < (50 if hz < 160 else 25)


def test_a_kick_comes_back_as_short_as_loud_and_as_sudden(model, rng):
    rate = model.config.audio.sample_rate
    for _ in range(4):
        wave = 0.5 * synth.kick(rate, rng)
        back = inference.decode(model, inference.encode(model, wave, rate))
        assert 0.8 < len(back) / len(wave) < 1.25
        assert metrics.level_error_db(wave, back) < 2.5
        assert metrics.attack_error_ms(wave, back, rate) < 1.0


def test_silence_decodes_to_silence(model):
    z = inference.encode(model, np.zeros(20_000, np.float32), 22_050)
    assert np.abs(inference.decode(model, z)).max() < 1e-2


def test_random_draws_are_sounds_of_many_lengths_and_kinds(model):
    rate = model.config.audio.sample_rate
    waves = [
        inference.decode(model, z) for z in inference.sample_prior(model, jax.random.key(0), 16)
    ]
    lengths = np.array([len(w) for w in waves]) / rate
    assert np.median(lengths) < 1.0 and lengths.max() / lengths.min() > 3
    centroids = [np.average(np.fft.rfftfreq(len(w)), weights=np.abs(np.fft.rfft(w))) for w in waves]
    assert np.ptp(np.log2(centroids)) > 1.0


def test_draws_of_a_class_sound_like_it(model):
    """Kicks are low, hats are high, on average at least."""
    rate, centre = model.config.audio.sample_rate, {}
    for name in ("kick", "closed_hat"):
        drawn = inference.sample_prior(model, jax.random.key(1), 8, class_name=name)
        spectra = [np.abs(np.fft.rfft(inference.decode(model, z), 2 * rate)) ** 2 for z in drawn]
        hz = np.fft.rfftfreq(2 * rate, 1 / rate)
        centre[name] = np.median([np.average(hz, weights=power) for power in spectra])
    assert centre["kick"] < 1000 < 3000 < centre["closed_hat"]


def test_search_finds_the_variation_of_a_sound_before_other_sounds(model, rng):
    """The quieter and darker one, that is, among sounds of its own kind and length."""
    rate = model.config.audio.sample_rate
    snares = [synth.snare(rate, rng) for _ in range(12)]
    vectors = np.stack([np.asarray(inference.embed(model, wave, rate)) for wave in snares])
    found = 0
    for row, wave in enumerate(snares):
        filtered = np.convolve(wave, [0.75, 0.25]).astype(np.float32)
        varied = np.asarray(inference.embed(model, 0.3 * filtered, rate))
        found += np.linalg.norm(vectors - varied, axis=1).argmin() == row
    assert found >= 10


def test_it_names_a_sound_that_it_was_trained_on_and_calls_it_a_copy(model, rng):
    training = novelty_filter.load_training_sounds("model_test")
    assert len(training[0].known.ids) == 841
    known = training[0].known
    # The prior holds the latent of every training sound: decoded, it is that sound, blurred.
    for name in ("train/TR-808/clap/clap-cp.ogg", "train/sonic-pi/kick/bd_haus.flac"):
        row = known.ids.index(name)
        itself = novelty.find_nearest("training", known, known.vectors[row])
        assert (itself.name, itself.novelty) == (name, 0.0)
        wave = inference.decode(model, model.prior["points"][row])
        (found,) = novelty_filter.nearest(model, training, wave, model.config.audio.sample_rate)
        assert found.name == name
        if "clap" in name:
            assert found.novelty < 25.0  # what the decoder blurs counts too
    noise = rng.standard_normal(20_000).astype(np.float32)
    assert novelty_filter.nearest(model, training, noise, 22_050)[0].novelty > 50.0


def test_training_sounds_are_still_known_when_they_are_decoded(model):
    """Some have near twins, such as a drum at another velocity, and are taken for these."""
    training, rate = (
        novelty_filter.load_training_sounds("model_test"),
        model.config.audio.sample_rate,
    )
    ids, points = training[0].known.ids, np.asarray(model.prior["points"])
    assert len(points) == len(ids)
    rows = range(0, len(ids), 35)
    waves = [inference.decode(model, points[row]) for row in rows]
    found = [novelty_filter.nearest(model, training, wave, rate)[0] for wave in waves]
    named = [nearest.name == ids[row] for nearest, row in zip(found, rows, strict=True)]
    assert np.mean(named) > 0.7
    assert np.median([nearest.novelty for nearest in found]) < 10.0
