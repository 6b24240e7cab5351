"""The messages and recipes of `generate` on the real sounds nearest to a new one."""

import json

import numpy as np
import pytest
import soundfile as sf

from pipelines import cli
from sst.generation import recipe
from tests import synth, tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model.export(tmp_path_factory.mktemp("models") / "knowing", with_known=True)


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    return tiny_model.export(tmp_path_factory.mktemp("models") / "older")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def generate(capfd, model):
    """Runs the command in this process: (exit code, stdout, stderr)."""

    def run(*arguments, chosen=None):
        given = ["generate", *map(str, arguments), "--model", str(chosen or model)]
        code = cli.main(given)
        return code, *capfd.readouterr()

    return run


def facts(path):
    stored = json.loads(path.read_text())
    return stored["nearest"], stored["tries"]


def test_the_nearest_training_sound_is_named_on_stderr_and_in_the_recipe(generate, tmp_path):
    code, out, err = generate("--seed", 1, "--out", "a.wav")
    (found,), tries = facts(tmp_path / "a.json")
    assert (code, out, tries) == (0, "a.wav\n", 1)
    share = f"novelty {found['novelty']:.0f} % (0 % = a copy)"
    assert f"  nearest training sound: {found['name']}, {share}\n" in err
    assert found["name"] in tiny_model.waves()


def test_a_training_sound_made_again_is_recognised(generate, tmp_path):
    name, wave = list(tiny_model.waves().items())[3]
    sf.write("kick.wav", wave, 16_000, "FLOAT")
    assert generate("--audio-files", "kick.wav", "--out", "back.wav")[0] == 0
    (found,), _ = facts(tmp_path / "back.json")
    assert found["name"].split("/")[2] == name.split("/")[2] == "kick"
    assert found["novelty"] < 50.0


def test_a_library_has_its_own_line(generate, tmp_path):
    library = synth.write_library(tmp_path / "lib", per_kind=2, packs=2)
    code, out, err = generate("--seed", 1, "--out", "a.wav", "--library-dir", library)
    training, of_library = facts(tmp_path / "a.json")[0]
    assert (code, out) == (0, "a.wav\n")
    assert (training["of"], of_library["of"]) == ("training", "library")
    assert of_library["name"].startswith("lib/pack")  # relative: recipes are given away
    assert f"  nearest in the library: {of_library['name']}, " in err


def test_near_copies_are_drawn_again_reproducibly(generate, tmp_path):
    generate("--seed", 3, "--num", 4, "--out", "plain")
    names = [f"random_seed3_{number:03d}" for number in range(1, 5)]
    before = [facts(tmp_path / "plain" / f"{name}.json")[0][0]["novelty"] for name in names]
    least = round(np.median(before), 1)
    code, _, err = generate("--seed", 3, "--num", 4, "--min-novelty", least, "--out", "far")
    assert (code, "drawn " in err) == (0, True)
    generate("--seed", 3, "--num", 4, "--min-novelty", least, "--out", "again")
    for name, novelty in zip(names, before, strict=True):
        (found,), tries = facts(tmp_path / "far" / f"{name}.json")
        assert (tries == 1) == (novelty >= least)
        assert found["novelty"] >= least or tries == 20
        first, second = ((tmp_path / f / f"{name}.wav").read_bytes() for f in ("far", "again"))
        assert first == second
    assert generate("--from", f"far/{name}.wav", "--out", "back.wav")[0] == 0
    np.testing.assert_array_equal(sf.read("back.wav")[0], sf.read(f"far/{name}.wav")[0])
    assert recipe.read("back.wav").latent == recipe.read(f"far/{name}.wav").latent


def test_variations_are_drawn_again_too_and_the_most_novel_kept(generate, tmp_path, rng):
    sf.write("kick.wav", synth.kick(16_000, rng), 16_000)
    code, _, err = generate(
        "--audio-files", "kick.wav", "--variance", 0.01, "--min-novelty", 100, "--out", "x.wav"
    )  # fmt: skip
    assert (code, facts(tmp_path / "x.json")[1]) == (0, 20)
    assert "drawn 20 times; none was 100 % novel: kept the most novel one" in err


def test_an_older_model_says_that_it_does_not_know(generate, older, tmp_path):
    code, _, err = generate("--seed", 1, "--out", "a.wav", chosen=older)
    assert (code, facts(tmp_path / "a.json")) == (0, ([], 1))
    assert "exported without its training sounds" in err.splitlines()[-1]
    code, _, err = generate("--seed", 1, "--out", "b.wav", "--min-novelty", 5, chosen=older)
    assert code == 4 and "Give --library-dir" in err
    assert not (tmp_path / "b.wav").exists()


@pytest.mark.parametrize(
    "options",
    [
        "--min-novelty 101",
        "--min-novelty -1",
        "--min-novelty nan",
        "--min-novelty 5 --audio-files KICK",
        "--min-novelty 5 --audio-files KICK KICK --interpolate 3 --variance 0.1",
    ],
)
def test_each_mistake_gets_one_sentence(generate, rng, options):
    sf.write("KICK", synth.kick(16_000, rng), 16_000, format="WAV")
    code, out, err = generate(*options.split())
    assert (code, out, "--min-novelty" in err, len(err.splitlines())) == (2, "", True, 1)
