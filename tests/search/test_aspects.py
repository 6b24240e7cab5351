"""The measured part of a search vector: each block answers to its own property and to no other."""

import math

import numpy as np
import pytest

from sst.audio.clip import canonical
from sst.config import AudioConfig
from sst.dsp import descriptors, features, pitch
from sst.errors import UsageError
from sst.search import aspects
from tests import synth

AUDIO = AudioConfig()
RATE = AUDIO.sample_rate
BLOCKS = dict(
    zip(("envelope", "pitch", "duration", "loudness"), [(0, 24), (24, 27), (27, 29), (29, 31)],
        strict=True)
)  # fmt: skip


def described(wave, rate=RATE):
    clip = canonical(wave, rate, AUDIO)
    return aspects.apply_weights(
        descriptors.describe(clip, features.log_mel(clip.wave, AUDIO), AUDIO)
    )


def difference(a, b):
    """Distance by each block, its default weight taken out."""
    return {
        name: float(np.linalg.norm((a - b)[start:end])) / math.sqrt(aspects.DEFAULT_WEIGHTS[name])
        for name, (start, end) in BLOCKS.items()
    }


def bell(hz, seconds=0.6, decay=6.0):
    t = np.arange(round(seconds * RATE)) / RATE
    return synth.tone(hz, RATE, seconds) * np.exp(-decay * t).astype(np.float32)


@pytest.fixture
def plain():
    return described(bell(220))


@pytest.mark.parametrize(
    ("wave", "most"),
    [
        (0.05 * bell(220), "loudness"),
        (bell(330), "pitch"),
        (bell(220, decay=30.0)[: round(0.6 * RATE)], "envelope"),
        (bell(220, seconds=0.15), "duration"),
    ],
)
def test_a_change_moves_its_own_block_most(plain, wave, most):
    moved = difference(plain, described(wave))
    assert max(moved, key=moved.get) == most
    assert moved[most] > 0.15


def test_every_block_has_one_length_for_all_sounds(rng):
    sounds = [bell(220), synth.kick(RATE, rng), synth.hat(RATE, rng), np.float32([0, 1, 0, -1])]
    rows = np.stack([described(wave) for wave in sounds])
    for start, end in BLOCKS.values():
        lengths = np.linalg.norm(rows[:, start:end], axis=1)
        np.testing.assert_allclose(lengths, lengths[0], rtol=1e-5)


def test_a_quieter_copy_is_as_good_as_the_sound_itself(plain):
    assert np.linalg.norm(plain - described(0.1 * bell(220))) < 0.05


def test_the_glance_finds_the_pitch_of_tones_and_none_in_noise(rng):
    for hz in (55.0, 220.0, 1760.0):
        found, share = pitch.quick_pitch(synth.tone(hz, RATE), RATE)
        assert abs(1200 * math.log2(found / hz)) < 5
        assert share == pytest.approx(1.0, abs=0.05)
    found, share = pitch.quick_pitch(rng.standard_normal(RATE).astype(np.float32), RATE)
    assert share < 0.1
    assert pitch.quick_pitch(np.zeros(100, np.float32), RATE)[1] == 0.0


def test_factors_scale_the_blocks_that_are_named():
    factors = aspects.factors({"pitch": 0.3, "loudness": 0.0}, 4 + aspects.SIZE)
    np.testing.assert_allclose(factors[4 + 24 : 4 + 27], 0.3 / 0.1)
    assert not factors[-2:].any()
    np.testing.assert_array_equal(factors[: 4 + 24], 1.0)
    np.testing.assert_array_equal(aspects.factors({}, 40), 1.0)


@pytest.mark.parametrize(
    "wrong",
    [{"colour": 1.0}, {"pitch": -1.0}, {"pitch": math.nan}, dict.fromkeys(aspects.ASPECTS, 0.0)],
)
def test_weights_that_mean_nothing_are_refused(wrong):
    with pytest.raises(UsageError):
        aspects.factors(wrong, 4 + aspects.SIZE)


def test_between_keeps_the_length_of_every_block(rng):
    timbres = rng.standard_normal((2, 6))
    timbres /= np.linalg.norm(timbres, axis=1, keepdims=True)
    measured = [described(bell(220)), described(synth.hat(RATE, rng))]
    ends = np.concatenate([timbres, measured], axis=1).astype(np.float32)
    np.testing.assert_allclose(aspects.blend(ends, np.array([1, 0])), ends[0], atol=1e-6)
    np.testing.assert_allclose(aspects.blend(ends, np.array([0, 3])), ends[1], atol=1e-6)
    middle = aspects.blend(ends, np.array([0.5, 0.5]))
    np.testing.assert_allclose(np.linalg.norm(middle), np.linalg.norm(ends[0]), rtol=1e-5)
    to_ends = np.linalg.norm(middle - ends, axis=1)
    assert to_ends[0] == pytest.approx(to_ends[1], rel=1e-4)
    with pytest.raises(UsageError, match="cancel"):
        aspects.blend(ends[:1].repeat(2, axis=0), np.array([1, -1]))
