"""`library`, and what every command does with odd libraries and targets, as a user meets it."""

import json
import shutil
import sqlite3
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from pipelines import cli
from tests import synth, tiny_model

RATE = 22_050


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(tiny_model.export(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture
def sst(capfd, model, tmp_path, monkeypatch):
    """Runs a command in an empty folder, with a cache of its own: (code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SST_CACHE_DIR", str(tmp_path.parent / f"{tmp_path.name}-cache"))

    def run(*arguments):
        code = cli.main([*map(str, arguments), "--model", model])
        return code, *capfd.readouterr()

    return run


@pytest.fixture
def lib(tmp_path):
    """Fifty short sounds, ten to a folder."""
    for i in range(50):
        place = tmp_path / f"lib/pack{i // 10}"
        place.mkdir(parents=True, exist_ok=True)
        wave = np.random.default_rng(i).standard_normal(900) * np.linspace(1, 0, 900)
        sf.write(place / f"{i:02d}.wav", 0.2 * wave, RATE)
    return Path("lib")


def paths_found(out):
    return set(out.splitlines())


def test_missing_files_are_said_left_out_and_pruned_when_told(sst, lib, tmp_path):
    assert sst("library", "scan", "--library-dir", lib)[0] == 0
    for pack in ("pack0", "pack1", "pack2"):
        (lib / pack).rename(tmp_path / pack)
    for command in (("library", "scan"), ("similar", lib / "pack4/40.wav", "-k", 50)):
        code, _, err = sst(*command, "--library-dir", lib)
        assert code == 3
        assert err.splitlines()[-1] == (
            "30 of the 50 known files (60%) are missing: is the drive mounted? Nothing was removed."
            " If they are deleted for good: sst library scan --prune."
        )
    (tmp_path / "pack0").rename(lib / "pack0")
    for i in range(5):
        shutil.copyfile(lib / f"pack3/3{i}.wav", lib / f"pack3/more{i}.wav")
        (lib / f"pack4/4{i}.wav").unlink()
    code, out, err = sst("similar", lib / "pack3/39.wav", "-k", 50, "--library-dir", lib)
    assert code == 0
    assert "25 files (45%) are missing and left out. Nothing was removed." in err
    assert all(Path(path).exists() for path in paths_found(out))
    code, out, err = sst("library", "status", "--library-dir", lib, "--format", "json")
    facts = json.loads(out)
    assert (facts["files"], facts["missing"], facts["since the last scan"]["gone"]) == (30, 25, 25)
    code, out, err = sst("library", "scan", "--prune", "--library-dir", lib, "--format", "json")
    assert (code, json.loads(out)["missing"], "25 gone" in err) == (0, 0, True)
    assert "missing" not in sst("library", "scan", "--library-dir", lib)[2]


def test_an_index_of_a_newer_version_ends_with_4_and_is_untouched(sst, lib, tmp_path):
    sst("library", "scan", "--library-dir", lib)
    (index,) = tmp_path.parent.glob(f"{tmp_path.name}-cache/libraries/*/*/index.sqlite")
    with sqlite3.connect(index) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    before = index.read_bytes()
    for command in (("library", "scan"), ("library", "status"), ("similar", lib / "pack0/00.wav")):
        code, out, err = sst(*command, "--library-dir", lib)
        assert (code, out, "newer version" in err.splitlines()[-1]) == (4, "", True)
    assert index.read_bytes() == before


@pytest.mark.parametrize("options", [[], ["--skipped"]])
def test_the_status_of_a_damaged_index_names_the_way_out(sst, lib, tmp_path, options):
    sst("library", "scan", "--library-dir", lib)
    (index,) = tmp_path.parent.glob(f"{tmp_path.name}-cache/libraries/*/*/index.sqlite")
    index.write_bytes(b"\x7f" * 9000)
    code, out, err = sst("library", "status", "--library-dir", lib, *options)
    assert (code, out, "sst library scan builds it again" in err) == (4, "", True)
    code, out, err = sst("library", "scan", "--library-dir", lib)
    assert (code, "built again" in err) == (0, True)


def test_status_is_readable_and_status_and_scan_agree(sst, lib):
    (lib / "bad.wav").write_text("no sound " * 20)
    _, scanned, _ = sst("library", "scan", "--library-dir", lib)
    _, status, _ = sst("library", "status", "--library-dir", lib)
    assert status.startswith(scanned)
    facts = dict(line.split("  ", 1) for line in status.splitlines())
    assert facts["files"].strip() == "51"
    assert facts["skipped"].strip() == "1 unreadable"
    assert facts["recall of the 10 nearest"].strip() == "1.0"
    size = sum(path.stat().st_size for path in lib.rglob("*.wav"))
    assert facts["bytes of the files"].strip() == f"{size:,} ({size / 1e6:.1f} MB)"


@pytest.mark.parametrize(
    ("library", "code", "sentence"),
    [
        ("absent", 2, "No folder"),
        ("empty", 3, "is empty"),
        ("file.wav", 2, "is a file"),
        ("broken", 3, "0 of 1 file"),
    ],
)
@pytest.mark.parametrize("action", ["scan", "status"])
def test_a_library_that_is_none_gets_one_sentence(sst, tmp_path, library, code, sentence, action):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    for name in ("file.wav", "broken/a.wav"):
        (tmp_path / name).write_text("no sound " * 20)
    ended, out, err = sst("library", action, "--library-dir", library)
    if action == "status":
        code, sentence = 3, "no index of this library"
    assert (ended, out) == (code, "")
    assert sentence in err.splitlines()[-1]


def test_odd_targets_get_an_answer_or_one_sentence(sst, lib, tmp_path):
    sf.write("silent.wav", np.zeros(5000), RATE)
    sf.write("short.wav", np.ones(3), RATE)
    Path("text.wav").write_text("no sound " * 20)
    for name, words in [
        ("silent.wav", "silent"),
        ("short.wav", "short"),
        ("text.wav", "text.wav"),
        ("lib", "is a folder"),
    ]:
        code, out, err = sst("similar", name, "--library-dir", lib)
        assert (code, out) == (2 if name == "lib" else 3, "")
        assert words in err.splitlines()[-1]


def test_a_target_of_three_hours_is_embedded_by_its_beginning(sst, lib):
    seconds, rate = 3 * 3600, 8000
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + seconds * rate, b"WAVE", b"fmt ", 16, 1, 1,
                       rate, rate, 1, 8)  # fmt: skip
    beginning = (128 + 90 * synth.kick(rate, np.random.default_rng(0))).astype(np.uint8).tobytes()
    with open("long.wav", "wb") as file:
        file.write(head + struct.pack("<4sI", b"data", seconds * rate) + beginning)
        file.seek(44 + seconds * rate - 1)
        file.write(b"\0")
    code, out, _ = sst("similar", "long.wav", "--library-dir", lib)
    assert code == 0
    assert len(out.splitlines()) == 10
