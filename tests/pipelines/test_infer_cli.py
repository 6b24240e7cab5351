"""The commands as a user meets them: what they print, where, and the code they end with."""

import csv
import io
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from pipelines import cli
from pipelines.console import exit_codes, messages
from pipelines.console.progress import Progress
from sst.audio import wav
from sst.audio.recording import read_wave
from sst.audio.wav import read_comment
from sst.generation import recipe, rendering
from tests import synth, tiny_model

PEAK = 10 ** (-1 / 20)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(tiny_model.export(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return synth.write_library(tmp_path_factory.mktemp("sounds") / "lib", per_kind=3, packs=2)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def sst(capfdbinary, model):
    """Runs a command in this process: (exit code, stdout, stderr)."""

    def run(*arguments, with_model=True):
        chosen = ["--model", model] if with_model else []
        code = cli.main([str(a) for a in arguments] + chosen)
        out, err = capfdbinary.readouterr()
        return code, out.decode("utf-8", "surrogateescape"), err.decode()

    return run


def made(out):
    return [read_wave(path).wave[:, 0] for path in out.split()]


# ------------------------------------------------------------------------------------- generate


def test_draws_are_named_after_their_seed_and_repeat_to_the_bit(sst):
    code, out, err = sst("generate", "--num", 2, "--seed", 7)
    assert (code, out.split()) == (0, ["out/random_seed7_001.wav", "out/random_seed7_002.wav"])
    assert "content above 8 kHz is not modelled" in err
    first, second = made(out)
    assert np.abs(first).max() == pytest.approx(PEAK, abs=1e-4)
    assert len(first) != len(second) or np.abs(first - second).max() > 0.01
    sst("generate", "--num", 2, "--seed", 7, "--out", "again.wav")
    again = [Path(f"again_{i:03d}.wav").read_bytes() for i in (1, 2)]
    assert again == [Path(path).read_bytes() for path in out.split()]


def test_draws_of_one_class_are_like_its_sounds_and_named_after_it(sst, tmp_path):
    classifying = tiny_model.export(tmp_path / "classifying", class_names=["kick", "snare", "hat"])
    centres = {}
    for kind in ("kick", "HAT"):
        options = f"--class {kind} --num 6 --seed 3 --model".split()
        code, out, _ = sst("generate", *options, classifying, with_model=False)
        assert code == 0 and Path(out.split()[0]).name == f"{kind}_seed3_001.wav"
        assert json.loads(Path(out.split()[0]).with_suffix(".json").read_text())["class_name"] in (
            "kick",
            "hat",
        )
        spectra = [np.square(np.abs(np.fft.rfft(wave))) for wave in made(out)]
        centres[kind] = np.median([s @ np.linspace(0, 1, len(s)) / s.sum() for s in spectra])
    assert centres["kick"] < 0.5 * centres["HAT"]
    code, _, err = sst("generate", "--class", "gong", "--model", classifying, with_model=False)
    assert code == 2 and "knows no class 'gong': it knows kick, snare, hat." in err


def test_a_random_seed_is_printed_and_gives_the_same_again(sst):
    _, out, err = sst("generate", "--out", "a.wav")
    seed = err.split("--seed ")[1].split()[0]
    sst("generate", "--out", "b.wav", "--seed", seed)
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes()


def test_a_sound_does_not_depend_on_what_it_was_made_together_with(sst):
    sst("generate", "--out", "many.wav", "--num", 3, "--seed", 1)
    sst("generate", "--out", "third.wav", "--from", "many_003.wav")
    assert Path("many_003.wav").read_bytes() == Path("third.wav").read_bytes()


def test_a_mix_holds_its_recipe_and_comes_back_from_it(sst, library):
    files = [library / "pack0/kick/kick0.wav", library / "pack0/snare/snare0.wav"]
    code, out, _ = sst(
        "generate", "--audio-files", *files, "--weights", 1, 2, "--out", "mix.wav",
        "--sample-rate", 44100, "--subtype", "PCM_24", "--variance", 0.2, "--seed", 3,
    )  # fmt: skip
    info = sf.info("mix.wav")
    assert (code, info.samplerate, info.subtype, info.channels) == (0, 44100, "PCM_24", 1)
    inside, beside = (
        json.loads(read_comment("mix.wav")),
        json.loads(Path("mix.json").read_text()),
    )
    assert inside == beside
    assert [(s["name"], s["weight"]) for s in inside["sources"]] == [
        ("kick0.wav", 1.0),
        ("snare0.wav", 2.0),
    ]
    assert (inside["seed"], inside["variance"]) == (3, 0.2)
    os.remove("mix.json")
    sst("generate", "--from", "mix.wav", "--out", "again.wav")
    assert Path("mix.wav").read_bytes() == Path("again.wav").read_bytes()


def test_weights_decide_the_latent(sst, library):
    files = [library / "pack0/kick/kick0.wav", library / "pack0/hat/hat0.wav"]

    def latent(*options):
        code, _, err = sst(
            "generate", "--audio-files", *files, "--out", "x.wav", "--overwrite", *options
        )
        assert code == 0, err
        return np.array(recipe.read("x.wav").latent)

    kick, hat = latent("--weights", 1, 0), latent("--weights", 0, 1)
    np.testing.assert_allclose(latent(), (kick + hat) / 2, atol=1e-5)
    np.testing.assert_allclose(latent("--weights", 2, 6), (kick + 3 * hat) / 4, atol=1e-5)
    away = latent("--weights", 2, -1, "--no-normalize-weights")
    np.testing.assert_allclose(away, 2 * kick - hat, atol=1e-5)
    np.testing.assert_allclose(latent("--weights", 2, -1), 2 * kick - hat, atol=1e-5)
    nothing = latent("--weights", 1, -1, "--no-normalize-weights")
    np.testing.assert_allclose(nothing, kick - hat, atol=1e-5)


def test_an_interpolation_starts_and_ends_at_its_files(sst, library):
    files = [library / "pack0/kick/kick0.wav", library / "pack0/hat/hat0.wav"]
    code, out, _ = sst("generate", "--audio-files", *files, "--interpolate", 3, "--out", "way.wav")
    assert (code, out.split()) == (0, ["way_001.wav", "way_002.wav", "way_003.wav"])
    line = np.array([recipe.read(path).latent for path in out.split()])
    np.testing.assert_allclose(line[1], (line[0] + line[2]) / 2, atol=1e-5)
    sst("generate", "--audio-files", files[1], "--out", "end.wav")
    np.testing.assert_allclose(line[2], recipe.read("end.wav").latent, atol=1e-4)


def test_variations_differ_from_each_other_and_stay_near_their_origin(sst):
    sst("generate", "--out", "a.wav", "--seed", 1)
    code, out, _ = sst(
        "generate", "--from", "a.wav", "--variance", 0.01, "--num", 3, "--seed", 2, "--out", "v.wav"
    )
    origin = np.array(recipe.read("a.wav").latent)
    steps = np.array([recipe.read(path).latent for path in out.split()]) - origin
    assert code == 0
    assert 0.01 < np.abs(steps).max() < 0.6
    assert len({tuple(step) for step in steps}) == 3


def test_silence_stays_silence(sst, monkeypatch):
    from sst import inference

    monkeypatch.setattr(inference, "decode", lambda model, z: np.zeros(800, np.float32))
    code, _, err = sst("generate", "--out", "a.wav")
    assert code == 0
    assert "silent" in err
    assert not sf.read("a.wav")[0].any()


def test_nothing_is_overwritten_unless_asked(sst):
    sst("generate", "--out", "a.wav", "--seed", 1)
    before = Path("a.wav").read_bytes()
    assert sst("generate", "--out", "a.wav", "--seed", 2)[0] == 2
    assert Path("a.wav").read_bytes() == before
    os.remove("a.wav")
    code, _, err = sst("generate", "--out", "a.wav", "--seed", 2)  # its recipe is still there
    assert (code, "a.json exists already; --overwrite" in err) == (2, True)
    assert sst("generate", "--out", "a.wav", "--seed", 2, "--overwrite")[0] == 0
    assert Path("a.wav").read_bytes() != before


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        ("--audio-files k.wav h.wav --weights 1", 2, "2 files but 1 weight"),
        ("--audio-files k.wav h.wav --weights 1 -1", 2, "--no-normalize-weights"),
        ("--audio-files k.wav --weights nan", 2, "finite"),
        ("--weights 1", 2, "needs --audio-files"),
        ("--audio-files k.wav --variance -1", 2, "variance -1.0: give"),
        ("--audio-files k.wav --num 3", 2, "add --variance"),
        ("--audio-files k.wav --interpolate 4", 2, "2 files"),
        ("--audio-files k.wav h.wav --interpolate 1", 2, "at least 2 steps"),
        ("--audio-files absent.wav", 2, "No file absent.wav"),
        ("--audio-files lib", 2, "is a folder"),
        ("--audio-files text.wav", 3, "Cannot use text.wav"),
        ("--audio-files silent.wav", 3, "silent"),
        ("--num 0", 2, "at least 1"),
        ("--seed -5", 2, "seed -5"),
        ("--temperature -1", 2, "temperature"),
        ("--class kick", 2, "it was trained on none"),
        ("--class kick --audio-files k.wav", 2, "--class is for random sounds"),
        ("--subtype MP3", 2, "PCM_16 or PCM_24 or FLOAT"),
        ("--sample-rate 7", 2, "sample-rate 7"),
        ("--out absent/a.wav", 2, "No folder absent"),
        ("--out a.mp3", 2, "written as .wav"),
        ("--out k.wav", 2, "exists already"),
        ("--from k.wav", 3, "no recipe"),
        ("--from absent.wav", 2, "No file"),
        ("--from k.wav --weights 1", 2, "--from"),
        ("--what", 2, "--what"),
        ("--num three", 2, "invalid int"),
    ],
)
def test_each_mistake_in_generate_gets_one_sentence(sst, library, options, code, sentence):
    shutil.copyfile(library / "pack0/kick/kick0.wav", "k.wav")
    shutil.copyfile(library / "pack0/hat/hat0.wav", "h.wav")
    sf.write("silent.wav", np.zeros(4000), 16_000)
    Path("text.wav").write_text("no sound " * 20)
    os.mkdir("lib")
    before = sorted(os.listdir())
    ended, out, err = sst("generate", *options.split())
    assert (ended, out) == (code, "")
    assert sentence in err
    assert len(err.strip().splitlines()) == 1
    assert set(os.listdir()) - set(before) <= {"out"}


def test_a_missing_and_an_unfit_model_end_with_4(sst, tmp_path):
    code, _, err = sst("generate", "--model", "absent", with_model=False)
    assert (code, "No model at absent" in err) == (4, True)
    sst("generate", "--out", "a.wav")
    other = tiny_model.export(tmp_path / "other", seed=1)
    code, _, err = sst("generate", "--from", "a.wav", "--model", other, with_model=False)
    assert (code, "give --model the one it was made with" in err) == (4, True)


def test_an_output_folder_that_cannot_be_written_ends_with_6(sst, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rendering, "write_wave", full)
    code, _, err = sst("generate", "--out", "a.wav")
    assert (code, err) == (6, "Cannot write a.wav: No space left on device.\n")
    assert not os.path.exists("a.wav")


# -------------------------------------------------------------------------------------- similar


def test_similar_lists_the_nearest_without_the_target_and_its_copies(sst, library, tmp_path):
    folder = tmp_path / "lib"
    shutil.copytree(library, folder)
    target = folder / "pack0/kick/kick0.wav"
    shutil.copyfile(target, folder / "pack1/copy.wav")
    code, out, _ = sst("similar", target, "--library-dir", folder, "-k", 5)
    paths = out.split("\n")[:-1]
    assert (code, len(paths)) == (0, 5)
    assert not {str(target), str(folder / "pack1/copy.wav")} & set(paths)
    code, out, _ = sst(
        "similar", target, "--library-dir", folder, "-k", 2, "--include-self", "--keep-duplicates"
    )
    assert set(out.split()) == {str(target), str(folder / "pack1/copy.wav")}


def test_formats_hold_the_same_hits(sst, library):
    target = library / "pack1/snare/snare1.wav"

    def answer(format_):
        code, out, err = sst(
            "similar", target, "--library_dir", library, "--num_similar", 4, "--format", format_
        )
        assert code == 0, err
        return out

    paths = answer("paths").splitlines()
    rows = list(csv.DictReader(io.StringIO(answer("csv"))))
    assert list(rows[0]) == [
        "rank",
        "similarity",
        "distance",
        "band",
        "copies",
        "start_s",
        "end_s",
        "path",
    ]
    listed = json.loads(answer("json"))
    assert [row["path"] for row in rows] == [hit["path"] for hit in listed] == paths
    assert [hit["rank"] for hit in listed] == [1, 2, 3, 4]
    distances = [hit["distance"] for hit in listed]
    assert distances == sorted(distances)
    shares = [hit["similarity"] for hit in listed]
    assert shares == sorted(shares, reverse=True)
    playlist = answer("m3u").splitlines()
    assert playlist[0] == "#EXTM3U"
    assert playlist[2::2] == paths
    table = answer("table").splitlines()
    assert [line.split()[-1] for line in table[1:]] == [
        os.path.relpath(path, library) for path in paths
    ]


def test_engines_agree(sst, library):
    pytest.importorskip("scann")
    target = library / "pack0/hat/hat0.wav"
    answers = [
        sst("similar", target, "--library-dir", library, "--format", "json", "--engine", engine)[1]
        for engine in ("exact", "scann", "auto")
    ]
    assert answers[0] == answers[1] == answers[2]


def test_copies_carry_rank_and_similarity_and_several_targets_get_folders(sst, library):
    targets = [library / "pack0/kick/kick0.wav", library / "pack0/hat/hat0.wav"]
    sst("similar", targets[0], "--library-dir", library, "-k", 2, "--copy-to", "found")
    copies = sorted(os.listdir("found"))
    assert all(re.match(rf"0{rank}_[01]\.\d\d_", name) for rank, name in enumerate(copies[:2], 1))
    assert copies[2] == "sst_results.json"
    hits = json.loads(Path("found/sst_results.json").read_text())
    assert Path(f"found/{copies[0]}").read_bytes() == Path(hits[0]["path"]).read_bytes()
    code, _, err = sst(
        "similar", targets[0], "--library-dir", library, "-k", 2, "--copy-to", "found"
    )
    assert (code, "exists already" in err) == (2, True)
    code, out, _ = sst(
        "similar", *targets, "--library-dir", library, "-k", 2, "--format", "json",
        "--copy-to", "both",
    )  # fmt: skip
    assert sorted(os.listdir("both")) == ["01_kick0", "02_hat0", "sst_results.json"]
    assert [len(answer["hits"]) for answer in json.loads(out)] == [2, 2]


def test_more_than_the_library_holds_is_all_of_it_with_a_message(sst, library):
    code, out, err = sst(
        "similar", library / "pack0/hat/hat0.wav", "--library-dir", library, "-k", 99
    )
    assert (code, len(out.splitlines())) == (0, 17)
    assert "only 17 other sounds" in err


def test_likes_and_interpolations_on_the_command_line(sst, library):
    kick, hat = library / "pack0/kick/kick0.wav", library / "pack0/hat/hat0.wav"
    shutil.copyfile(kick, "odd:2")  # a file whose name ends like a weight
    for likes in ([kick, "--unlike", f"{hat}:0.5"], ["--like", "odd:2", "--unlike", f"{hat}:0.5"]):
        code, out, err = sst("similar", *likes, "--library-dir", library, "-k", 3)
        assert (code, out.count("/kick/")) == (0, 3), err
    way = sst("similar", "--between", kick, hat, "--steps", 4, "--library-dir", library)[1]
    kinds = [path.split("/")[-2] for path in way.splitlines()]
    assert (kinds[0], kinds[-1], len(kinds)) == ("kick", "hat", 4)
    one = sst("similar", kick, "--library-dir", library, "-k", 9, "--per-folder", 1)[1]
    folders = [os.path.dirname(path) for path in one.splitlines()]
    assert len(folders) == len(set(folders)) == 6


def test_hits_of_a_loop_are_searched_one_by_one(sst, library):
    kinds = ("kick", "hat", "snare")
    loop = np.zeros(3 * 22_050, np.float32)
    for place, kind in enumerate(kinds):
        wave = sf.read(library / f"pack0/{kind}/{kind}1.wav", dtype="float32")[0]
        loop[place * 22_050 + 1000 :][: len(wave)] = wave
    sf.write("loop.wav", loop, 22_050)
    options = ("--library-dir", library, "--library-segmentation", "-k", 1, "--format", "json")
    code, out, err = sst("similar", "loop.wav", "--segment", "all", *options)
    answers = json.loads(out)
    assert code == 0, err
    found = [os.path.relpath(answer["hits"][0]["path"], library) for answer in answers]
    assert found == [f"pack0/{kind}/{kind}1.wav" for kind in kinds]
    assert [answer["target"] for answer in answers] == ["loop.wav #1", "loop.wav #2", "loop.wav #3"]
    assert (
        json.loads(sst("similar", "loop.wav", "--segment", 2, *options)[1])[0]["path"]
        == (answers[1]["hits"][0]["path"])
    )
    code, _, err = sst("similar", "loop.wav", "--segment", 4, *options)
    assert (code, err) == (2, "--segment 4: loop.wav has 3 hits.\n")
    code, _, err = sst("similar", "loop.wav", *options)
    assert (code, "loop.wav has 3 hits; --segment N" in err) == (0, True)


def test_a_target_unlike_the_library_gets_the_nearest_with_a_warning(sst, library):
    sf.write("sweep.wav", synth.chirp(200, 9000, 22_050, 2.0), 22_050)
    code, out, err = sst("similar", "sweep.wav", "--library-dir", library, "-k", 2)
    assert (code, len(out.splitlines())) == (0, 2)
    assert err.startswith("Nothing close in this library")


def test_a_target_outside_the_library_is_embedded(sst, library, rng):
    sf.write("kick.wav", synth.kick(22_050, rng), 22_050)
    code, out, _ = sst("similar", "kick.wav", "--library-dir", library, "-k", 3)
    assert (code, out.count("/kick/")) == (0, 3)


def test_names_that_are_no_text_survive_and_are_harmless_on_screen(sst, library, tmp_path):
    folder = os.fsencode(tmp_path / "lib")
    shutil.copytree(os.fsencode(library), folder)
    name = b"evil\x1b[31m\n\xff.wav"
    os.rename(folder + b"/pack0/kick/kick1.wav", os.path.join(folder, name))
    options = ["similar", tmp_path / "lib/pack0/kick/kick0.wav", "--library-dir", tmp_path / "lib"]
    options += ["-k", 17, "--format"]
    assert os.fsencode(sst(*options, "paths")[1]).count(name) == 1
    listed = json.loads(sst(*options, "json")[1])
    assert name in [os.path.basename(os.fsencode(hit["path"])) for hit in listed]
    rows = csv.DictReader(io.StringIO(sst(*options, "csv")[1], newline=""))
    assert name in [os.path.basename(os.fsencode(row["path"])) for row in rows]
    table = sst(*options, "table")[1]
    assert "\x1b" not in table
    assert r"evil\x1b[31m\n\xff.wav" in table
    playlist = sst(*options, "m3u")[1]
    assert "evil%1B%5B31m%0A%FF.wav" in playlist
    code, _, err = sst(*options[:-2], 17, "--copy-to", "found")
    assert code == 0, err
    assert [entry for entry in os.listdir(b"found") if entry.endswith(name)]


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        ("absent.wav --library-dir LIB", 2, "No file absent.wav"),
        ("text.wav --library-dir LIB", 3, "Cannot use text.wav"),
        ("silent.wav --library-dir LIB", 3, "silent"),
        ("LIB --library-dir LIB", 2, "is a folder"),
        ("KICK --library-dir absent", 2, "No folder"),
        ("KICK --library-dir empty", 3, "is empty"),
        ("KICK --library-dir texts", 3, "No audio"),
        ("KICK --library-dir broken", 3, "0 of 1 file"),
        ("KICK --library-dir text.wav", 2, "is a file"),
        ("KICK --library-dir LIB -k 0", 2, "at least 1"),
        ("KICK --library-dir LIB --engine fast", 2, "auto, exact, scann"),
        ("KICK --library-dir LIB --workers 0", 2, "at least 1"),
        ("KICK --library-dir LIB --copy-to absent/found", 2, "found"),
        ("KICK --library-dir LIB --format xml", 2, "xml"),
        ("KICK --library-dir LIB --aspect pitch", 2, "a weight: pitch=0"),
        ("KICK --library-dir LIB --aspect colour=1", 2, "there are timbre, envelope"),
        ("KICK --library-dir LIB --aspect pitch=-1", 2, "0 or more"),
        ("KICK --library-dir LIB --per-folder 0", 2, "at least 1"),
        ("KICK --library-dir LIB --like absent.wav", 2, "No file absent.wav"),
        ("--unlike KICK --library-dir LIB", 2, "Give the target"),
        ("KICK --unlike KICK --library-dir LIB", 2, "cancel each other out"),
        ("KICK KICK --like KICK --library-dir LIB", 2, "one target at most"),
        ("KICK --between KICK KICK --library-dir LIB", 2, "leave out the target"),
        ("KICK --steps 3 --library-dir LIB", 2, "needs --between"),
        ("--between KICK KICK --steps 1 --library-dir LIB", 2, "at least 2"),
        ("KICK --segment 1 --library-dir LIB", 2, "needs --library-segmentation"),
        ("KICK --segment x --library-dir LIB", 2, "give a number or: all"),
        ("KICK --segment 0 --library-dir LIB", 2, "0: give at least 1"),
        ("KICK --sensitivity 1 --library-dir LIB", 2, "need --library-segmentation"),
        ("KICK", 2, "--library-dir"),
        ("--library-dir LIB KICK", 2, "target before --library-dir"),
    ],
)
def test_each_mistake_in_similar_gets_one_sentence(sst, library, options, code, sentence):
    sst("library", "scan", "--library-dir", library)
    sf.write("silent.wav", np.zeros(4000), 16_000)
    for folder in ("empty", "texts", "broken"):
        os.mkdir(folder)
    for path in ("text.wav", "texts/readme.txt", "broken/text.wav"):
        Path(path).write_text("no sound " * 20)
    options = options.replace("KICK", str(library / "pack0/kick/kick0.wav"))
    ended, out, err = sst("similar", *options.replace("LIB", str(library)).split())
    assert (ended, out, sentence in err.splitlines()[-1]) == (code, "", True), err


# ------------------------------------------------------------------------------ embed and library


def test_embed_writes_what_the_library_holds(sst, library, model):
    from sst.library import scan, session
    from sst.search import aspects

    sf.write("far.wav", synth.tone(440, 16_000), 16_000)
    code, _, err = sst("embed", library, "far.wav", "--out", "emb.npz")
    assert (code, "19 sounds" in err) == (0, True)
    with np.load("emb.npz", allow_pickle=False) as data:
        paths, vectors, onsets = data["paths"], data["embeddings"], data["onsets"]
    assert (vectors.dtype, onsets.dtype, vectors.shape) == (
        np.float32,
        np.float32,
        (19, 6 + 64 + aspects.SIZE),
    )
    assert str(paths[0]).endswith("lib/pack0/hat/hat0.wav")
    _, rows = scan.scan_and_read(session.load_encoder(model), [library])
    np.testing.assert_allclose(vectors[:18], rows.vectors, atol=1e-5)
    assert paths.tolist()[:18] == rows.paths
    assert sst("embed", library, "--out", "emb.npz")[0] == 2
    assert sst("embed", "far.wav", "--out", "emb.npz", "--overwrite")[0] == 0


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ("absent --out e.npz", 2),
        ("text.wav --out e.npz", 3),
        ("text.wav --out e.csv", 2),
        ("text.wav --out absent/e.npz", 2),
    ],
)
def test_each_mistake_in_embed_gets_one_sentence(sst, options, code):
    Path("text.wav").write_text("no sound " * 20)
    ended, out, err = sst("embed", *options.split())
    assert (ended, out, len(err.splitlines())) == (code, "", 1)
    assert not [name for name in os.listdir() if "npz" in name]


def test_library_status_says_what_is_there_and_what_has_changed(sst, library, tmp_path):
    folder = tmp_path / "lib"
    shutil.copytree(library, folder)
    code, _, err = sst("library", "status", "--library-dir", folder)
    assert (code, "sst library scan" in err) == (3, True)
    (folder / "bad.wav").write_text("no sound " * 20)
    code, out, err = sst("library", "scan", "--library-dir", folder, "--format", "json")
    facts = json.loads(out)
    assert (facts["files"], facts["sounds"], facts["skipped"]) == (19, 18, {"unreadable": 1})
    assert (facts["engine"], facts["recall of the 10 nearest"]) == ("exact", 1.0)
    assert min(facts["bytes of the index"], facts["bytes of the files"]) > 0
    assert "19 new, 0 changed" in err
    (folder / "pack0/kick/kick0.wav").unlink()
    _, out, _ = sst("library", "status", "--library-dir", folder, "--format", "json")
    assert json.loads(out)["since the last scan"] == {"new": 0, "changed": 0, "gone": 1}
    _, out, _ = sst("library", "status", "--library-dir", folder, "--skipped")
    assert out.split("\t")[0] == "unreadable"
    assert sst("library", "scan", "--library-dir", folder, "--strict")[0] == 5


# --------------------------------------------------------------------------------- how they end


def test_a_bug_is_one_line_and_a_traceback_only_with_debug(monkeypatch, capsys):
    def broken(_):
        raise RuntimeError("first\nsecond")

    assert exit_codes.run_command(broken, []) == 1
    assert capsys.readouterr().err.splitlines() == [
        "This is a bug in SST: RuntimeError: first (--debug shows where)"
    ]
    assert exit_codes.run_command(broken, ["--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), 130), (BrokenPipeError(), 0), (PermissionError(13, "no", "x"), 6)],
)
def test_exits_that_are_no_bugs(error, code, capfd, monkeypatch):
    # Not pytest's own stdout; test_a_closed_pipe_is_no_error has a real pipe.
    monkeypatch.setattr(exit_codes, "_discard_stdout", lambda: None)

    def command(_):
        raise error

    assert exit_codes.run_command(command, []) == code


def test_our_warnings_become_sentences(capsys):
    import warnings

    from sst.search.stored_index import IndexWarning

    def command(_):
        warnings.warn_explicit("the index was damaged", IndexWarning, exit_codes.__file__, 1)
        warnings.warn_explicit("theirs", DeprecationWarning, "/elsewhere/x.py", 1)

    assert exit_codes.run_command(command, []) == 0
    assert capsys.readouterr().err == "Note: the index was damaged.\n"


def work(done, elapsed, message=""):
    """A job of 1,000 files of which some are done, as if `elapsed` seconds had passed."""
    with Progress("Indexing") as progress:
        progress._start -= elapsed
        for number in range(0, done, 5):
            progress(number, 1000, 3)
        if message:
            messages.say(message)


def test_progress_is_a_line_per_tenth_where_lines_cannot_be_rewritten(capsys, monkeypatch):
    work(1001, elapsed=10)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[4].startswith("Indexing 50 %: 500 of 1,000 files, 50 files/s, 0:10 left, 3 skip")


def test_a_slow_job_of_one_file_shows_no_progress(capsys):
    with Progress("Indexing") as progress:
        progress._start -= 10
        progress(1, 1, 1)
    assert capsys.readouterr().err == ""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_a_bar_on_a_terminal_and_messages_stand_above_it(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    work(500, elapsed=10, message="a message")
    text = screen.getvalue()
    shown = r"Indexing  50 % \|.*\| 495/1000 files, [0-9.]+ files/s, 00:10 left, 3 skipped"
    assert re.search(shown, text)
    assert "a message\n" in text and text.count("\n") == 1
    assert text.rsplit("\r", 1)[1] == ""  # the bar is gone


@pytest.mark.parametrize("screen", [Terminal(), io.StringIO()])
def test_a_job_of_less_than_a_second_shows_no_progress(monkeypatch, screen):
    monkeypatch.setattr(sys, "stderr", screen)
    work(1001, elapsed=0)
    assert screen.getvalue().strip() == ""


WATCHED = """
import sys
from pipelines.cli import main
code = main(sys.argv[1:])
heavy = {"tensorflow", "jax", "flax", "librosa", "orbax", "sklearn"}
print(code, sorted(heavy & {name.split(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def cost(*arguments):
    """Exit report, output and CPU seconds of a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *map(str, arguments)], capture_output=True, text=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stderr.splitlines()[-1], done.stdout, seconds


@pytest.mark.parametrize("command", [[], ["generate"], ["similar"], ["library"], ["train"]])
def test_help_is_instant_and_loads_nothing(command):
    report, out, seconds = cost(*command, "--help")
    assert report == "0 []"
    assert "usage" in out
    assert seconds < 0.5


def test_the_help_names_every_depth_that_can_be_written():
    _, out, _ = cost("generate", "--help")
    assert f"{', '.join(wav.SUBTYPES[:-1])} or {wav.SUBTYPES[-1]}" in out


def test_an_indexed_target_is_answered_without_tensorflow_or_the_model(library, model):
    arguments = ["--library-dir", library, "--model", model]
    assert cli.main(["library", "scan", *map(str, arguments)]) == 0
    report, out, seconds = cost("similar", library / "pack0/kick/kick0.wav", *arguments)
    assert report.startswith("0 ")
    assert "tensorflow" not in report
    assert "flax" not in report
    assert len(out.splitlines()) == 10
    assert seconds < 5


def test_generate_never_loads_tensorflow(model):
    report, out, _ = cost("generate", "--out", "a.wav", "--model", model)
    assert report.startswith("0 ")
    assert "tensorflow" not in report
    assert os.path.exists("a.wav")


def test_a_closed_pipe_is_no_error(library, model):
    command = f'{sys.executable} -m pipelines.infer similar "{library}/pack0/kick/kick0.wav"'
    command += f' --library-dir "{library}" --model "{model}" | true; echo ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stdout.strip() == "0"
    assert "Error" not in done.stderr
