"""The session object: what people type at a Python prompt."""

import numpy as np
import pytest
import soundfile as sf

import sst
from sst.errors import ModelError, NothingToDo, UsageError
from sst.generation import novelty_filter, recipe
from sst.model import export_format
from tests import synth, tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model.export(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return tiny_model.export(tmp_path_factory.mktemp("models") / "other", seed=5)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return synth.write_library(tmp_path_factory.mktemp("sounds") / "lib", per_kind=2, packs=2)


def test_generate_gives_the_sound_that_it_writes(model, library, tmp_path):
    tool = sst.SoundSampleTool(model)
    files = [library / "pack0/kick/kick0.wav", library / "pack0/snare/snare0.wav"]
    sound = tool.generate(
        tmp_path / "mix.wav", files, weights=[1, 3], variance=0.1, seed=4, subtype="FLOAT"
    )
    stored, rate = sf.read(tmp_path / "mix.wav", dtype="float32")
    assert (sound.sample_rate, sound.path) == (rate, tmp_path / "mix.wav")
    np.testing.assert_array_equal(stored, sound.wave)
    assert recipe.read(sound.path) == sound.recipe
    with pytest.raises(UsageError, match="exists already"):
        tool.generate(tmp_path / "mix.wav")
    again = tool.generate(tmp_path / "mix.wav", files, [1, 3], True, 0.1, 4, overwrite=True)
    np.testing.assert_allclose(again.wave, sound.wave, atol=1e-7)


def test_without_a_seed_every_sound_is_another(model):
    tool = sst.SoundSampleTool(model)
    one, two = tool.generate(), tool.generate()
    assert one.recipe.seed != two.recipe.seed
    assert one.path is None
    np.testing.assert_array_equal(tool.generate(seed=one.recipe.seed).wave, one.wave)


@pytest.mark.parametrize(
    "wrong",
    [
        {"weights": [1.0]},
        {"variance": 0.5},
        {"audio_files": ["KICK"], "weights": [1, 2]},
        {"audio_files": ["KICK"], "variance": -1},
        {"audio_files": ["absent.wav"]},
        {"out_file": "absent/x.wav"},
        {"seed": -1},
    ],
)
def test_what_cannot_be_meant_is_refused(model, library, wrong):
    if wrong.get("audio_files") == ["KICK"]:
        wrong = wrong | {"audio_files": [library / "pack0/kick/kick0.wav"]}
    with pytest.raises(UsageError):
        sst.SoundSampleTool(model).generate(**wrong)


def test_the_nearest_sounds_of_a_library(model, library, tmp_path, rng):
    tool = sst.SoundSampleTool(model, library_dir=library)
    target = library / "pack0/hat/hat0.wav"
    hits = tool.find_similar(target, num_similar=3)
    assert len(hits) == 3
    assert str(target) not in [hit.path for hit in hits]
    assert [hit.distance for hit in hits] == sorted(hit.distance for hit in hits)
    assert all(0 <= hit.similarity <= 100 and hit.end_s > hit.onset_s for hit in hits)
    (itself, *_) = tool.find_similar(target, num_similar=2, include_self=True)
    assert (itself.path, itself.distance, itself.similarity) == (str(target), 0.0, 100.0)
    sf.write(tmp_path / "new.wav", synth.hat(22_050, rng), 22_050)
    assert "hat" in tool.find_similar(tmp_path / "new.wav", 1)[0].path


def test_refresh_updates_the_library(model, tmp_path):
    folder = synth.write_library(tmp_path / "lib", per_kind=1, packs=1)
    tool = sst.SoundSampleTool(model, library_dir=[folder])
    assert len(tool.find_similar(folder / "pack0/kick/kick0.wav", 9)) == 2
    sf.write(folder / "tone.wav", synth.tone(440, 22_050), 22_050)
    assert len(tool.find_similar(folder / "pack0/kick/kick0.wav", 9)) == 2
    tool.refresh()
    assert len(tool.find_similar(folder / "pack0/kick/kick0.wav", 9)) == 3


def test_tools_do_not_disturb_each_other(model, other, library):
    target = library / "pack1/kick/kick1.wav"
    separate = sst.SoundSampleTool(model, library).find_similar(target, 5)
    sound = sst.SoundSampleTool(model).generate(seed=1).wave
    first, second = sst.SoundSampleTool(model, library), sst.SoundSampleTool(other, library)
    theirs = second.find_similar(target, 5)
    assert first.find_similar(target, 5) == separate
    assert [hit.distance for hit in theirs] != [hit.distance for hit in separate]
    second.generate(seed=1)
    np.testing.assert_array_equal(first.generate(seed=1).wave, sound)


def test_a_file_is_predicted_from_any_second_on(tmp_path, rng):
    knowing = tiny_model.export(tmp_path / "knowing", class_names=["kick", "snare", "hat"])
    tool = sst.SoundSampleTool(knowing)
    kick, hat = synth.kick(16_000, rng, 0.3), synth.hat(16_000, rng)
    sf.write(tmp_path / "both.wav", np.concatenate([kick, hat]), 16_000)
    probabilities, name = tool.predict(tmp_path / "both.wav")
    assert name == "kick" == tool.class_names[probabilities.argmax()]
    assert float(probabilities.sum()) == pytest.approx(1.0, rel=1e-5)
    assert tool.predict(tmp_path / "both.wav", offset=0.3).class_name == "hat"
    with pytest.raises(NothingToDo, match="below that, not 5 s"):
        tool.predict(tmp_path / "both.wav", 5.0)
    with pytest.raises(UsageError, match="offset of -1"):
        tool.predict(tmp_path / "both.wav", -1.0)


def test_what_is_missing_is_said(model, tmp_path):
    tool = sst.SoundSampleTool(model)
    assert tool.class_names == []
    with pytest.raises(ModelError, match="no classes"):  # the mistake that no other file mends
        tool.predict(tmp_path / "x.wav")
    with pytest.raises(UsageError, match="library_dir"):
        tool.find_similar(tmp_path / "x.wav")
    with pytest.raises(ModelError, match="No model"):
        sst.SoundSampleTool(tmp_path)
    with pytest.raises(NothingToDo):
        sst.SoundSampleTool(model, tmp_path).find_similar(tmp_path / "x.wav")


def test_sounds_too_near_to_training_sounds_are_drawn_again(model, tmp_path):
    folder = tiny_model.export(tmp_path / "knowing", with_known=True)
    tool = sst.SoundSampleTool(folder)
    plain = tool.generate(seed=4)
    assert plain.recipe.nearest[0].of == "training" and plain.recipe.tries == 1
    novel = tool.generate(tmp_path / "x.wav", seed=4, min_novelty=99.0)
    assert novelty_filter.novelty_of(novel.recipe) >= novelty_filter.novelty_of(plain.recipe)
    assert recipe.read(tmp_path / "x.wav") == novel.recipe
    assert export_format.load_known(folder) is not None
    sf.write(tmp_path / "a.wav", synth.tone(440, 16_000), 16_000)
    with pytest.raises(UsageError, match="variance"):
        tool.generate(audio_files=[tmp_path / "a.wav"], min_novelty=10.0)
    older = sst.SoundSampleTool(model)
    assert older.generate(seed=4).recipe.nearest == ()
    with pytest.raises(ModelError, match="exported without"):
        older.generate(seed=4, min_novelty=10.0)
