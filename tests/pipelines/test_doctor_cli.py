"""`library doctor` and `library duplicates` as a user meets them."""

import csv
import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import soxr

from pipelines import cli
from tests import synth, tiny_model


@pytest.fixture
def faulty(tmp_path, rng):
    """A library with one of each fault that a file alone can have."""
    lib = synth.write_library(tmp_path / "lib", per_kind=3)
    snare = synth.snare(22_050, rng)
    (lib / "text.mp3").write_text("hello")
    sf.write(lib / "silent.wav", np.zeros(9999), 22_050)
    whole = (lib / "pack0/hat/hat0.wav").read_bytes()
    (lib / "half.wav").write_bytes(whole[: len(whole) // 2])
    (lib / "aac.wav").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(200))
    sf.write(lib / "hot.wav", np.clip(4 * snare, -0.9, 0.9), 22_050)
    sf.write(lib / "shifted.wav", snare + 0.05, 22_050)
    sf.write(lib / "cut.wav", snare[:2000], 22_050)
    sf.write(lib / "flac.wav", snare, 22_050, format="FLAC")
    return lib


EXPECTED = {
    "text.mp3": "broken", "silent.wav": "silent", "half.wav": "truncated", "aac.wav": "unsupported",
    "hot.wav": "clipped", "shifted.wav": "offset", "cut.wav": "cut_off", "flac.wav": "wrong_suffix",
}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model.export(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def sst(capfd, model):
    """Runs a command of `library`: (exit code, stdout, stderr)."""

    def run(action, folder, *more):
        own = [] if action == "duplicates" else ["--model", str(model)]
        command = ["library", action, "--library-dir", str(folder), *own, *map(str, more)]
        return cli.main(command), *capfd.readouterr()

    return run


def state(folder):
    return {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


def test_the_doctor_finds_each_fault_and_changes_nothing(sst, faulty, tmp_path):
    before = state(faulty)
    code, out, err = sst("doctor", faulty, "--format", "json")
    found = {(Path(f["path"]).name, f["fault"]) for f in json.loads(out)}
    assert code == 0 and "35 files examined, 8 with findings" in err
    assert {f for f in found if f[1] not in ("outlier", "mislabelled")} == set(EXPECTED.items())
    assert all(f["advice"] and f["detail"] for f in json.loads(out))
    assert state(faulty) == before
    table = sst("doctor", faulty)[1]
    assert "Clipped (1): Look for" in table and table.index("Broken") < table.index("Clipped")
    listed = list(csv.DictReader(io.StringIO(sst("doctor", faulty, "--format", "csv")[1])))
    assert {(Path(row["path"]).name, row["fault"]) for row in listed} == found
    assert sst("doctor", faulty, "--strict")[0] == 5
    page = tmp_path / "page.html"
    assert sst("doctor", faulty, "--out", page)[0] == 0
    assert page.read_text().count("<audio") == len(listed)
    code, _, err = sst("doctor", faulty, "--out", page)
    assert code == 2 and "--overwrite" in err


def test_duplicates_are_listed_with_the_best_first(sst, tmp_path):
    lib = synth.write_library(tmp_path / "lib", per_kind=2)
    wave, rate = sf.read(lib / "pack0/snare/snare0.wav", dtype="float32")
    sf.write(lib / "low.mp3", 0.3 * wave, rate)
    sf.write(lib / "high.wav", soxr.resample(wave, rate, 48_000), 48_000)
    odd = lib / os.fsdecode(b"\xff & <b>.wav")
    shutil.copyfile(lib / "pack1/kick/kick1.wav", odd)
    (lib / "broken.wav").write_text("x")
    before = state(lib)
    code, out, err = sst("duplicates", lib, "--format", "json")
    rows = json.loads(out)
    groups = [[(Path(r["path"]).name, r["what"]) for r in rows if r["group"] == n] for n in (1, 2)]
    names = sorted(groups, key=len)
    assert names[0] == [("kick1.wav", "best"), (odd.name, "identical")]
    assert names[1] == [("high.wav", "best"), ("snare0.wav", "copy"), ("low.mp3", "copy")]
    assert code == 0 and "22 files: 2 sounds more than once" in err and "1 unreadable" in err
    assert state(lib) == before
    assert sst("duplicates", lib, "--strict")[0] == 5
    table = sst("duplicates", lib)[1]
    assert "best" in table and "\\xff & <b>.wav" in table
    listed = list(csv.DictReader(io.StringIO(sst("duplicates", lib, "--format", "csv")[1])))
    assert len(listed) == 5 and listed[0].keys() == rows[0].keys()
    page = sst("duplicates", lib, "--format", "html")[1]
    assert "%FF &amp; &lt;b&gt;.wav" in page and "<b>" not in page
