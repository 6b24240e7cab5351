"""Nothing that others recorded is in the repository: each binary file is listed with its source."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
AUDIO = {
    ".wav",
    ".wave",
    ".aif",
    ".aiff",
    ".aifc",
    ".flac",
    ".ogg",
    ".oga",
    ".opus",
    ".mp3",
    ".m4a",
}
AUDIO |= {".caf", ".w64", ".rf64", ".au", ".snd", ".raw", ".pcm", ".mid"}
ARRAYS = {".npy", ".npz", ".h5", ".hdf5", ".pkl", ".pickle", ".pt", ".msgpack", ".bin", ".dat"}
TRAINED = "weights and vectors learned from the public-domain sounds of SOURCES.md beside it"
SOURCES = {
    "sst/models/model_test/params.npz": TRAINED,
    "sst/models/model_test/known.npz": TRAINED,
}
MAX_TEXT_LINE = 10_000  # characters: longer ones may hide data


def tracked() -> list[str]:
    """Lists the files of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_audio_file_is_in_the_repository():
    assert not [name for name in tracked() if Path(name).suffix.lower() in AUDIO]


def test_every_binary_file_is_listed_with_its_source():
    binary = {name for name in tracked() if b"\0" in (ROOT / name).read_bytes()}
    arrays = {name for name in tracked() if Path(name).suffix.lower() in ARRAYS}
    assert binary | arrays == set(SOURCES)


def test_no_text_file_holds_data_in_disguise():
    texts = [name for name in tracked() if name not in SOURCES]
    long = {
        name
        for name in texts
        if any(len(line) > MAX_TEXT_LINE for line in (ROOT / name).read_bytes().splitlines())
    }
    assert not long


def test_the_sources_of_the_shipped_model_are_written_down():
    text = (ROOT / "sst/models/model_test/SOURCES.md").read_text()
    manifest = (ROOT / "sst/models/model_test/README.md").read_text()
    assert "SOURCES.md" in manifest
    rows = [line for line in text.splitlines() if line.startswith("| ") and "http" in line]
    assert len(rows) >= 8
    assert all("CC0 1.0" in row or "public domain" in row for row in rows)
