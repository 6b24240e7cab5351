"""The likeliest mistakes with each command, typed in a shell: one sentence and the right code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from tests import synth

ROOT = Path(__file__).parents[2]
TFDS = [str(Path(sys.executable).with_name("tfds")), "build"]
BUILDER = str(ROOT / "tfds_builders" / "sample_library")
TRAIN = [sys.executable, "-m", "pipelines.train"]
GENERATE = [sys.executable, "-m", "pipelines.infer", "generate"]
SIMILAR = [sys.executable, "-m", "pipelines.infer", "similar"]
TINY = ["--config", str(ROOT / "experiments" / "tiny.py")]
WORK = ["--workdir", "run"]
pytestmark = pytest.mark.slow


def build(name: str = "x", **options: object) -> list[str]:
    return [*TFDS, BUILDER, "--config", json.dumps({"name": name, **options})]


MISTAKES = {
    "build: no such folder": (build(sample_dirs=["nowhere"]), 2, "nowhere"),
    "build: empty folder": (build(sample_dirs=["empty"]), 3, "is empty"),
    "build: no audio in it": (build(sample_dirs=["texts"]), 3, "No audio in"),
    "build: a misspelt option": (
        build(sample_dirs=["samples"], sampel_rate=8000),
        2,
        "sample_rate",
    ),
    "build: nothing readable": (build(sample_dirs=["broken"]), 3, "0 of 1 file"),
    "train: no data set": (
        [*TRAIN, *TINY, *WORK, "--dataset", "sample_library/x"],
        3,
        "tfds build",
    ),
    "train: a misspelt field": ([*TRAIN, *TINY, *WORK, "--config.optm.lr", "1"], 2, "did you mean"),
    "train: not a number": ([*TRAIN, *TINY, *WORK, "--config.seed", "many"], 2, "whole number"),
    "train: no such experiment": ([*TRAIN, *WORK, "--config", "no.py"], 2, "no.py"),
    "train: nothing to resume": ([*TRAIN, *WORK], 2, "--config"),
    "generate: no such model": ([*GENERATE, "--model", "nobody"], 4, "model_test"),
    "generate: no such file": ([*GENERATE, "--audio-files", "no.wav"], 2, "no.wav"),
    "generate: too few weights": (
        [*GENERATE, "--audio-files", "kick.wav", "kick.wav", "--weights", "1"],
        2,
        "2 files but 1 weight",
    ),
    "generate: the file exists": ([*GENERATE, "--out", "kick.wav"], 2, "--overwrite"),
    "generate: negative variance": (
        [*GENERATE, "--audio-files", "kick.wav", "--variance", "-1"],
        2,
        "variance",
    ),
    "similar: no library": ([*SIMILAR, "kick.wav", "--library-dir", "nowhere"], 2, "nowhere"),
    "similar: library without audio": (
        [*SIMILAR, "kick.wav", "--library-dir", "texts"],
        3,
        "No aud",
    ),
    "similar: target is silent": (
        [*SIMILAR, "silent.wav", "--library-dir", "samples"],
        3,
        "silent",
    ),
    "similar: target is no audio": (
        [*SIMILAR, "text.wav", "--library-dir", "samples"],
        3,
        "text.wav",
    ),
    "similar: no such target": ([*SIMILAR, "no.wav", "--library-dir", "samples"], 2, "no.wav"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    synth.write_library(folder / "samples", per_kind=1, packs=1)
    for name in ("empty", "texts", "broken"):
        (folder / name).mkdir()
    (folder / "texts" / "a.txt").write_text("no sound")
    for name in ("broken/b.wav", "text.wav"):
        (folder / name).write_text("this is not audio")
    sf.write(folder / "kick.wav", synth.kick(22_050, np.random.default_rng(0)), 22_050)
    sf.write(folder / "silent.wav", np.zeros(5000), 22_050)
    return folder


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_a_sentence_and_a_code(mistake, place):
    command, code, words = MISTAKES[mistake]
    before = sorted(place.rglob("*"))
    elsewhere = str(place.parent / "elsewhere")
    places = {"SST_CACHE_DIR": elsewhere, "TFDS_DATA_DIR": elsewhere}
    done = subprocess.run(
        command,
        cwd=place,
        env=os.environ | places | {"XLA_FLAGS": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr[-2000:]
    last = done.stderr.strip().splitlines()[-1]
    assert words in last, done.stderr[-2000:]
    assert sorted(place.rglob("*")) == before  # and nothing is left behind
