"""The model that comes with the package: there, whole, and as good as its card says."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest
import synth
from test_vocoder import strongest_hz

from sst import audio, inference, modelfile


@pytest.fixture(scope="module")
def model():
    return inference.load("model_test")


def test_it_loads_by_name_from_any_directory(tmp_path, model):
    code = "from sst import modelfile as m; print(m.load_model(m.find_model('model_test')).digest)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == model.digest


def test_it_is_small_enough_to_be_shipped():
    folder = modelfile.find_model("model_test")
    assert sum(entry.stat().st_size for entry in os.scandir(folder)) < 25e6


@pytest.mark.parametrize("hz", [55.0, 82.4, 110.0, 220.0, 440.0, 880.0, 1760.0])
def test_decaying_tones_come_back_within_half_a_semitone(model, hz):
    rate = model.config.audio.sample_rate
    wave = synth.tone(hz, rate, 0.5)
    wave *= np.exp(-6 * np.arange(len(wave)) / rate).astype(np.float32)
    back = inference.decode(model, inference.encode(model, wave, rate))
    assert abs(1200 * np.log2(strongest_hz(back, rate) / hz)) < 50


def test_a_kick_comes_back_as_short_and_as_loud(model, rng):
    rate = model.config.audio.sample_rate
    for _ in range(4):
        wave = 0.5 * synth.kick(rate, rng)
        clip = audio.canonical(wave, rate, model.config.audio)
        back = inference.decode(model, inference.encode(model, wave, rate))
        assert 0.6 < len(back) / len(clip.wave) < 1.6
        assert abs(20 * np.log10(np.abs(back).max()) - clip.peak_db) < 2.0


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
