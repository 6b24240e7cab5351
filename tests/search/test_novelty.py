"""How near new sounds are to real ones, where that is known."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import small_model
import soundfile as sf
import synth
import tiny_model

import sst
from sst import inference
from sst.data import dataset as datasets
from sst.errors import ModelError, UsageError
from sst.generation import novelty_filter, recipe, rendering, sampling
from sst.model import export_format
from sst.model.export_format import KnownSounds
from sst.model.functions import VAE
from sst.search import novelty, similarity
from sst.training import export

RATE = 16_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model.export(tmp_path_factory.mktemp("models") / "knowing", with_known=True)


@pytest.fixture(scope="module")
def model(folder):
    return inference.load(folder)


@pytest.fixture(scope="module")
def training(folder):
    return novelty_filter.load_training_sounds(folder)


# ------------------------------------------------------------------------------------ the measure


def never(a: int, b: int) -> bool:
    return False


def test_spacing_is_what_loops_find(rng):
    vectors, groups = rng.standard_normal((40, 3)), np.arange(40) % 7
    found = []
    for i in range(40):
        away = [np.linalg.norm(vectors[i] - v) for v in vectors]
        others = [d for d, group in zip(away, groups, strict=True) if group != groups[i]]
        found.append(min(others))
    expected = np.quantile(found, np.linspace(0, 1, 101))
    np.testing.assert_allclose(novelty.measure_spacing(vectors, groups, never), expected, rtol=1e-5)


def test_copies_in_other_packs_make_nothing_seem_usual(rng):
    vectors = 5.0 * rng.standard_normal((30, 4))
    twice = np.concatenate([vectors, vectors + 0.01])
    packs, sounds = np.repeat([0, 1], 30), np.tile(np.arange(30), 2)
    spaced = novelty.measure_spacing(twice, packs, lambda a, b: sounds[a] == sounds[b])
    assert spaced[0] > similarity.COPY_REACH
    # Near, but by their waveforms no copies: they do make what is near seem usual.
    np.testing.assert_allclose(novelty.measure_spacing(twice, packs, never), 0.02, rtol=1e-2)
    none = novelty.measure_spacing(vectors, np.zeros(30), never)
    np.testing.assert_array_equal(none, novelty.NO_SPACING)


def test_per_cents_are_the_share_of_real_sounds_that_are_nearer():
    quantiles = np.linspace(1.0, 3.0, 101)
    for distance, share in ((0.0, 0), (1.0, 0), (1.5, 25), (2.0, 50), (3.0, 100), (9.0, 100)):
        assert novelty.percentile(distance, quantiles) == pytest.approx(share)
    assert novelty.percentile(1.0, novelty.NO_SPACING) is None


def test_packs_are_groups_where_there_are_enough_of_them():
    many = [f"lib/pack{i % 12}/kick/{i}.wav" for i in range(24)]
    assert len(set(novelty.number_groups(many))) == 12
    few = [f"lib/pack{i % 3}/kick/{i}.wav" for i in range(24)]
    assert len(set(novelty.number_groups(few))) == 24
    assert len(set(novelty.number_groups(few, by_pack=True))) == 3
    assert len(set(novelty.number_groups(few[::3], by_pack=True))) == 8  # of one pack


# ------------------------------------------------------------------------------------- novelty


def test_a_training_sound_is_found_by_name_and_has_no_novelty(model, training):
    for name, wave in list(tiny_model.waves().items())[::5]:
        (found,) = novelty_filter.nearest(model, training, 0.5 * wave, RATE)
        assert (found.of, found.name) == ("training", name)
        assert found.distance < 0.01 and found.novelty == 0.0


def test_noise_is_novel_and_silence_has_no_nearest_sound(model, training, rng):
    noise = rng.standard_normal(5000).astype(np.float32)
    (found,) = novelty_filter.nearest(model, training, noise, RATE)
    assert found.novelty > 50.0
    assert novelty_filter.nearest(model, training, np.zeros(5000, np.float32), RATE) == ()


def draw(model):
    return lambda num, seed: sampling.draw(model, num, seed)


def test_low_novelty_is_drawn_again_reproducibly(model, training):
    firsts = [sampling.draw(model, 6, 3)[i] for i in range(6)]
    plain = [novelty_filter.render(model, one, training)[1] for one in firsts]
    least = sorted(map(novelty_filter.novelty_of, plain))[3]
    for one, plain_one in zip(firsts, plain, strict=True):
        wave, found = novelty_filter.render_novel(model, one, training, least, draw(model))
        again, same = novelty_filter.render_novel(model, one, training, least, draw(model))
        np.testing.assert_array_equal(wave, again)
        assert found == same and (found.seed, found.index) == (3, one.index)
        near_enough = novelty_filter.novelty_of(plain_one) >= least
        assert (found.tries == 1, found.latent == one.latent) == (near_enough, near_enough)
        assert novelty_filter.novelty_of(found) >= least or found.tries == novelty_filter.MAX_DRAWS
        np.testing.assert_array_equal(rendering.render(model, found), wave)  # as --from has it


def test_the_most_novel_draw_is_kept_where_none_is_novel_enough(model, training):
    (one,) = sampling.draw(model, 1, 5)
    far = [KnownSounds(c.known.ids, c.known.vectors, c.known.spacing + 100.0) for c in training]
    near = [training[0]._replace(known=far[0])]
    _, found = novelty_filter.render_novel(model, one, near, 50.0, draw(model))
    assert (found.tries, novelty_filter.novelty_of(found)) == (novelty_filter.MAX_DRAWS, 0.0)
    _, best = novelty_filter.render_novel(model, one, training, 100.0, draw(model))
    others = draw(model)(novelty_filter.MAX_DRAWS - 1, novelty_filter._next_seed(one))
    each = [novelty_filter.render(model, other, training)[1] for other in [one, *others]]
    assert novelty_filter.novelty_of(best) == max(map(novelty_filter.novelty_of, each))


def test_min_novelty_is_checked(training):
    for least in (-1.0, 101.0, float("nan")):
        with pytest.raises(UsageError, match="0 to 100"):
            novelty_filter.check_min_novelty(training, least)
    blind = training[0]._replace(known=training[0].known._replace(spacing=novelty.NO_SPACING))
    for collections in ([], [blind]):
        with pytest.raises(ModelError, match="--library-dir"):
            novelty_filter.check_min_novelty(collections, 10.0)


def test_recipes_keep_the_nearest_sounds_and_older_ones_have_none(model, training):
    (one,) = sampling.draw(model, 1, 5)
    _, found = novelty_filter.render(model, one, training)
    assert recipe.Recipe(**dataclasses.asdict(found) | {"nearest": found.nearest}) == found
    import json

    stored = json.loads(found.to_json())
    assert stored["nearest"][0].keys() == {"of", "name", "distance", "novelty"}
    assert recipe._from_fields(dict(stored)) == found
    older = {name: value for name, value in stored.items() if name not in ("nearest", "tries")}
    assert recipe._from_fields(older) == one


# ------------------------------------------------------------------------------------ the sources


def test_an_export_holds_ids_and_vectors_of_training_clips(monkeypatch):
    model = small_model.with_classes()
    clips = small_model.clips(12)
    ids = [f"lib/pack{i % 3}/{i}.wav" for i in range(12)]
    cells, attack = clips.log_mel.astype(np.float16), clips.attack.astype(np.float16)
    split = datasets.Split(ids, [""] * 12, cells, clips.n_frames, clips.peak_db, attack)
    dataset = datasets.Dataset(
        "sample_library/x", Path(), split, split, [], "", {"split_by": "folder"}
    )
    inputs = export.ExportInputs(small_model.CONFIG, dataset, VAE, Path())
    monkeypatch.setattr(export, "copy_clusters", lambda *args: np.arange(len(args[2])))
    known = export.training_vectors(inputs, model.params, model.stats)
    assert known.ids == ids
    vectors = np.asarray(inference.embed_features(model, split.features(slice(None))))
    np.testing.assert_allclose(known.vectors, vectors, atol=1e-4)
    packs = novelty.number_groups(ids, by_pack=True)
    np.testing.assert_allclose(
        known.spacing, novelty.measure_spacing(vectors, packs, never), atol=1e-4
    )
    monkeypatch.setattr(export, "MAX_TRAIN_VECTORS", 5)
    some = export.training_vectors(inputs, model.params, model.stats).ids
    assert len(some) == 5 and sorted(some, key=ids.index) == some


def test_a_library_is_compared_by_timbre_and_named_from_its_folder_on(tmp_path, folder, model):
    from sst.library import session

    library = synth.write_library(tmp_path / "lib", per_kind=2, packs=2, sample_rate=RATE)
    opened = session.open_session(session.load_encoder(folder), [library], "exact")
    collection = novelty_filter.library_sounds(opened.rows, [library], opened.encoder.audio)
    wave, _ = sf.read(library / "pack1/snare/snare0.wav", dtype="float32")
    (found,) = novelty_filter.nearest(model, [collection], wave, RATE)
    assert (found.of, found.name) == ("library", "lib/pack1/snare/snare0.wav")
    assert found.distance < 1e-3 and found.novelty == 0.0


def test_the_session_object_draws_again_too(folder, tmp_path):
    tool = sst.SoundSampleTool(folder)
    plain = tool.generate(seed=4)
    assert plain.recipe.nearest[0].of == "training" and plain.recipe.tries == 1
    novel = tool.generate(tmp_path / "x.wav", seed=4, min_novelty=99.0)
    assert novelty_filter.novelty_of(novel.recipe) >= novelty_filter.novelty_of(plain.recipe)
    assert recipe.read(tmp_path / "x.wav") == novel.recipe
    assert export_format.load_known(folder) is not None
    sf.write(tmp_path / "a.wav", synth.tone(440, RATE), RATE)
    with pytest.raises(UsageError, match="variance"):
        tool.generate(audio_files=[tmp_path / "a.wav"], min_novelty=10.0)
    older = sst.SoundSampleTool(tiny_model.export(tmp_path / "older"))
    assert older.generate(seed=4).recipe.nearest == ()
    with pytest.raises(ModelError, match="exported without"):
        older.generate(seed=4, min_novelty=10.0)
