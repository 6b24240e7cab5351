"""The ground truth of the demo sounds against slow measures, and their files."""

import collections
import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from sst.demo import library, machines, packs, truth, voices


@pytest.fixture(scope="module")
def demo():
    return list(library.sounds())


@pytest.fixture(scope="module")
def folder(tmp_path_factory, demo):
    root = tmp_path_factory.mktemp("demo")
    library.write(root, demo)
    return root


def test_there_are_enough_sounds_of_every_kind_in_many_packs(demo):
    where = collections.defaultdict(set)
    for sound in demo:
        where[sound.truth.kind].add(sound.path.split("/")[0])
    assert 200 <= len(demo) <= 240
    assert set(where) == set(voices.KINDS)
    assert all(len(names) >= 4 for names in where.values()), where
    assert len(packs.PACKS) >= 16
    assert all(0.02 <= len(s.wave) / s.sample_rate <= 2.55 for s in demo)


def test_no_two_sounds_are_equal(demo):
    assert len({sound.path for sound in demo}) == len(demo)
    assert len({sound.wave.tobytes() for sound in demo}) == len(demo)


def test_paths_say_the_kind(demo):
    for sound in demo:
        pack, kind, name = sound.path.split("/")
        assert kind == sound.truth.kind
        assert name.startswith(sound.truth.voice)


def test_onset_level_and_ends(demo):
    for sound in demo:
        level = np.abs(sound.wave).max(axis=1)
        first = np.argmax(level > 1e-3 * level.max()) / sound.sample_rate
        assert first - sound.truth.onset_s < 0.001, sound.path
        assert not level[: round(sound.truth.onset_s * sound.sample_rate)].any()
        assert 20 * np.log10(level.max()) == pytest.approx(sound.truth.peak_db, abs=0.01)
        assert level[-1] < 1e-3 * level.max(), sound.path
        assert np.abs(sound.wave.mean(axis=0)).max() < level.max() * 10 ** (-50 / 20), sound.path


def test_attack_and_decay_by_a_slow_oracle(demo):
    for sound in demo[::11]:
        level = [max(abs(x) for x in row) for row in sound.wave.tolist()]
        top = max(range(len(level)), key=level.__getitem__)
        half = next(i for i, x in enumerate(level) if x >= 0.5 * level[top])
        last = max(i for i, x in enumerate(level) if x >= 0.1 * level[top])
        attack_s = half / sound.sample_rate - sound.truth.onset_s
        assert sound.truth.attack_s == pytest.approx(attack_s, abs=1e-4)
        assert sound.truth.decay_s == pytest.approx((last - top) / sound.sample_rate, abs=1e-4)


def test_measures_a_decay_that_is_known():
    t = np.arange(44_100) / 44_100
    wave = (np.sin(2 * np.pi * 997 * t) * 10 ** (-t / 0.25))[:, None]
    facts = truth.measure(np.pad(wave, ((441, 0), (0, 0))), 44_100, 441, "tonal", "x", 1.0, 997.0)
    assert facts.onset_s == pytest.approx(0.01)
    assert facts.decay_s == pytest.approx(0.25, abs=0.001)
    assert facts.attack_s < 0.001


def test_pitch_of_tonal_sounds(demo):
    tonal = [s for s in demo if s.truth.kind == "tonal" and s.truth.voice != "zap"]
    assert len(tonal) > 20
    for sound in tonal:
        assert abs(1200 * np.log2(measured_pitch(sound) / sound.truth.pitch_hz)) < 10, sound.path


def measured_pitch(sound) -> float:
    """The strongest partial near the true pitch, later than the attack."""
    start = round(sound.truth.onset_s * sound.sample_rate) + len(sound.wave) // 10
    wave = sound.wave[start:].mean(axis=1)
    size = 1 << 18
    level = np.log(np.abs(np.fft.rfft(wave * np.hanning(len(wave)), size)) + 1e-12)
    low, high = (int(f * sound.truth.pitch_hz * size / sound.sample_rate) for f in (0.8, 1.25))
    top = low + int(np.argmax(level[low:high]))
    a, b, c = level[top - 1 : top + 2]
    return (top + 0.5 * (a - c) / (a - 2 * b + c)) * sound.sample_rate / size


def test_only_kinds_with_a_pitch_have_one(demo):
    pitched = {s.truth.kind for s in demo if np.isfinite(s.truth.pitch_hz)}
    assert pitched == {"kick", "tom", "hand_drum", "tonal", "rim"}


def test_every_file_is_read_as_it_was_made(demo, folder):
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != library.TRUTH_FILE]
    assert sorted(p.relative_to(folder).as_posix() for p in files) == sorted(s.path for s in demo)
    for sound in demo:
        info = sf.info(folder / sound.path)
        assert (info.samplerate, info.channels) == (sound.sample_rate, sound.wave.shape[1])
        assert info.frames == len(sound.wave), sound.path
        assert info.subtype == sound.subtype
    assert sum(p.stat().st_size for p in files) < 12e6


def test_files_hold_the_waves(demo, folder):
    tolerance = {"PCM_16": 1 / 32_000, "PCM_24": 1e-6, "FLOAT": 0.0, "PCM_U8": 1 / 120}
    for sound in demo[::3]:
        wave, _ = sf.read(folder / sound.path, dtype="float32", always_2d=True)
        if sound.subtype in tolerance:
            np.testing.assert_allclose(wave, sound.wave, atol=tolerance[sound.subtype])
        else:
            error = np.sqrt(np.mean((wave - sound.wave) ** 2) / np.mean(sound.wave**2))
            assert error < 0.35, (sound.path, error)


def test_every_reader_is_exercised(demo):
    assert {Path(s.path).suffix for s in demo} == set(library.FORMATS) | {".WAV"}
    assert {22_050, 32_000, 44_100, 48_000, 96_000} == {s.sample_rate for s in demo}
    assert {"PCM_16", "PCM_24", "FLOAT", "PCM_U8"} < {s.subtype for s in demo}
    assert {1, 2} == {s.wave.shape[1] for s in demo}
    assert min(s.truth.peak_db for s in demo) < -15
    assert sum(s.truth.onset_s > 0.002 for s in demo) > 20


def test_the_same_bytes_on_every_call(folder, tmp_path):
    chosen = ("Bright-Punch", "Velvet-Brush", "Tea-Dance-Box", "Market-Square")
    for path in library.write(tmp_path, library.sounds(chosen)):
        first = folder / path.relative_to(tmp_path)
        assert digest(first) == digest(path), path
    assert not list(tmp_path.rglob("*.partial"))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_sound_does_not_depend_on_those_before(demo):
    pack = packs.PACKS[3]
    own = [s for s in demo if s.path.startswith(pack.machine.name)]
    voice, take = own[-1].truth.voice, int(own[-1].path.rsplit("_", 1)[1].split(".")[0]) - 1
    again = library._sound(pack, voice, take, None)
    np.testing.assert_array_equal(again.wave, own[-1].wave)


def test_machines_from_seeds_are_endless_and_their_own(rng):
    one, same, other = (
        machines.random_machine(5),
        machines.random_machine(5),
        machines.random_machine(6),
    )
    assert one == same
    assert one.name != other.name
    assert set(one.kinds) == set(voices.KINDS)
    first, again = (list(library.sounds_of(one, 6, seed=1)) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.wave, b.wave)
        assert a.truth.kind in voices.KINDS
    unlike = list(library.sounds_of(one, 6, seed=2))
    assert len({s.wave.tobytes() for s in first + unlike}) == 12
    assert len({s.path for s in first + unlike}) == 12


def test_harder_strokes_are_louder(demo):
    layers = collections.defaultdict(dict)
    for sound in demo:
        if "_v" in sound.path:
            layers[sound.path.split("_v")[0]][sound.truth.velocity] = sound.truth.peak_db
    assert len(layers) >= 6
    for levels in layers.values():
        assert len(levels) >= 2
        ordered = [levels[v] for v in sorted(levels)]
        assert ordered == sorted(ordered)


@pytest.mark.parametrize("voice", ["kick_sine", "snare_modes", "closed_noise"])
def test_sounds_of_a_machine_are_more_alike_than_those_of_others(voice):
    styles = [machines.random_machine(seed).style for seed in range(12)]
    own = [
        machines.Machine(name=f"m{i}", seed=i, style=style, voices=(voice,))
        for i, style in enumerate(styles)
    ]
    facts = np.log([[brightness_and_decay(s) for s in library.sounds_of(m, 5)] for m in own])
    between, within = facts.mean(axis=1).var(axis=0), facts.var(axis=1).mean(axis=0)
    assert np.all(between > within), (between, within)


def brightness_and_decay(sound) -> tuple[float, float]:
    power = np.abs(np.fft.rfft(sound.wave.mean(axis=1))) ** 2
    return float(np.arange(len(power)) @ power / power.sum() / len(power)), sound.truth.decay_s
