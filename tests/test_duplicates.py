import io
import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import soxr
import synth

from sst import audio, decoding, files
from sst.config import AudioConfig
from sst.duplicates import SAME, likeness, same_sound

A = AudioConfig()
DEMO = Path(__file__).resolve().parent.parent / "tfds_builders" / "sample_library" / "demo"
CHOSEN = [
    "tr808/kick/bd0000.ogg", "tr505/snare/snare.wav", "linndrum/hat_open/hihat-open.flac",
    "mini808/hat_closed/hhclosed-1.mp3", "world_percussion/hand_drum/2_18.flac",
    "cello/tonal/C4_2.flac", "sonic_pi/cymbal/drum_cymbal_soft.flac", "cr8000/cowbell/cowbell.ogg",
]  # fmt: skip


def as_mp3(wave, rate):
    file = io.BytesIO()
    sf.write(file, soxr.resample(wave, rate, 44_100), 44_100, format="MP3")
    file.seek(0)
    return sf.read(file, dtype="float32", always_2d=True)


def dithered(wave, rate):
    rng = np.random.default_rng(0)
    triangle = rng.random(wave.shape) - rng.random(wave.shape)
    return np.round(wave * 32767 + triangle).astype(np.int16), rate


COPIES = {
    "itself": lambda w, r: (w, r),
    "quieter": lambda w, r: (0.1 * w, r),
    "inverted": lambda w, r: (-w, r),
    "later": lambda w, r: (np.pad(w, [(round(0.003 * r), 0), (0, 0)]), r),
    "at 16 kHz": lambda w, r: (soxr.resample(w, r, 16_000), 16_000),
    "at 48 kHz": lambda w, r: (soxr.resample(w, r, 48_000), 48_000),
    "as MP3": as_mp3,
    "in 16 bits with dither": dithered,
    "in stereo": lambda w, r: (np.repeat(w.mean(axis=1, keepdims=True), 2, axis=1), r),
    "without the end": lambda w, r: (w[: round(0.9 * len(w))], r),
}


@pytest.fixture(scope="module")
def demo():
    """relative -> (label, clip)."""
    found = files.find_samples([DEMO])
    sounds = decoding.decode_many([sample.path for sample in found], A)
    return {s.relative: (s.label, d.clip) for s, d in zip(found, sounds, strict=True)}


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_is_the_same_sound(kind, demo):
    for relative in CHOSEN:
        wave, rate, _ = audio.read_wave(DEMO / relative)
        copy = audio.canonical(*COPIES[kind](wave, rate), A)
        assert same_sound(demo[relative][1], copy, A.sample_rate), relative
        assert same_sound(copy, demo[relative][1], A.sample_rate), relative


def test_a_start_cut_off_leaves_the_same_sound(demo):
    for relative in ("tr505/snare/snare.wav", "cello/tonal/C4_2.flac"):
        wave, rate, _ = audio.read_wave(DEMO / relative)
        cut = audio.canonical(wave[round(0.012 * rate) :], rate, A)
        assert same_sound(demo[relative][1], cut, A.sample_rate)


def test_no_two_sounds_of_the_demo_are_the_same(demo):
    by_label = sorted(demo.values(), key=lambda sound: sound[0])
    for _, sounds in itertools.groupby(by_label, lambda sound: sound[0]):
        for one, other in itertools.combinations([clip for _, clip in sounds], 2):
            assert not same_sound(one, other, A.sample_rate)


def test_hits_of_one_drum_are_different_sounds(rng):
    for make in synth.KINDS.values():
        one, other = make(22_050, rng), make(22_050, rng)
        assert likeness(one, other, 22_050) < SAME


def test_another_decay_or_a_filter_makes_another_sound():
    rate = 22_050
    noise = np.random.default_rng(0).standard_normal(rate // 2)
    time = np.arange(rate // 2) / rate
    snare = noise * np.exp(-12 * time)
    dark = soxr.resample(soxr.resample(snare, rate, 4_000), 4_000, rate)
    assert likeness(snare, noise * np.exp(-24 * time), rate) < SAME
    assert likeness(snare, dark, rate) < SAME


def test_a_loop_that_begins_with_a_sound_is_another_sound(rng):
    kick = synth.kick(22_050, rng)
    assert likeness(kick, np.concatenate([kick] * 4), 22_050) == 0.0
    assert likeness(kick, np.concatenate([kick, np.zeros(9_999, np.float32)]), 22_050) > 0.999


@pytest.mark.parametrize("n", [1, 2, 100, 1000])
def test_silence_is_like_nothing_and_the_shortest_sounds_like_themselves(n, rng):
    wave = rng.standard_normal(n).astype(np.float32)
    assert likeness(np.zeros(n, np.float32), wave, 22_050) == 0.0
    assert likeness(wave, wave, 22_050) == pytest.approx(1.0, abs=1e-4)
