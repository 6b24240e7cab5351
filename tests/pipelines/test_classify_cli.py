"""`classify` as a user meets it: what it prints, where, and the code it ends with."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from pipelines import cli
from pipelines.commands.classify import Prediction, _table
from sst import inference
from tests import synth, tiny_model

KINDS = ["kick", "snare", "hat"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "knowing"
    return str(tiny_model.export(folder, class_names=KINDS))


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return synth.write_library(tmp_path_factory.mktemp("sounds") / "lib", per_kind=2, packs=1)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def classify(capfd, model):
    """Runs the command in this process: (exit code, stdout, stderr)."""

    def run(*arguments, chosen=None):
        code = cli.main(["classify", *map(str, arguments), "--model", chosen or model])
        return code, *capfd.readouterr()

    return run


def test_every_file_gets_its_kind_in_every_format(classify, library, model):
    code, out, err = classify(library, "--format", "json")
    rows = json.loads(out)
    assert (code, "skipped:" in err, len(rows)) == (0, False, 6)
    assert all(row["class"] == Path(row["path"]).parent.name for row in rows)
    assert all(sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5) for row in rows)
    listed = list(csv.DictReader(io.StringIO(classify(library)[1])))  # in a pipe
    assert [row["class"] for row in listed] == [row["class"] for row in rows]
    assert float(listed[0]["P(hat)"]) == rows[0]["probabilities"]["hat"]
    lines = classify(library, "--format", "table")[1].splitlines()
    assert len(lines) == 6 and lines[0].startswith("hat ") and lines[0].endswith("hat0.wav")
    wave, rate = sf.read(rows[0]["path"], dtype="float32")
    shares = inference.classify(inference.load(model), wave, rate)
    assert rows[0]["probability"] == pytest.approx(float(shares.max()), abs=1e-4)


def test_a_table_names_few_and_only_what_is_worth_it():
    ranked = [("kick", 0.9), ("tom", 0.09), ("rim", 0.006), ("clap", 0.003), ("misc", 0.001)]
    far = Prediction("/elsewhere/x.wav", ranked)
    near = Prediction(str(Path.cwd() / "a.wav"), [("open_hat", 1.0), ("kick", 0.0)])
    assert _table([far, near], ["kick", "open_hat"]).splitlines() == [
        "kick       90.0 %  tom 9 %, rim 1 %  /elsewhere/x.wav",
        "open_hat  100.0 %                    a.wav",
    ]


def test_an_offset_is_where_the_clip_starts(classify, rng):
    both = np.concatenate([synth.kick(16_000, rng, 0.3), synth.hat(16_000, rng)])
    sf.write("both.wav", both, 16_000)
    for offset, kind in ((0, "kick"), (0.3, "hat")):
        code, out, _ = classify("both.wav", "--offset", offset, "--format", "json")
        assert (code, json.loads(out)[0]["class"]) == (0, kind)


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        ("absent.wav", 2, "No file absent.wav"),
        ("text.wav", 3, "Cannot use"),
        ("silent.wav", 3, "it is silent"),
        ("short.wav --offset 3", 3, "it lasts 0.3 s; give an offset below that, not 3 s."),
        ("short.wav --offset -1", 2, "offset of -1 s"),
        ("short.wav --offset nan", 2, "offset of nan s"),
        ("silent.wav text.wav", 3, "None of 2 files"),
    ],
)
def test_each_mistake_gets_one_sentence(classify, rng, options, code, sentence):
    Path("text.wav").write_text("no sound " * 20)
    sf.write("silent.wav", np.zeros(8000), 16_000)
    sf.write("short.wav", synth.snare(16_000, rng), 16_000)
    ended, out, err = classify(*options.split())
    assert (ended, out, sentence in err.splitlines()[-1]) == (code, "", True), err


def test_a_bad_file_is_named_and_stops_nothing(classify, rng):
    Path("text.wav").write_text("no sound " * 20)
    sf.write("good.wav", synth.snare(16_000, rng), 16_000)
    code, out, err = classify("text.wav", "good.wav", "--format", "json")
    assert (code, [row["class"] for row in json.loads(out)]) == (0, ["snare"])
    assert "text.wav" in err.splitlines()[0] and "1 skipped: 1 unreadable" in err
    assert classify("text.wav", "good.wav", "--strict")[0] == 5


def test_a_model_without_classes_says_so(classify, library, tmp_path):
    plain = tiny_model.export(tmp_path / "plain")
    code, out, err = classify(library / "pack0/kick/kick0.wav", chosen=str(plain))
    assert (code, out) == (4, "")
    assert err == (
        "The model tiny has no classes: it was trained on sounds without folder labels.\n"
    )
