"""The novelty filter, on a model that knows its training sounds."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from sst import inference
from sst.errors import ModelError, ResourceError, UsageError
from sst.generation import novelty_filter, recipe, rendering, sampling
from sst.library import session
from sst.search import novelty
from sst.search.novelty import KnownSounds
from tests import synth, tiny_model

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


def test_a_library_is_compared_by_timbre_and_named_from_its_folder_on(tmp_path, folder, model):
    library = synth.write_library(tmp_path / "lib", per_kind=2, packs=2, sample_rate=RATE)
    opened = session.open_session(session.load_encoder(folder), [library], "exact")
    collection = novelty_filter.library_sounds(opened.rows, [library], opened.encoder.audio)
    wave, _ = sf.read(library / "pack1/snare/snare0.wav", dtype="float32")
    (found,) = novelty_filter.nearest(model, [collection], wave, RATE)
    assert (found.of, found.name) == ("library", "lib/pack1/snare/snare0.wav")
    assert found.distance < 1e-3 and found.novelty == 0.0


def test_recipes_keep_the_nearest_sounds_and_older_ones_have_none(model, training):
    (one,) = sampling.draw(model, 1, 5)
    _, found = novelty_filter.render(model, one, training)
    assert recipe.Recipe(**dataclasses.asdict(found) | {"nearest": found.nearest}) == found
    stored = json.loads(found.to_json())
    assert stored["nearest"][0].keys() == {"of", "name", "distance", "novelty"}
    assert recipe._from_fields(dict(stored)) == found
    older = {name: value for name, value in stored.items() if name not in ("nearest", "tries")}
    assert recipe._from_fields(older) == one


def test_a_folder_that_cannot_be_made_is_a_sentence(model):
    (one,) = sampling.draw(model, 1, 0)
    target = Path("/proc/none/x.wav")
    with pytest.raises(ResourceError, match="^Cannot write /proc/none/x.wav: "):
        rendering.write(target, np.zeros(10, np.float32), one)
