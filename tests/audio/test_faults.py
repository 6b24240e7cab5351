import numpy as np
import pytest
import soundfile as sf

from sst.audio.faults import find_faults
from sst.audio.recording import FileInfo, Recording, read_wave
from tests import synth

RATE = 44_100


def names(wave, name="x.wav", format_="WAV", rate=RATE):
    wave = np.asarray(wave, np.float32)
    wave = wave if wave.ndim == 2 else wave[:, None]
    info = FileInfo(format_, "PCM_16", len(wave))
    return {fault.name for fault in find_faults(Recording(wave, rate, info), name)}


def in_bits(wave, bits):
    steps = 2 ** (bits - 1) - 1
    return np.round(np.asarray(wave) * steps) / steps


SOUNDS = {
    "kick": lambda rng: synth.kick(RATE, rng),
    "snare": lambda rng: synth.snare(RATE, rng),
    "hat": lambda rng: synth.hat(RATE, rng),
}


@pytest.mark.parametrize("kind", SOUNDS)
@pytest.mark.parametrize("bits", [8, 16, 24])
def test_a_sound_without_a_fault_has_none(kind, bits, rng):
    wave = SOUNDS[kind](rng)
    assert names(in_bits(wave / np.abs(wave).max(), bits)) <= ({"offset"} if bits == 8 else set())


@pytest.mark.parametrize("kind", SOUNDS)
@pytest.mark.parametrize("level", [1.0, 0.4])
def test_clipping_is_found_also_when_it_was_made_quieter(kind, level, rng):
    wave = SOUNDS[kind](rng)
    loud = np.clip(2 * wave / np.abs(wave).max(), -1, 1)
    assert "clipped" in names(in_bits(level * loud, 16))


def test_waves_that_are_flat_by_nature_are_not_clipped():
    time = np.arange(RATE) / RATE
    assert "clipped" not in names(np.sign(np.sin(2 * np.pi * 110 * time)))  # a square wave
    for hz in (30, 55, 1000):
        fading = np.sin(2 * np.pi * hz * time) * np.exp(-4 * time)
        for bits in (8, 12, 16):
            assert "clipped" not in names(in_bits(fading, bits))
            assert "clipped" not in names(in_bits(np.sin(2 * np.pi * hz * time), bits))


@pytest.mark.parametrize("kind", SOUNDS)
def test_an_offset_is_found(kind, rng):
    wave = 0.5 * SOUNDS[kind](rng)
    assert "offset" in names(wave + 0.03)
    both = np.stack([wave, wave - 0.03], axis=1)  # in one channel of two
    assert "offset" in names(both)


def test_an_end_at_full_level_is_cut_off_unless_the_file_goes_on(rng):
    wave = synth.snare(RATE, rng)
    assert "cut_off" in names(wave[:3000])
    faded = wave[:3000] * np.minimum(1, np.arange(3000)[::-1] / 1500)
    assert "cut_off" not in names(faded)
    info = FileInfo("WAV", "PCM_16", 99_999)  # only the start was read
    found = find_faults(Recording(wave[:3000, None], RATE, info), "x.wav")
    assert "cut_off" not in {fault.name for fault in found}


def test_the_suffix_is_compared_with_what_is_inside(tmp_path, rng):
    for format_, wrong in (("WAV", ".aiff"), ("AIFF", ".wav"), ("FLAC", ".wav"), ("OGG", ".MP3")):
        wave = synth.snare(RATE, rng)
        sf.write(tmp_path / f"x{wrong}", wave, RATE, format=format_)
        recording = read_wave(tmp_path / f"x{wrong}")
        (found,) = (f for f in find_faults(recording, f"x{wrong}") if f.name == "wrong_suffix")
        assert format_ in found.detail and wrong.lower()[1:] in found.detail
    for format_, right in (("WAV", "a.WAV"), ("AIFF", "a.aif"), ("FLAC", "a.flac")):
        assert "wrong_suffix" not in names(synth.snare(RATE, rng), right, format_)


@pytest.mark.parametrize("n", [1, 10, 300])
def test_the_shortest_recordings_and_silence_pass(n):
    assert names(np.zeros(n)) == set()
    assert "clipped" not in names(np.linspace(-1, 1, n))
