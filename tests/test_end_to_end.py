"""The three commands as a user types them, from a folder of sounds to new and similar ones."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from tests import synth

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


class Shell:
    """Runs commands in a folder of their own, with caches and data sets of their own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = os.environ | {
            "SST_CACHE_DIR": str(folder / "cache"),
            "TFDS_DATA_DIR": str(folder / "data"),
            "XLA_FLAGS": "",
        }

    def __call__(self, *command: object) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=400,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")
    synth.write_library(folder / "samples", per_kind=6, packs=4)
    (folder / "samples" / "broken.wav").write_bytes(b"RIFF but no more")
    shell = Shell(folder)
    config = json.dumps({"name": "mine", "sample_dirs": [str(folder / "samples")]})
    tfds = Path(sys.executable).with_name("tfds")
    built = shell(tfds, "build", ROOT / "tfds_builders" / "sample_library", "--config", config)
    assert "1 skipped" in built.stderr
    train = [sys.executable, "-m", "pipelines.train", "--workdir", "run"]
    source = ["--config", ROOT / "experiments" / "smoke.py", "--dataset", "sample_library/mine"]
    shell(*train, *source, "--max-steps", 10)
    resumed = shell(*train)
    assert "resumed at step 10" in resumed.stdout + resumed.stderr
    return shell


def test_a_run_leaves_what_the_readme_promises(trained):
    run = trained.folder / "run"
    for name in ("config.json", "metrics.jsonl", "metrics.csv", "log.txt", "model/params.npz"):
        assert (run / name).is_file(), name
    assert list((run / "plots").glob("*.png")) and list((run / "samples").glob("*.wav"))
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [10, 20, 30]


def test_random_sounds_repeat_with_their_seed(trained):
    infer = [sys.executable, "-m", "pipelines.infer", "generate", "--model", "run", "--seed", 5]
    trained(*infer, "--num", 2, "--out", "new")
    trained(*infer, "--num", 2, "--out", "again")
    for one in sorted((trained.folder / "new").glob("*.wav")):
        wave, rate = sf.read(one)
        assert rate == 22_050 and abs(np.abs(wave).max() - 10 ** (-1 / 20)) < 1e-3
        assert one.read_bytes() == (trained.folder / "again" / one.name).read_bytes()


def test_a_trained_model_tells_kinds_and_names_its_own_sounds(trained):
    infer = [sys.executable, "-m", "pipelines.infer"]
    result = trained(*infer, "classify", "samples", "--model", "run", "--format", "json")
    predictions = json.loads(result.stdout)
    assert {row["path"].split("/")[-2] for row in predictions} == set(synth.KINDS)
    assert np.mean([row["class"] in row["path"].split("/") for row in predictions]) > 0.9
    trained(*infer, "generate", "--model", "run", "--seed", 5, "--out", "one.wav")
    (near,) = json.loads((trained.folder / "one.json").read_text())["nearest"]
    assert (trained.folder / near["name"]).is_file()
    assert 0.0 <= near["novelty"] <= 100.0


def test_a_mix_at_the_sessions_rate_and_depth(trained):
    kick, hat = (f"samples/pack0/{kind}/{kind}0.wav" for kind in ("kick", "hat"))
    sst = Path(sys.executable).with_name("sst")
    mix = [sst, "generate", "--model", "run", "--audio-files", kick, hat, "--weights", 3, 1]
    trained(*mix, "--sample-rate", 48_000, "--subtype", "PCM_24", "--out", "mix.wav")
    info = sf.info(trained.folder / "mix.wav")
    assert (info.samplerate, info.subtype) == (48_000, "PCM_24")
    recipe = json.loads((trained.folder / "mix.json").read_text())
    np.testing.assert_allclose([i["weight"] for i in recipe["sources"]], [3.0, 1.0])


def test_similar_sounds_are_of_the_same_kind(trained):
    similar = [sys.executable, "-m", "pipelines.infer", "similar", "--model", "run"]
    for kind in synth.KINDS:
        target = f"samples/pack1/{kind}/{kind}1.wav"
        found = trained(*similar, target, "--library-dir", "samples", "-k", 5, "--format", "json")
        hits = json.loads(found.stdout)
        paths = [hit["path"] for hit in hits]
        assert not any(path.endswith(target) for path in paths)
        assert sum(f"/{kind}/" in path for path in paths) >= 4
