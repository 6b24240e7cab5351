"""The ground truth of the demo sounds, as the readers and the measures find it."""

import math

import numpy as np
import pytest

from sst import files
from sst.audio import decode_pool
from sst.audio.recording import read_wave
from sst.config import AudioConfig
from sst.demo import library
from sst.dsp import pitch
from sst.types import Sound

A = AudioConfig.at_rate(44_100)
LOSSY = (".ogg", ".mp3")


@pytest.fixture(scope="module")
def made():
    return {sound.path: sound for sound in library.sounds()}


@pytest.fixture(scope="module")
def decoded(demo_folder):
    """relative path -> the sound that the decoding processes make of the file."""
    samples = files.find_samples([demo_folder])
    sounds = decode_pool.decode_many([sample.path for sample in samples], A)
    return {sample.relative: sound for sample, sound in zip(samples, sounds, strict=True)}


def test_every_file_is_read_and_named_after_its_kind(made, decoded, demo_folder):
    assert decoded.keys() == made.keys()
    assert all(isinstance(sound, Sound) for sound in decoded.values())
    labels = {s.relative: s.label for s in files.find_samples([demo_folder])}
    assert labels == {path: sound.truth.kind for path, sound in made.items()}


def test_rates_and_channels_are_those_of_the_sounds(made, decoded):
    for path, sound in decoded.items():
        wave = made[path].wave
        assert (sound.sample_rate, sound.channels) == (made[path].sample_rate, wave.shape[1])


def test_clips_begin_at_the_onset(made, decoded):
    """A clip begins 1 ms before the first sample over -50 dB of the peak."""
    off = {}
    for path, sound in decoded.items():
        after = sound.clip.onset_s - (made[path].truth.onset_s - 0.001)
        early = -0.006 if path.endswith(LOSSY) else -0.0015  # codecs smear an attack forwards
        if not early <= after <= 0.004:
            off[path] = after
    assert not off


def test_levels_are_found_to_the_resolution_of_the_file(made, demo_folder):
    for path, sound in made.items():
        wave, _, _ = read_wave(demo_folder / path)
        level = 20 * math.log10(float(np.max(np.abs(wave))))
        room = 1.5 if path.endswith(LOSSY) else 0.2
        assert abs(level - sound.truth.peak_db) < room, path


def test_pitches_of_steady_tones_are_found(made):
    """Glides and beating partials have no one pitch; strings and synthesizer tones do."""
    off = {}
    for path, sound in made.items():
        true = sound.truth
        if true.kind != "tonal" or math.isnan(true.pitch_hz) or path.endswith(".mp3"):
            continue
        found = pitch.pitch_hz(sound.wave.mean(axis=1), sound.sample_rate)
        if not math.isnan(found):
            off[path] = abs(1200 * math.log2(found / true.pitch_hz))
    cents = np.array(list(off.values()))
    assert len(cents) >= 15
    assert np.median(cents) < 3 and np.mean(cents < 20) > 0.8, off
