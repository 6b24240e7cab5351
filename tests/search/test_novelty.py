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
from sst.generation import novelty_filter, recipe
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
    return novelty_filter.of_training(folder)


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
    wanted = np.quantile(found, np.linspace(0, 1, 101))
    np.testing.assert_allclose(novelty.measure_spacing(vectors, groups, never), wanted, rtol=1e-5)


def test_copies_in_other_packs_make_nothing_seem_usual(rng):
    vectors = 5.0 * rng.standard_normal((30, 4))
    twice = np.concatenate([vectors, vectors + 0.01])
    packs, sounds = np.repeat([0, 1], 30), np.tile(np.arange(30), 2)
    spaced = novelty.measure_spacing(twice, packs, lambda a, b: sounds[a] == sounds[b])
    assert spaced[0] > similarity.SAME_DISTANCE
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


# ------------------------------------------------------------------------------------ the receipt


def test_a_training_sound_is_known_by_name_and_is_no_news(model, training):
    for name, wave in list(tiny_model.waves().items())[::5]:
        (found,) = novelty_filter.nearest(model, training, 0.5 * wave, RATE)
        assert (found.of, found.name) == ("training", name)
        assert found.distance < 0.01 and found.novelty == 0.0


def test_noise_is_news_and_silence_is_near_to_nothing(model, training, rng):
    noise = rng.standard_normal(5000).astype(np.float32)
    (found,) = novelty_filter.nearest(model, training, noise, RATE)
    assert found.novelty > 50.0
    assert novelty_filter.nearest(model, training, np.zeros(5000, np.float32), RATE) == ()


def draw(model):
    return lambda num, seed: recipe.draws(model, num, seed)


def test_what_is_too_near_is_drawn_again_the_same_way_each_time(model, training):
    firsts = [recipe.draws(model, 6, 3)[i] for i in range(6)]
    plain = [novelty_filter.render(model, one, training)[1] for one in firsts]
    least = sorted(map(novelty_filter.how_novel, plain))[3]
    for one, alone in zip(firsts, plain, strict=True):
        wave, found = novelty_filter.render_novel(model, one, training, least, draw(model))
        again, same = novelty_filter.render_novel(model, one, training, least, draw(model))
        np.testing.assert_array_equal(wave, again)
        assert found == same and (found.seed, found.index) == (3, one.index)
        near_enough = novelty_filter.how_novel(alone) >= least
        assert (found.tries == 1, found.latent == one.latent) == (near_enough, near_enough)
        assert novelty_filter.how_novel(found) >= least or found.tries == novelty_filter.TRIES
        np.testing.assert_array_equal(recipe.render(model, found), wave)  # as --from has it


def test_of_many_that_are_too_near_the_most_novel_is_kept(model, training):
    (one,) = recipe.draws(model, 1, 5)
    far = [KnownSounds(c.known.ids, c.known.vectors, c.known.spacing + 100.0) for c in training]
    near = [training[0]._replace(known=far[0])]
    _, found = novelty_filter.render_novel(model, one, near, 50.0, draw(model))
    assert (found.tries, novelty_filter.how_novel(found)) == (novelty_filter.TRIES, 0.0)
    _, best = novelty_filter.render_novel(model, one, training, 100.0, draw(model))
    others = draw(model)(novelty_filter.TRIES - 1, novelty_filter._next_seed(one))
    each = [novelty_filter.render(model, other, training)[1] for other in [one, *others]]
    assert novelty_filter.how_novel(best) == max(map(novelty_filter.how_novel, each))


def test_a_novelty_that_cannot_be_is_refused(training):
    for least in (-1.0, 101.0, float("nan")):
        with pytest.raises(UsageError, match="0 to 100"):
            novelty_filter.check(training, least)
    blind = training[0]._replace(known=training[0].known._replace(spacing=novelty.NO_SPACING))
    for collections in ([], [blind]):
        with pytest.raises(ModelError, match="--library-dir"):
            novelty_filter.check(collections, 10.0)


def test_recipes_keep_what_was_near_and_older_ones_had_nothing(model, training):
    (one,) = recipe.draws(model, 1, 5)
    _, found = novelty_filter.render(model, one, training)
    assert recipe.Recipe(**dataclasses.asdict(found) | {"nearest": found.nearest}) == found
    import json

    stored = json.loads(found.to_json())
    assert stored["nearest"][0].keys() == {"of", "name", "distance", "novelty"}
    assert recipe._parsed(dict(stored)) == found
    older = {name: value for name, value in stored.items() if name not in ("nearest", "tries")}
    assert recipe._parsed(older) == one


# ------------------------------------------------------------------------------------ the sources


def test_an_export_knows_its_training_clips_by_name_some_of_many(monkeypatch):
    taught = small_model.taught()
    features = small_model.clips(12)
    ids = [f"lib/pack{i % 3}/{i}.wav" for i in range(12)]
    cells, attack = features.log_mel.astype(np.float16), features.attack.astype(np.float16)
    split = datasets.Split(ids, [""] * 12, cells, features.n_frames, features.peak_db, attack)
    dataset = datasets.Dataset(
        "sample_library/x", Path(), split, split, [], "", {"split_by": "folder"}
    )
    inputs = export.ExportInputs(small_model.CONFIG, dataset, VAE, Path())
    monkeypatch.setattr(export, "copy_clusters", lambda *args: np.arange(len(args[2])))
    known = export.training_vectors(inputs, taught.params, taught.stats)
    assert known.ids == ids
    vectors = np.asarray(inference.embed_features(taught, split.features(slice(None))))
    np.testing.assert_allclose(known.vectors, vectors, atol=1e-4)
    packs = novelty.number_groups(ids, by_pack=True)
    np.testing.assert_allclose(
        known.spacing, novelty.measure_spacing(vectors, packs, never), atol=1e-4
    )
    monkeypatch.setattr(export, "MAX_TRAIN_VECTORS", 5)
    some = export.training_vectors(inputs, taught.params, taught.stats).ids
    assert len(some) == 5 and sorted(some, key=ids.index) == some


def test_a_library_is_compared_by_timbre_and_named_from_its_folder_on(tmp_path, folder, model):
    from sst.library import session

    library = synth.write_library(tmp_path / "lib", per_kind=2, packs=2, sample_rate=RATE)
    opened = session.open_session(session.load_encoder(folder), [library], "exact")
    collection = novelty_filter.of_library(opened.rows, [library], opened.encoder.audio)
    wave, _ = sf.read(library / "pack1/snare/snare0.wav", dtype="float32")
    (found,) = novelty_filter.nearest(model, [collection], wave, RATE)
    assert (found.of, found.name) == ("library", "lib/pack1/snare/snare0.wav")
    assert found.distance < 1e-3 and found.novelty == 0.0


def test_the_session_object_draws_again_too(folder, tmp_path):
    tool = sst.SoundSampleTool(folder)
    plain = tool.generate(seed=4)
    assert plain.recipe.nearest[0].of == "training" and plain.recipe.tries == 1
    novel = tool.generate(tmp_path / "x.wav", seed=4, min_novelty=99.0)
    assert novelty_filter.how_novel(novel.recipe) >= novelty_filter.how_novel(plain.recipe)
    assert recipe.read(tmp_path / "x.wav") == novel.recipe
    assert export_format.load_known(folder) is not None
    sf.write(tmp_path / "a.wav", synth.tone(440, RATE), RATE)
    with pytest.raises(UsageError, match="variance"):
        tool.generate(audio_files=[tmp_path / "a.wav"], min_novelty=10.0)
    older = sst.SoundSampleTool(tiny_model.export(tmp_path / "older"))
    assert older.generate(seed=4).recipe.nearest == ()
    with pytest.raises(ModelError, match="exported without"):
        older.generate(seed=4, min_novelty=10.0)
