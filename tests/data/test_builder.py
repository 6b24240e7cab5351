import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import soxr
import threadpoolctl

from sst import files, locks
from sst.audio.clip import canonical, to_int16
from sst.audio.recording import read_wave
from sst.config import AudioConfig, to_dict
from sst.data import manifest, records
from sst.demo import library
from sst.dsp import features
from sst.errors import ModelError, NothingToDo, ResourceError, UsageError
from tests import synth
from tests.hostile import HANG

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tfds_builders"))

A = AudioConfig()
# TFDS reading its own protocol buffers.
pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")


@pytest.fixture(scope="module")
def module():
    from sample_library import sample_library_dataset_builder

    return sample_library_dataset_builder


@pytest.fixture
def build(module, tmp_path, capsys):
    """Builds a data set; gives its builder and what was said."""

    def run(*dirs, name="lib", data_dir=tmp_path / "data", download=None, **options):
        config = module.SampleLibraryConfig(name=name, sample_dirs=list(map(str, dirs)), **options)
        builder = module.Builder(data_dir=str(data_dir), config=config)
        capsys.readouterr()
        builder.download_and_prepare(**({"download_config": download} if download else {}))
        return builder, capsys.readouterr().err

    return run


def rows_of(builder):
    """id -> (split, record)."""
    return {
        row["id"].decode(): (split, row)
        for split in ("train", "validation")
        for row in builder.as_data_source(split)
    }


def building(lib, data_dir):
    """A program that builds a data set."""
    return (
        "import sys; sys.path.insert(0, 'tfds_builders')\n"
        "from sample_library.sample_library_dataset_builder import Builder, SampleLibraryConfig\n"
        f"config = SampleLibraryConfig(name='lib', sample_dirs=[{str(lib)!r}])\n"
        f"builder = Builder(data_dir={str(data_dir)!r}, config=config)\n"
        "builder.download_and_prepare()\n"
    )


def test_a_library_becomes_records_that_equal_the_query_path(build, tmp_path):
    synth.write_library(tmp_path / "lib", packs=12, per_kind=2)
    sf.write(tmp_path / "lib" / "pack0" / "hat" / "wide.flac", 0.3 * np.ones((9000, 2)), 48_000)
    sf.write(
        tmp_path / "lib/pack0/hat/wide.flac", np.stack([synth.tone(500, 48_000)] * 2, 1), 48_000
    )
    builder, said = build(tmp_path / "lib")
    found = {sample.id: sample for sample in files.find_samples([tmp_path / "lib"])}
    rows = rows_of(builder)
    assert set(rows) == set(found) and len(rows) == 73
    for key, (_, row) in rows.items():
        wave, rate, _ = read_wave(found[key].path)
        clip = canonical(wave, rate, A)
        np.testing.assert_array_equal(row["wave"], to_int16(clip.wave))
        with threadpoolctl.threadpool_limits(1):  # more threads differ in the last bit
            log_mel = features.log_mel(clip.wave, A)
        np.testing.assert_array_equal(row["log_mel"], log_mel.astype(np.float16))
        assert row["label"].decode() == found[key].label
        assert row["path"].decode() == str(found[key].path)
        assert row["sample_rate"] == rate
        got = row["onset_s"], row["duration_s"], row["peak_db"]
        np.testing.assert_allclose(got, (clip.onset_s, clip.duration_s, clip.peak_db), rtol=1e-6)
    assert "split by folder" in said


def test_building_and_reading_do_without_tensorflow(tmp_path):
    lib = synth.write_library(tmp_path / "lib", packs=2, per_kind=1)
    script = building(lib, tmp_path / "data") + (
        "assert len(builder.as_data_source('train')) and 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def test_metadata_says_what_was_done(build, tmp_path):
    synth.write_library(tmp_path / "lib", packs=12, per_kind=1)
    (tmp_path / "lib/pack0/hat/broken.wav").write_text("x")
    builder, _ = build(tmp_path / "lib", sample_rate=16_000, clip_seconds=1.0, train_ratio=0.8)
    metadata = json.loads((Path(builder.data_path) / "metadata.json").read_text())
    assert AudioConfig(**metadata["audio"]) == AudioConfig.at_rate(16_000, 1.0)
    assert metadata["class_names"] == ["hat", "kick", "snare"]
    own = metadata["request"]["fingerprint"]  # another version may divide them otherwise
    assert metadata["fingerprint"].startswith(own)
    assert metadata["fingerprint"].endswith(f"-{builder.VERSION}")
    assert metadata["skipped"] == {"unreadable": 1} and metadata["n_files"] == 37
    assert sum(metadata["n_records"].values()) == 36
    assert metadata["split_by"] == "folder" and metadata["labels"] == "folder"
    assert metadata["sample_dirs"] == [str(tmp_path / "lib")]
    assert builder.info.splits["train"].num_examples == metadata["n_records"]["train"]
    assert len(list(Path(builder.data_path).glob("*.array_record*"))) == 2
    assert not list(Path(builder.data_path).parent.glob("incomplete*"))
    assert not (Path(builder.data_path) / "spool").exists()


def test_found_is_stored_plus_skipped_and_every_reason_is_listed(build, tmp_path, rng):
    lib = synth.write_library(tmp_path / "lib")
    snare = synth.snare(44_100, rng)
    sf.write(lib / "pack0/silent.wav", np.zeros(9999), 44_100)
    sf.write(lib / "pack0/short.wav", snare[:50], 44_100)
    sf.write(lib / "pack0/nan.wav", np.full(9999, np.nan), 44_100, subtype="FLOAT")
    (lib / "pack0/text.mp3").write_text("hello")
    (lib / "pack0/empty.ogg").write_bytes(b"")
    (lib / "pack0/hang.wav").write_bytes(HANG)
    whole = (lib / "pack0/hat/hat0.wav").read_bytes()
    odd = [os.fsdecode(b"\xff\xfe.wav"), 'new\nline, "quoted".wav', "日本語.wav"]
    for name in odd:
        (lib / "pack1" / name).write_bytes(whole)
    (lib / "pack0/cut.wav").write_bytes(whole[: len(whole) // 2])
    builder, said = build(lib, timeout_s=1.0)
    with open(Path(builder.data_path) / "skipped.csv", newline="") as file:
        skipped = {Path(row["path"]).name: row["reason"] for row in csv.DictReader(file)}
    assert skipped == {
        "silent.wav": "silent", "short.wav": "too_short", "nan.wav": "non_finite",
        "text.mp3": "unreadable", "empty.ogg": "empty", "hang.wav": "timeout",
        "cut.wav": "truncated",
    }  # fmt: skip
    rows = rows_of(builder)
    assert len(rows) == 39 and builder.info.metadata["n_files"] == 46
    paths = {files.from_text(row["path"].decode()) for _, row in rows.values()}
    assert {str(lib / "pack1" / name) for name in odd} <= paths
    assert "7 skipped: 1 " in said and "skipped.csv" in said


def test_copies_stand_on_one_side_whatever_their_format(build, tmp_path):
    lib = synth.write_library(tmp_path / "lib", packs=3, per_kind=8)
    for i in range(8):
        wave, rate = sf.read(lib / f"pack0/kick/kick{i}.wav", dtype="int16")
        sf.write(lib / f"pack1/kick/copy{i}.flac", wave, rate)
        sf.write(lib / f"pack2/kick/stereo{i}.aiff", np.stack([wave, wave], 1), rate)
    rows = rows_of(build(lib, train_ratio=0.5)[0])
    for i in range(8):
        names = f"pack0/kick/kick{i}.wav", f"pack1/kick/copy{i}.flac", f"pack2/kick/stereo{i}.aiff"
        assert len({rows[f"lib/{name}"][0] for name in names}) == 1
    assert {split for split, _ in rows.values()} == {"train", "validation"}


def test_copies_with_some_loss_stand_on_one_side(build, tmp_path):
    lib = synth.write_library(tmp_path / "lib", packs=2, per_kind=8)
    (lib / "pack1/copied").mkdir()
    for i in range(8):
        wave, rate = sf.read(lib / f"pack0/snare/snare{i}.wav", dtype="float32")
        sf.write(lib / f"pack1/copied/mp3_{i}.mp3", wave, rate)
        sf.write(lib / f"pack1/copied/low{i}.wav", 0.2 * soxr.resample(wave, rate, 16_000), 16_000)
    rows = rows_of(build(lib, train_ratio=0.5)[0])
    for i in range(8):
        names = f"pack0/snare/snare{i}.wav", f"pack1/copied/mp3_{i}.mp3", f"pack1/copied/low{i}.wav"
        assert len({rows[f"lib/{name}"][0] for name in names}) == 1
    assert {split for split, _ in rows.values()} == {"train", "validation"}


def test_two_builds_are_equal_record_for_record(build, tmp_path):
    lib = synth.write_library(tmp_path / "lib", per_kind=2)
    one, _ = build(lib, data_dir=tmp_path / "a")
    other, _ = build(lib, data_dir=tmp_path / "b")
    for split in ("train", "validation"):
        for mine, theirs in zip(
            one.as_data_source(split), other.as_data_source(split), strict=True
        ):
            assert all(np.array_equal(mine[key], theirs[key]) for key in mine)


@pytest.mark.parametrize(("n", "train", "validation"), [(1, 1, 1), (2, 1, 1), (3, 2, 1)])
def test_one_two_and_three_sounds(build, tmp_path, n, train, validation):
    (tmp_path / "lib").mkdir()
    for i in range(n):
        sf.write(tmp_path / f"lib/{i}.wav", synth.tone(200 * (i + 1), 22_050), 22_050)
    builder, said = build(tmp_path / "lib")
    assert builder.info.splits["train"].num_examples == train
    assert builder.info.splits["validation"].num_examples == validation
    assert ("all of them train and validate" in said) == (n == 1)
    assert builder.info.metadata["class_names"] == []


def test_labels_can_be_left_out(build, tmp_path):
    lib = synth.write_library(tmp_path / "lib", per_kind=1)
    builder, _ = build(lib, labels="none")
    assert {row["label"] for _, row in rows_of(builder).values()} == {b""}


def test_unchanged_is_up_to_date_and_changed_is_refused_until_overwritten(build, module, tmp_path):
    import tensorflow_datasets as tfds

    lib = synth.write_library(tmp_path / "lib", per_kind=1)
    build(lib)
    assert "up to date" in build(lib)[1]
    shutil.copy(lib / "pack0/hat/hat0.wav", lib / "pack0/hat/more.wav")
    os.utime(lib / "pack1/hat/hat0.wav", ns=(0, 0))
    (lib / "pack2/hat/hat0.wav").unlink()
    with pytest.raises(ModelError, match="changed since .*: 1 new, 1 gone, 1 changed.*--overwrite"):
        build(lib)
    overwrite = tfds.download.DownloadConfig(
        download_mode=tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS
    )
    builder, _ = build(lib, download=overwrite)
    assert builder.info.metadata["n_files"] == 9 and "up to date" in build(lib)[1]
    with pytest.raises(ModelError, match=r"train_ratio=0.9, not 0.5"):
        build(lib, train_ratio=0.5)
    with pytest.raises(ModelError, match=r'validation_packs=null, not \["pack1"\]'):
        build(lib, validation_packs=["pack1"])


def test_packs_named_for_validation_are_what_validates(build, tmp_path):
    import tensorflow_datasets as tfds

    lib = synth.write_library(tmp_path / "lib", packs=3, per_kind=1)
    own = build(lib)[0].info.metadata["fingerprint"]
    overwrite = tfds.download.DownloadConfig(
        download_mode=tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS
    )
    builder, _ = build(lib, download=overwrite, validation_packs=["pack1"])
    for i, (split, _) in rows_of(builder).items():
        assert (split == "validation") == ("/pack1/" in i)
    assert builder.info.metadata["fingerprint"] != own  # a run on the other split does not go on
    with pytest.raises(ModelError, match=r'validation_packs=\["pack1"\], not null'):
        build(lib)
    with pytest.raises(ModelError, match="sample_dirs"):
        build(tmp_path / "lib" / "pack0")


def test_a_damaged_data_set_is_not_reused(build, tmp_path):
    lib = synth.write_library(tmp_path / "lib", per_kind=1)
    builder, _ = build(lib)
    (Path(builder.data_path) / "metadata.json").write_text("{")
    with pytest.raises(ModelError, match="damaged"):
        build(lib)


def test_what_a_killed_build_left_is_removed_and_no_two_build_at_once(build, tmp_path):
    lib = synth.write_library(tmp_path / "lib", per_kind=1)
    folder = tmp_path / "data/sample_library/lib"
    (folder / "incomplete.ABC123_1.2.0/spool").mkdir(parents=True)
    words = f"Another build, process {os.getpid()}, is writing"
    with locks.locked(folder / ".lock"), pytest.raises(ResourceError, match=words):
        build(lib)
    build(lib)
    assert os.listdir(folder) == ["1.2.0"]


def test_a_full_disk_is_said_and_leaves_nothing(build, tmp_path, monkeypatch):
    lib = synth.write_library(tmp_path / "lib", per_kind=1)

    def full(record):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(records, "_pack", full)
        with pytest.raises(ResourceError, match="disk .* is full"):
            build(lib)
    assert not (tmp_path / "data/sample_library/lib").exists()
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "estimate_bytes", lambda *_: 10**18)
        with pytest.raises(ResourceError, match=r"Needs about 1000000000.0 GB"):
            build(lib)
    assert "train" in build(lib)[1]


def test_nothing_to_build_is_said_in_one_sentence(build, module, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/a.wav").write_text("x")
    for dirs, error, text in (
        ([tmp_path / "nowhere"], UsageError, "No folder"),
        ([tmp_path / "empty"], NothingToDo, "is empty"),
        ([tmp_path / "broken"], NothingToDo, "0 of 1 files could be read; the first"),
        ([], UsageError, "sample_dirs"),
    ):
        with pytest.raises(error, match=text) as caught:
            build(*dirs)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "data/sample_library/lib").exists()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"sample_dir": "/x"}, "did you mean 'sample_dirs'"),
        ({"train_ratio": 1.5}, "train_ratio"),
        ({"train_ratio": "much"}, "train_ratio"),
        ({"validation_packs": "909"}, "validation_packs: '909' should be a list"),
        ({"labels": "files"}, "labels"),
        ({"sample_rate": 1}, "sample_rate"),
        ({"clip_seconds": 1000}, "clip_seconds"),
        ({"name": "a/b"}, "name"),
        ({"name": ""}, "name"),
    ],
)
def test_a_wrong_configuration_is_refused(module, options, text):
    with pytest.raises(UsageError, match=text):
        module.SampleLibraryConfig(**{"name": "x", "sample_dirs": ["/x"]} | options)


def test_the_demo_builds_whole(module, tmp_path, capsys):
    builder = module.Builder(data_dir=str(tmp_path))
    assert builder.builder_config.name == "demo"
    builder.download_and_prepare()
    metadata = builder.info.metadata
    assert not metadata["skipped"] and metadata["split_by"] == "folder"
    validated = {row["label"].decode() for row in builder.as_data_source("validation")}
    assert validated == set(metadata["class_names"])
    assert to_dict(A) == metadata["audio"]
    assert sum(metadata["n_records"].values()) == 240 and len(metadata["class_names"]) == 12


@pytest.mark.parametrize("other", [{"sample_dirs": ["/x"]}, {"sample_rate": 44_100}])
def test_the_name_of_the_demo_is_taken(module, other):
    with pytest.raises(UsageError, match="Give your library another name"):
        module.Builder(config=module.SampleLibraryConfig(name="demo", **other))


def test_the_demo_is_made_once_and_anew_where_it_is_gone(module, tmp_path, monkeypatch):
    monkeypatch.setenv("SST_CACHE_DIR", str(tmp_path / "cache"))
    first = library.cached(tmp_path / "cache")
    times = {path: path.stat().st_mtime_ns for path in first.rglob("*.wav")}
    assert library.cached(tmp_path / "cache") == first
    assert times == {path: path.stat().st_mtime_ns for path in first.rglob("*.wav")}
    before = files.fingerprint(files.find_samples([first]), mtimes=False)
    shutil.rmtree(first.parent)
    again = files.find_samples([library.cached(tmp_path / "cache")])
    assert files.fingerprint(again, mtimes=False) == before


# ------------------------------------------------------------------- through the real command


def tfds(*arguments, **kwargs):
    command = [sys.executable, "-m", "tensorflow_datasets.scripts.cli.main", "build"]
    return subprocess.run(
        [*command, "tfds_builders/sample_library", *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, check=False, **kwargs,
    )  # fmt: skip


@pytest.mark.slow
def test_the_command_builds_reuses_refuses_and_goes_through_beam(tmp_path, module):
    lib = synth.write_library(tmp_path / "lib", packs=11, per_kind=1)
    config = "--config", json.dumps({"name": "NI", "sample_dirs": [str(lib)]})
    first = tfds(*config, "--data_dir", tmp_path / "a")
    assert first.returncode == 0, first.stderr
    assert "split by folder" in first.stderr
    assert "up to date" in tfds(*config, "--data_dir", tmp_path / "a").stderr
    beam = tfds(
        *config, "--data_dir", tmp_path / "b", "--beam_pipeline_options", "runner=DirectRunner"
    )
    assert beam.returncode == 0, beam.stderr
    readers = []
    for name in ("a", "b"):
        import tensorflow_datasets as reader

        path = tmp_path / name / "sample_library/NI/1.2.0"
        readers.append(reader.builder_from_directory(str(path)))
    for split in ("train", "validation"):
        for one, other in zip(*(r.as_data_source(split) for r in readers), strict=True):
            assert all(np.array_equal(one[key], other[key]) for key in one)
    (lib / "pack0/hat/hat0.wav").unlink()
    changed = tfds(*config, "--data_dir", tmp_path / "a")
    assert changed.returncode == 4 and "--overwrite" in changed.stderr
    assert tfds(*config, "--data_dir", tmp_path / "a", "--overwrite").returncode == 0


@pytest.mark.slow
def test_the_commands_mistakes_have_codes_and_no_traceback(tmp_path):
    (tmp_path / "empty").mkdir()
    for folder, code in ((tmp_path / "nowhere", 2), (tmp_path / "empty", 3)):
        config = json.dumps({"name": "x", "sample_dirs": [str(folder)]})
        run = tfds("--config", config, "--data_dir", tmp_path / "data")
        assert run.returncode == code
        assert "Traceback" not in run.stderr and str(folder) in run.stderr


@pytest.mark.slow
def test_an_interrupt_is_one_line_and_leaves_nothing(tmp_path):
    lib = synth.write_library(tmp_path / "lib", packs=10, per_kind=100)
    config = json.dumps({"name": "x", "sample_dirs": [str(lib)]})
    command = [sys.executable, "-m", "tensorflow_datasets.scripts.cli.main", "build"]
    options = ["tfds_builders/sample_library", "--config", config, "--data_dir", tmp_path / "d"]
    process = subprocess.Popen(
        [*command, *options],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    folder = tmp_path / "d/sample_library/x"
    deadline = time.monotonic() + 120
    while not list(folder.glob("incomplete*/spool/*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped" in said and "Traceback" not in said
    assert not folder.exists()


@pytest.mark.slow
def test_a_killed_command_is_made_good_by_the_next(tmp_path, build):
    lib = synth.write_library(tmp_path / "lib", packs=4, per_kind=100)
    script = building(lib, tmp_path / "data")
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.DEVNULL)
    folder = tmp_path / "data/sample_library/lib"
    deadline = time.monotonic() + 60
    while not list(folder.glob("incomplete*/spool/*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(folder.glob("incomplete*"))
    builder, _ = build(lib)
    assert os.listdir(folder) == ["1.2.0"]
    clean, _ = build(lib, data_dir=tmp_path / "clean")
    for split in ("train", "validation"):
        for one, other in zip(*(b.as_data_source(split) for b in (builder, clean)), strict=True):
            assert all(np.array_equal(one[key], other[key]) for key in one)
