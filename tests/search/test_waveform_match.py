import io
import itertools

import numpy as np
import pytest
import soundfile as sf
import soxr
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from sst import files
from sst.audio import decode_pool
from sst.audio.clip import canonical
from sst.audio.recording import read_wave
from sst.config import AudioConfig
from sst.dsp import features
from sst.dsp.thumbnail import thumbnail
from sst.search import waveform_match
from sst.search.waveform_match import SAME_LIKENESS, likeness, same_sound
from tests import synth

A = AudioConfig()
# One of each kind that behaves in a way of its own, of different packs, rates and formats.
CHOSEN = [
    "Night-Bus/kick/kick_sine_1.wav", "Oak-Room/snare/snare_modes_1_v100.flac",
    "Glass-Circuit/hat_open/open_ring_1.flac", "Bright-Punch/hat_closed/closed_squares_2.wav",
    "Market-Square/hand_drum/conga_1.flac", "Silk-Strings/tonal/pluck_4.ogg",
    "Velvet-Brush/cymbal/ride_1.aiff", "Deep-Harbour/cowbell/cowbell_squares_1.wav",
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
def demo(demo_folder):
    """relative -> (label, clip)."""
    found = files.find_samples([demo_folder])
    sounds = decode_pool.decode_many([sample.path for sample in found], A)
    return {s.relative: (s.label, d.clip) for s, d in zip(found, sounds, strict=True)}


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_is_the_same_sound(kind, demo, demo_folder):
    for relative in CHOSEN:
        wave, rate, _ = read_wave(demo_folder / relative)
        copy = canonical(*COPIES[kind](wave, rate), A)
        assert same_sound(demo[relative][1], copy, A.sample_rate), relative
        assert same_sound(copy, demo[relative][1], A.sample_rate), relative


def test_a_start_cut_off_leaves_the_same_sound(demo, demo_folder):
    for relative in ("Oak-Room/snare/snare_modes_1_v100.flac", "Silk-Strings/tonal/pluck_4.ogg"):
        wave, rate, _ = read_wave(demo_folder / relative)
        cut = canonical(wave[round(0.012 * rate) :], rate, A)
        assert same_sound(demo[relative][1], cut, A.sample_rate)


def test_no_two_sounds_of_the_demo_are_the_same(demo):
    by_label = sorted(demo.values(), key=lambda sound: sound[0])
    for _, sounds in itertools.groupby(by_label, lambda sound: sound[0]):
        for one, other in itertools.combinations([clip for _, clip in sounds], 2):
            assert not same_sound(one, other, A.sample_rate)


def test_hits_of_one_drum_are_different_sounds(rng):
    for make in synth.KINDS.values():
        one, other = make(22_050, rng), make(22_050, rng)
        assert likeness(one, other, 22_050) < SAME_LIKENESS


def test_another_decay_or_a_filter_makes_another_sound():
    rate = 22_050
    noise = np.random.default_rng(0).standard_normal(rate // 2)
    time = np.arange(rate // 2) / rate
    snare = noise * np.exp(-12 * time)
    dark = soxr.resample(soxr.resample(snare, rate, 4_000), 4_000, rate)
    assert likeness(snare, noise * np.exp(-24 * time), rate) < SAME_LIKENESS
    assert likeness(snare, dark, rate) < SAME_LIKENESS


def test_a_loop_that_begins_with_a_sound_is_another_sound(rng):
    kick = synth.kick(22_050, rng)
    assert likeness(kick, np.concatenate([kick] * 4), 22_050) == 0.0
    assert likeness(kick, np.concatenate([kick, np.zeros(9_999, np.float32)]), 22_050) > 0.999


@pytest.mark.parametrize("n", [4, 100, 1000])
def test_silence_is_like_nothing_and_the_short_sounds_like_themselves(n, rng):
    wave = rng.standard_normal(n).astype(np.float32)
    assert likeness(np.zeros(n, np.float32), wave, 22_050) == 0.0
    assert likeness(wave, wave, 22_050) == pytest.approx(1.0, abs=1e-4)


def looks(waves):
    return np.stack([thumbnail(features.log_mel(w, A), A) for w in waves])


def clusters(waves, digests=None):
    read = []

    def given(rows):
        for row in rows:
            read.append(row)
            yield waves[row]

    found = waveform_match.find_clusters(
        digests or range(len(waves)), looks(waves), given, A.sample_rate
    )
    assert len(read) == len(set(read))
    return found, read


def test_clusters_are_the_sounds_with_their_copies_and_only_candidates_are_read(rng, demo):
    sounds = [demo[relative][1].wave for relative in CHOSEN]
    lossy = [canonical_mp3(wave) for wave in sounds[:4]]
    found, read = clusters(sounds + lossy + sounds[:2], [*range(12), 0, 1])
    n = len(sounds)
    assert found == [*range(n), *range(4), 0, 1]
    assert set(read) <= set(range(n + 4)) and set(range(4)) <= set(read)


def canonical_mp3(wave):
    return canonical(*as_mp3(wave[:, None], A.sample_rate), A).wave


def test_copies_of_copies_are_one_cluster(rng):
    wave = synth.snare(22_050, rng)
    others = [synth.hat(22_050, rng), synth.kick(22_050, rng)]
    chain = [wave[:5000], wave, wave[round(0.004 * 22_050) :], 0.2 * wave, -wave]
    found, _ = clusters([others[0], *chain, others[1]])
    assert found == [0, 1, 1, 1, 1, 1, 6]


def test_clusters_of_nothing_and_of_one(rng):
    assert (
        waveform_match.find_clusters([], np.zeros((0, 3), np.float32), lambda rows: [], 22_050)
        == []
    )
    assert clusters([synth.kick(22_050, rng)])[0] == [0]


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=20))
def test_joins_are_the_connected_groups(pairs):
    joined = dict(waveform_match.join_pairs(pairs))
    group = {row: joined.get(row, row) for row in range(13)}
    assert all(group[i] == group[j] for i, j in pairs)
    assert all(first == min(r for r in group if group[r] == first) for first in group.values())
    matrix = np.zeros((13, 13))
    for i, j in pairs:
        matrix[i, j] = 1
    assert len(set(group.values())) == connected_components(matrix, directed=False)[0]
