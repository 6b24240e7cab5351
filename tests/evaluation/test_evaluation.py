import dataclasses
import json
import math

import jax
import numpy as np
import pytest
import soundfile as sf

from sst import inference
from sst.config import AudioConfig
from sst.data import dataset as datasets
from sst.dsp import descriptors, features
from sst.errors import ModelError, NothingToDo, UsageError
from sst.evaluation import (
    definitions,
    degraded_copies,
    examples,
    figures,
    generation,
    interpolation,
    latent,
    metrics,
    reconstruction,
    run,
    search,
    sounds,
    systems,
    waves,
)
from sst.evaluation.figures import Absent
from sst.evaluation.material import Request
from sst.evaluation.systems import System
from sst.model import export_format
from tests import small_dataset, small_model, synth, tiny_model
from tests.made_sounds import made

AUDIO = tiny_model.CONFIG.audio
CLASSES = {"kick": "drum", "snare": "drum"}


@pytest.mark.slow
def test_search_is_measured_on_the_vectors_that_a_library_compares(tmp_path):
    from sst import files
    from sst.audio import decode_pool
    from sst.library import embed_files, session

    model = tiny_model.export(tmp_path / "model")
    root = synth.write_library(tmp_path / "lib", per_kind=1, packs=2)
    measured = systems.of_model(inference.load(model), 0)["model"].embed
    found = sounds.from_folders([root], AUDIO)
    encoder = session.load_encoder(model)
    decoded = decode_pool.decode_many(
        [s.path for s in files.find_samples([root])], AUDIO, 1, measure=("descriptors",)
    )
    compared = embed_files.embed_sounds(encoder, list(decoded))
    np.testing.assert_allclose(measured(found), compared, atol=1e-5)
    np.testing.assert_allclose(measured(found._replace(descriptors=None)), compared, atol=1e-5)


def test_held_out_sounds_bring_what_the_workers_computed(library, monkeypatch):
    found = sounds.from_folders([library], AUDIO, limit=4).take([3, 1])
    computed = systems._describe(found, AUDIO)
    np.testing.assert_allclose(found.descriptors, computed, atol=1e-4)
    changed = degraded_copies.degrade(found, degraded_copies.lower_level, AUDIO, 0)
    assert changed.descriptors is None  # those of other sounds
    monkeypatch.setattr(descriptors, "describe", None)
    monkeypatch.setattr(features, "attack", None)
    again = sounds.from_folders([library], AUDIO, limit=4).take([3, 1])
    np.testing.assert_array_equal(again.attack, found.attack)
    np.testing.assert_array_equal(
        systems.measured_aspects(again, AUDIO), systems.measured_aspects(found, AUDIO)
    )


# ------------------------------------------------------------------------------------ figures


def test_a_figure_is_json_whatever_is_measured():
    packs = ["a", "b", "c"]
    for values in ([1.0, math.nan, 3.0], [math.inf] * 3, [math.nan] * 3):
        figure = figures.over_files(values, packs, "median")
        json.dumps(figure, allow_nan=False)
        assert (figure["value"] is None) == ("reason" in figure)
    assert figures.over_files([1.0, math.nan, 3.0], packs, "mean")["value"] == 2.0
    assert figures.over_files([1.0, math.nan, 3.0], packs, "mean")["n"] == 2
    assert figures.over_files([math.inf] * 3, packs, "median")["reason"] == figures.LOST


# ------------------------------------------------------------------------------------ sounds


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return synth.write_library(tmp_path_factory.mktemp("library"), per_kind=2, packs=3)


def test_files_arrive_at_the_models_rate_and_their_own_level(library):
    found = sounds.from_folders([library], AUDIO)
    assert found.size == 18 and set(found.packs) == {f"{library.name}/pack{i}" for i in range(3)}
    assert found.class_names == ["hat", "kick", "snare"]
    for name, wave, peak_db in zip(found.ids, found.waves, found.peak_db, strict=True):
        original, _ = sf.read(library.parent / name)
        assert np.abs(wave).max() == pytest.approx(10 ** (peak_db / 20), rel=1e-4)
        if "kick" in name:  # nothing of it lies above the model's rate
            assert np.abs(wave).max() == pytest.approx(np.abs(original).max(), rel=0.05)


def test_a_limit_chooses_the_same_files_each_time(library):
    first, again = (sounds.from_folders([library], AUDIO, limit=5, seed=3).ids for _ in range(2))
    other = sounds.from_folders([library], AUDIO, limit=5, seed=4).ids
    assert first == again != other and len(first) == 5


def test_labels_that_the_file_of_classes_lacks_have_no_class(library):
    found = sounds.from_folders([library], AUDIO, CLASSES)
    assert found.class_names == ["drum"] and found.classes.count("") == 6


def test_a_broken_file_is_left_out(tmp_path):
    synth.write_library(tmp_path / "lib", per_kind=1, packs=1)
    (tmp_path / "lib" / "pack0" / "kick" / "broken.wav").write_bytes(b"RIFF")
    said = []
    assert sounds.from_folders([tmp_path / "lib"], AUDIO, say=said.append).size == 3
    assert any("1 held-out file" in line for line in said)


def test_folders_given_side_by_side_are_packs_when_they_hold_kinds():
    assert sounds.packs_of(["A/a-bd/x.wav", "A/a-sd/x.wav", "B/bd/y.wav"]) == ["A", "A", "B"]
    assert sounds.packs_of(["A/P/bd/x.wav", "A/Q/sd/x.wav", "B/bd/y.wav"]) == ["A/P", "A/Q", "B"]
    assert sounds.packs_of(["A/P/bd/x.wav", "A/Q/bd/x.wav"]) == ["A/P", "A/Q"]


@pytest.mark.parametrize("text", ["", "[1]", '{"bd": 1}', None])
def test_a_file_of_classes_that_is_none_is_said(tmp_path, text):
    path = tmp_path / "classes.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match="--classes"):
        sounds.read_classes(path)


# ------------------------------------------------------------------------------------ the parts


def _with_audio() -> inference.Model:
    """Enough of a model for its inversion."""
    model = small_model.untrained()
    return model._replace(config=dataclasses.replace(model.config, audio=AUDIO))


def test_a_perfect_system_has_no_error_and_silence_loses_everything():
    held_out = made(6)
    reconstructions = {
        "same": held_out.waves,
        "silence": [np.zeros_like(w) for w in held_out.waves],
    }
    found = reconstruction.measure(held_out, reconstructions, AUDIO.sample_rate)
    same = reconstruction.summarise(found["same"], held_out.packs, 0)
    assert all(same[name]["value"] == pytest.approx(0.0, abs=1e-3) for name in same)
    lost = reconstruction.summarise(found["silence"], held_out.packs, 0)
    for name in ("pitch_cents", "attack_ms", "decay_octaves", "level_db"):
        assert lost[name]["value"] is None and lost[name]["reason"] == figures.LOST
    assert lost["pitch_lost"]["value"] == 1.0
    assert set(same) | {"class_kept"} == set(definitions.RECONSTRUCTION)


def test_noise_has_no_pitch_to_lose(rng):
    held_out = made(3)
    noise = [rng.standard_normal(2000).astype(np.float32) for _ in held_out.waves]
    held_out = held_out._replace(waves=noise)
    found = reconstruction.measure(held_out, {"same": noise}, AUDIO.sample_rate)["same"]
    figure = reconstruction.summarise(found, held_out.packs, 0)["pitch_lost"]
    assert figure["value"] is None and "pitch" in figure["reason"]


@pytest.mark.slow
def test_the_ceiling_is_the_model_with_a_perfect_decoder():
    held_out = made(3)
    ceiling = systems.of_model(_with_audio(), 0)["ceiling"].reconstruct(held_out)
    for wave, original, n in zip(ceiling, held_out.waves, held_out.n_frames, strict=True):
        assert len(wave) == max(1, (n - 1) * AUDIO.hop)
        assert metrics.level_error_db(original, wave) < 1.5
        assert metrics.log_mel_l1(original, wave, AUDIO.sample_rate) < 4.0


def test_a_training_sound_is_nearest_to_itself(rng):
    train = made(12)
    order = rng.permutation(12)
    np.testing.assert_array_equal(systems.nearest(train.take(order), train), order)
    nearest = systems.nearest_training_sound(train)["nearest"].reconstruct(train)
    assert all(a is b for a, b in zip(nearest, train.waves, strict=True))


@pytest.mark.slow
def test_as_many_components_as_sounds_bring_the_sounds_back():
    train = made(12)
    chosen = systems.principal_components(train, tiny_model.CONFIG, 0)
    reconstructions = chosen["pca"].reconstruct(train)
    ceiling = systems.of_model(_with_audio(), 0)["ceiling"].reconstruct(train)
    for ours, best in zip(reconstructions, ceiling, strict=True):
        assert len(ours) == len(best)
        assert metrics.log_mel_l1(best, ours, AUDIO.sample_rate) < 1.5


def test_copies_of_the_training_set_are_memorised_and_held_out_sounds_are_not(rng):
    def set_of(mfcc):
        return generation.FeatureSet(mfcc, Absent("no classes"))

    train, held_out = rng.standard_normal((2, 200, 6))
    packs = [str(i % 20) for i in range(200)]
    real = generation.RealSounds(set_of(held_out), packs, set_of(train))
    copies = generation.measure_draws(set_of(train), real, 0)
    assert copies["memorised"]["value"] == 1.0
    fresh = generation.measure_draws(set_of(rng.standard_normal((200, 6))), real, 0)
    assert fresh["memorised"]["value"] < 0.12 and 0.7 < fresh["kernel_ratio_mfcc"]["value"] < 1.4
    assert fresh["kernel_ratio_mfcc"]["low"] < fresh["kernel_ratio_mfcc"]["value"]
    assert fresh["density"]["value"] == pytest.approx(1.0, abs=0.15)
    assert fresh["diversity"]["value"] == pytest.approx(1.0, abs=0.05)
    assert fresh["recognised"]["reason"] == "no classes"
    off = generation.measure_draws(set_of(rng.standard_normal((200, 6)) + 3), real, 0)
    assert off["kernel_ratio_mfcc"]["value"] > 5.0 and off["coverage"]["value"] < 0.2
    assert set(fresh) == set(definitions.GENERATION) == set(generation.measure_held_out(real, 0))


def test_few_sounds_give_reasons_instead_of_figures(rng):
    few = generation.FeatureSet(rng.standard_normal((4, 6)), Absent("no classes"))
    real = generation.RealSounds(few, ["a"] * 4, Absent("no training sounds"))
    found = generation.measure_draws(few, real, 0)
    assert all(figure["value"] is None and figure["reason"] for figure in found.values())


def linear_system(audio: AudioConfig) -> System:
    """A system whose latent is the level in dB: its mixes have exactly the mean level."""

    def encode(some):
        return np.array([[metrics.level_db(wave)] for wave in some.waves], np.float32)

    def decode(z):
        tone = synth.tone(500.0, audio.sample_rate, 0.2, 1.0)
        return tone * np.float32(10 ** ((z[0] - metrics.level_db(tone)) / 20))

    return System("straight", encode=encode, decode=decode)


def test_levels_that_go_straight_leave_no_hole():
    held_out, system = made(9), linear_system(AUDIO)
    paths = interpolation.interpolate(
        system, held_out, interpolation.choose_pairs(held_out.packs, 0)
    )
    row = interpolation.measure(system, paths, held_out, AUDIO.sample_rate, 0)
    assert row["level_hole_db"]["value"] == pytest.approx(0.0, abs=1e-3)
    assert row["mix_hole_db"]["value"] == pytest.approx(0.0, abs=1e-3)
    assert set(row) == set(definitions.PATHS)


def test_pairs_are_of_different_packs_where_there_are_several():
    pairs = interpolation.choose_pairs(["a", "a", "a", "b"], 0)
    assert all((a == 3) != (b == 3) for a, b in pairs) and len(pairs) == interpolation.N_PAIRS
    assert all(a != b for a, b in interpolation.choose_pairs(["a", "a"], 0))
    assert len(interpolation.choose_pairs(["a"], 0)) == 0


def test_search_by_the_class_itself_is_perfect_and_constants_are_chance():
    held_out = made(60, packs=4)
    kinds = np.eye(3)[[held_out.class_names.index(kind) for kind in held_out.classes]]
    chosen = {
        "oracle": System("oracle", embed=lambda some: kinds),
        "chance": System("chance", embed=lambda some: np.random.default_rng(0).random((60, 2))),
        "deaf": System("deaf"),
    }
    rows = search.measure(chosen, held_out, 0)
    assert set(rows) == {"oracle", "chance"}
    best = [rows["oracle"]["figures"][name]["value"] for name in definitions.SEARCH]
    assert best == pytest.approx([1.0, 1.0, 1.0])
    assert 0.1 < rows["chance"]["figures"]["map"]["value"] < 0.6
    assert set(rows["oracle"]["per_class"]) == {"hat", "kick", "snare"}


def test_each_copy_is_degraded_in_the_way_that_it_says(rng):
    rate = 44_100
    wave = 0.5 * synth.snare(rate, rng)
    lengths = {name: len(change(wave, rate, rng)) for name, change in degraded_copies.KINDS.items()}
    assert lengths["shifted"] < len(wave) == lengths["quieter"] == lengths["noisy"]

    def highs(x):
        return np.square(np.abs(np.fft.rfft(x, 2 * len(wave)))[len(wave) // 2 :]).sum()

    def level(x):
        return 10 * np.log10(np.mean(np.square(x)))

    assert level(degraded_copies.lower_level(wave, rate, rng)) - level(wave) == pytest.approx(
        -20, abs=0.1
    )
    assert highs(degraded_copies.resample(wave, rate, rng)) < 1e-3 * highs(wave)
    noise = np.square(degraded_copies.add_noise(wave, rate, rng) - wave).mean()
    assert 20 * np.log10(np.abs(wave).max()) - 10 * np.log10(noise) == pytest.approx(40, abs=0.5)
    for hz in (rate, 11_025, 96_000):  # MP3 does not know the last two
        again = degraded_copies.compress(wave, hz, rng)
        error = metrics.log_mel_l1(wave, again[: len(wave)], hz)
        assert 0.01 < error < 6.0 and abs(len(again) - len(wave)) < 0.1 * hz


def test_copies_are_found_by_what_they_keep_and_not_by_nothing():
    held_out = made(12)
    chosen = {
        "spectrum": System("", embed=lambda s: s.log_mel.reshape(s.size, -1)),
        "level": System("", embed=lambda s: s.peak_db[:, None]),
        "nothing": System("", embed=lambda s: np.zeros((s.size, 1))),
        "draws": System("", draw=lambda n: []),
    }
    rows = degraded_copies.measure(chosen, held_out, AUDIO, 0)
    shares = {
        name: {k: f["value"] for k, f in row["figures"].items()} for name, row in rows.items()
    }
    assert set(shares) == {"spectrum", "level", "nothing"}
    assert shares["spectrum"]["quieter"] == 1.0 and shares["spectrum"]["compressed"] > 0.9
    assert shares["level"]["quieter"] < 0.5 < shares["level"]["shifted"]
    np.testing.assert_allclose(list(shares["nothing"].values()), 1 / 12)
    assert set(rows["spectrum"]["figures"]) == set(definitions.COPIES)


def test_search_says_why_it_cannot_be_measured():
    held_out = made(9)
    embed = {"x": System("x", embed=lambda some: np.zeros((some.size, 1)))}
    assert "no class" in search.measure(embed, held_out._replace(classes=[""] * 9), 0).reason
    assert "one pack" in search.measure(embed, held_out._replace(packs=["a"] * 9), 0).reason
    assert "10 sounds" in search.measure(embed, held_out, 0).reason


def test_active_units_and_capacity_of_a_model_whose_posterior_is_known():
    model, held_out = small_model.untrained(), made(70, audio=small_model.CONFIG.audio)
    means, nats = latent.posterior(model, held_out)
    z = inference.encode_features(model, held_out.features)
    np.testing.assert_allclose(means, np.asarray(z), atol=1e-3)
    logvar = 2 * -1.5  # an untrained network starts at sigma = exp(-1.5)
    each = 0.5 * (np.exp(logvar) - 1 - logvar)
    expected = 0.5 * np.square(means).sum(axis=1) + each * means.shape[1]
    np.testing.assert_allclose(nats, expected, rtol=1e-3)


@pytest.mark.slow
def test_a_linear_model_is_white_and_its_draws_have_the_covariance_of_the_codes():
    train = made(60, audio=small_model.CONFIG.audio)
    linear = systems.linear_model(train, small_model.CONFIG, 5, 0)
    every = small_model.with_variations(train.features)  # it is fitted to
    means = [inference.encode_features(linear, each) for each in every]
    np.testing.assert_allclose(np.sqrt(np.mean(np.square(means), (0, 1))), 1.0, rtol=0.02)
    codes = np.asarray(inference.encode_features(linear, train.features))
    draws = np.asarray(inference.sample_prior(linear, jax.random.key(0), 100_000))
    np.testing.assert_allclose(draws.mean(axis=0), codes.mean(axis=0), atol=0.03)
    np.testing.assert_allclose(np.cov(draws.T), np.cov(codes.T), atol=0.05)


def test_examples_are_of_as_many_classes_as_there_are():
    classes = ["a"] * 50 + ["b"] * 2 + ["c"]
    chosen = examples.choose_over_classes(classes, 5, 0)
    assert sorted(classes[row] for row in chosen) == ["a", "a", "b", "b", "c"]
    assert chosen == sorted(chosen) == examples.choose_over_classes(classes, 5, 0)


# ------------------------------------------------------------------------------------ the whole


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A run with its dataset, and a model without one."""
    folder = tmp_path_factory.mktemp("evaluate")
    small_dataset.write(folder / "data", "tiny", 60, 9, AUDIO)
    tiny_model.export(folder / "alone")
    tiny_model.export(folder / "run" / "model")
    saved = export_format.load_model(folder / "run" / "model")
    facts = {"dataset": "sample_library/tiny", "fingerprint": "f-tiny-60"}
    parts = saved.params, saved.stats, saved.prior
    export_format.save_model(folder / "run" / "model", saved.config, *parts, [], facts)
    source = {"dataset": "sample_library/tiny", "data_dir": str(folder / "data")}
    (folder / "run" / "dataset.json").write_text(json.dumps(source))
    return folder


def small(monkeypatch) -> None:
    monkeypatch.setattr(interpolation, "N_PAIRS", 2)
    monkeypatch.setattr(interpolation, "N_MIXES", 2)
    monkeypatch.setattr(waves, "MAX_DRAWS", 12)


@pytest.mark.slow
def test_a_run_is_measured_on_its_own_validation_split(root, monkeypatch):
    small(monkeypatch)
    said = []
    request = Request(str(root / "run"), sample_vae_steps=2)
    result = run.evaluate(request, said.append)
    report = result.report
    json.dumps(report, allow_nan=False)
    assert report["sounds"]["train"]["files"] == 60
    assert report["sounds"]["held_out"]["files"] == 9
    rows = report["sections"]["reconstruction"]["rows"]
    components = {"pca", "pca_same_size"}
    assert set(rows) == {"model", "ceiling", "samplevae", "nearest", "griffinlim"} | components
    for row in rows.values():
        assert set(row["figures"]) == set(definitions.RECONSTRUCTION)
        assert row["figures"]["log_mel_l1_db"]["n"] == 9
    drawn = report["sections"]["generation"]["rows"]
    assert set(drawn) == {"model", "samplevae", "train", "held_out"} | components
    assert set(report["sections"]["paths"]["rows"]) == {"model"} | components
    assert report["sections"]["model"]["rows"]["model"]["figures"]["active_units"]["value"] == 6
    assert len(report["goals"]) == 11
    assert [exhibit.title.split()[0] for exhibit in result.exhibits] == [
        "Held-out",
        "Random",
        "Interpolations",
    ]
    assert said and report["run"]["stages_cpu_s"]


@pytest.mark.slow
def test_a_model_without_a_dataset_is_measured_on_a_folder(root, library, monkeypatch):
    small(monkeypatch)
    request = Request(str(root / "alone"), held_out=(str(library),))
    report = run.evaluate(request).report
    assert report["sounds"]["train"] is None
    assert any("--dataset" in item["why"] for item in report["absent"])
    rows = report["sections"]["reconstruction"]["rows"]
    assert set(rows) == {"model", "ceiling", "griffinlim"}
    drawn = report["sections"]["generation"]["rows"]["model"]["figures"]
    assert drawn["kernel_ratio_mfcc"]["value"] > 0
    assert "--dataset" in drawn["memorised"]["reason"]
    assert "--dataset" in drawn["recognised"]["reason"]
    assert report["sections"]["search"]["rows"] == {}


def test_nothing_to_measure_on_is_said_with_the_way_out(root):
    with pytest.raises(UsageError, match="--held-out"):
        run.evaluate(Request(str(root / "alone")))


def test_another_dataset_than_the_models_has_no_validation_split(root):
    data_dir = str(root / "data")
    with pytest.raises(ModelError, match="--held-out"):
        run.evaluate(Request(str(root / "alone"), "sample_library/tiny", data_dir))
    with pytest.raises(NothingToDo, match="tfds build"):
        run.evaluate(Request(str(root / "alone"), "sample_library/none", data_dir))


def test_sounds_of_a_dataset_keep_their_level(root):
    dataset = datasets.load("sample_library/tiny", AUDIO, root / "data")
    train = sounds.from_dataset(dataset, "train", CLASSES, limit=10, seed=1)
    assert train.size == 10 and set(train.classes) == {"drum", ""}
    peaks = [20 * np.log10(np.abs(wave).max()) for wave in train.waves]
    np.testing.assert_allclose(peaks, train.peak_db, atol=0.01)
