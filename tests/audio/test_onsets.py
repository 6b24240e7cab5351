import itertools

import numpy as np
import pytest
import soundfile as sf
import synth

from sst.audio import level_track, onsets
from sst.audio.clip import canonical
from sst.audio.recording import read_wave
from sst.config import AudioConfig, SegmentConfig, from_dict
from sst.errors import UsageError

RATE = 44_100
S = SegmentConfig()
TIMES = [0.2, 0.55, 0.9, 1.3, 1.42, 1.8, 2.3, 2.45, 2.75, 3.3]


def starts(wave, rate=RATE, **settings):
    return np.array([s.start for s in onsets.split(wave, rate, SegmentConfig(**settings))]) / rate


def assert_found(found, times, early=0.012, late=0.003):
    assert len(found) == len(times)
    errors = np.asarray(found) - times
    assert errors.min() >= -early and errors.max() <= late, errors


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_hits_are_found_at_their_times_at_any_rate(rate):
    assert_found(starts(synth.sequence(TIMES, rate), rate), TIMES)


@pytest.mark.parametrize("level", [1.0, 1e-3, 3.0])
def test_the_level_of_a_file_does_not_matter(level):
    wave = synth.sequence(TIMES, RATE)
    assert onsets.split(level * wave, RATE, S) == onsets.split(wave, RATE, S)


def test_noise_twenty_decibels_down_hides_no_hit():
    wave = synth.sequence(TIMES, RATE)
    noise = np.random.default_rng(0).standard_normal(len(wave)) * np.sqrt(np.mean(wave**2)) / 10
    assert_found(starts(wave + noise), TIMES, late=0.005)


def test_hits_lie_in_order_and_do_not_overlap_and_start_at_zero_crossings():
    wave = synth.sequence(TIMES, RATE)
    found = onsets.split(wave, RATE, S)
    assert all(0 <= s.start < s.end <= len(wave) for s in found)
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))
    for start, _ in found:
        assert start == 0 or wave[start - 1] * wave[start] <= 0


def test_a_hit_ends_where_it_has_decayed_or_where_the_next_begins():
    click = np.exp(-np.arange(RATE) / (0.02 * RATE)) * synth.tone(900, RATE)
    wave = np.concatenate([click, click, click[: RATE // 12], click])
    found = onsets.split(wave, RATE, S)
    assert_found([s.start / RATE for s in found], [0, 1, 2, 2 + 1 / 12])
    eighty = 0.02 * np.log(10**4)  # seconds in which it falls by 80 dB
    lengths = [(s.end - s.start) / RATE for s in found]
    np.testing.assert_allclose(np.array(lengths)[[0, 1, 3]], eighty, atol=0.012)
    assert found[2].end == found[3].start


def test_a_hit_ends_where_it_sinks_into_the_noise():
    rng = np.random.default_rng(0)
    wave = 1e-3 * rng.standard_normal(4 * RATE).astype(np.float32)
    decay = np.exp(-np.arange(RATE) / (0.1 * RATE)) * synth.tone(900, RATE)
    wave[RATE : 2 * RATE] += decay
    (hit,) = onsets.split(wave, RATE, S)
    assert abs(hit.start / RATE - 1) < 0.01
    sunk = 0.1 * np.log(0.5 / 3e-3)  # to about the highest peaks of the noise
    assert sunk - 0.15 < hit.end / RATE - 1 < sunk + 0.05


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rate", [22_050, 44_100])
def test_one_cymbal_is_one_segment(seed, rate):
    wave = synth.cymbal(rate, np.random.default_rng(seed))
    (one,) = onsets.split(wave, rate, S)
    assert one.start == 0 and one.end > 0.9 * len(wave)


def test_each_cymbal_of_the_demo_is_one_segment(demo_folder):
    paths = sorted(demo_folder.glob("*/cymbal/*"))
    cut = {path.name for path in paths if len(onsets.split(*read_wave(path)[:2], S)) != 1}
    assert len(paths) >= 10 and not cut


def test_a_one_shot_is_the_sound_that_a_clip_is_made_of():
    for kind in synth.KINDS.values():
        hit = kind(RATE, np.random.default_rng(1))
        wave = np.concatenate([np.zeros(RATE // 3), hit, np.zeros(RATE // 3)]).astype(np.float32)
        (one,) = onsets.split(wave, RATE, S)
        clip = canonical(wave, RATE, AudioConfig())
        assert abs(one.start / RATE - clip.onset_s) < 0.003
        assert abs((one.end - one.start) / RATE - clip.duration_s) < 0.02


def test_a_swell_is_one_sound_and_so_is_a_reversed_drum():
    swell = np.linspace(0, 1, 2 * RATE) ** 2 * synth.tone(300, RATE, 2.0)
    (one,) = onsets.split(swell, RATE, S)
    assert one.start < 0.2 * RATE and one.end > 1.9 * RATE
    reversed_drum = synth.snare(RATE, np.random.default_rng(0))[::-1]
    (one,) = onsets.split(np.concatenate([reversed_drum, np.zeros(RATE)]), RATE, S)
    assert one.start < 0.1 * RATE


def test_what_sounds_long_before_the_first_hit_is_a_hit():
    pad = np.hanning(2 * RATE) * synth.tone(300, RATE, 2.0)
    wave = np.concatenate([pad, synth.kick(RATE, np.random.default_rng(0))])
    first, second = onsets.split(wave, RATE, S)
    assert first.start < 0.3 * RATE and abs(second.start / RATE - 2) < 0.01


@pytest.mark.parametrize("colour", ["white", "pink", "brown"])
def test_steady_noise_is_one_sound(colour):
    noise = np.random.default_rng(0).standard_normal(10 * RATE)
    spectrum = np.fft.rfft(noise)
    power = {"white": 0, "pink": 0.5, "brown": 1}[colour]
    spectrum[1:] /= np.maximum(20, np.arange(1, len(spectrum))) ** power
    wave = np.fft.irfft(spectrum)
    assert onsets.split(0.1 * wave / wave.std(), RATE, S) == [(0, len(wave))]


def test_nothing_is_found_in_silence():
    assert onsets.split(np.zeros(RATE, np.float32), RATE, S) == []
    assert onsets.split(np.zeros((0, 2), np.float32), RATE, S) == []
    assert onsets.split(1e-5 * synth.tone(440, RATE), RATE, S) == []


@pytest.mark.parametrize("n", [1, 2, 10, 100, 1000])
def test_very_short_recordings(n):
    assert len(onsets.split(np.ones(n, np.float32) / 2, RATE, S)) == 1


def test_clicks_of_one_sample():
    wave = np.zeros(2 * RATE, np.float32)
    times = [0.25, 0.5, 1.0, 1.6]
    wave[[round(t * RATE) for t in times]] = 0.9
    assert_found(starts(wave), times)


def test_samples_that_are_not_finite_are_refused():
    wave = synth.sequence(TIMES, RATE)
    wave[1000] = np.nan
    with pytest.raises(ValueError, match="finite"):
        onsets.split(wave, RATE, S)


def test_opposite_phase_hides_nothing():
    wave = synth.sequence(TIMES, RATE)
    mono = onsets.split(wave, RATE, S)
    assert onsets.split(np.stack([wave, -wave], axis=1), RATE, S) == mono
    assert onsets.split(np.stack([0 * wave, wave], axis=1), RATE, S) == mono


def test_more_sensitivity_never_finds_less():
    rng = np.random.default_rng(3)
    wave = synth.sequence(TIMES, RATE) + 0.5 * synth.cymbal(RATE, rng, len(TIMES) * 0.39)
    counts = [len(starts(wave, sensitivity=s)) for s in np.linspace(0, 1, 11)]
    assert counts == sorted(counts) and counts[0] < counts[-1]


@pytest.mark.parametrize("gap", [0.05, 0.2, 0.5])
def test_the_shortest_distance_is_kept(gap):
    found = starts(synth.sequence(TIMES, RATE), min_gap_s=gap)
    assert np.diff(found).min() >= gap - 1e-9
    assert len(found) > 2


def test_no_more_hits_than_allowed():
    wave = synth.sequence(TIMES, RATE)
    assert (
        onsets.split(wave, RATE, SegmentConfig(max_segments=3)) == (onsets.split(wave, RATE, S)[:3])
    )


@pytest.mark.parametrize("length", [1, 100, 4096, 50_000])
def test_blocks_do_not_change_what_is_found(length):
    wave = np.stack([synth.sequence(TIMES[:3], 8_000)] * 2, axis=1)
    whole = level_track.measure_levels([wave], 8_000)
    blocks = [wave[i : i + length] for i in range(0, len(wave), length)]
    parts = level_track.measure_levels(blocks, 8_000)
    np.testing.assert_allclose(parts.levels, whole.levels, atol=1e-3)
    np.testing.assert_array_equal(parts.peaks, whole.peaks)
    assert parts[2:] == whole[2:] and whole.samples == len(wave)


def test_quiet_hits_count_where_nothing_loud_is_near():
    wave = synth.sequence([0.5, 1.0, 1.5], RATE, seconds=40)
    quiet = 0.01 * synth.sequence([0.5, 1.0, 1.5], RATE, seconds=3)
    wave[35 * RATE : 38 * RATE] += quiet
    assert_found(starts(wave), [0.5, 1.0, 1.5, 35.5, 36.0, 36.5])


@pytest.mark.parametrize(
    "key, value, rule",
    [
        ("sensitivity", 1.1, "0 to 1"),
        ("min_gap_s", 0.0, "0.02 to 10 seconds"),
        ("max_segments", 0, "1 to 10000"),
        ("max_minutes", 0.0, "0.1 to 240 minutes"),
    ],
)
def test_settings_out_of_range_are_refused_with_their_rule(key, value, rule):
    with pytest.raises(UsageError, match=rf"^segments.{key}={value} should be {rule}\.$"):
        from_dict(SegmentConfig, {key: value})


def test_demo_sounds_in_a_row_are_found_again(demo_folder):
    """One-shots with silence between them: no hit is lost or made up."""
    paths = sorted(demo_folder.glob("Oak-Room/*/*"))[::2][:12]
    times, parts, at = [], [], 0.1
    parts.append(np.zeros(round(0.1 * RATE), np.float32))
    for path in paths:
        wave, rate = sf.read(path, dtype="float32", always_2d=True)
        clip = canonical(wave, rate, AudioConfig.at_rate(RATE))
        parts += [clip.wave, np.zeros(RATE // 10, np.float32)]
        times.append(at)
        at += clip.duration_s + 0.1
    assert_found(starts(np.concatenate(parts)), times, early=0.012, late=0.012)
