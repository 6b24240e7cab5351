import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sst.data import dataset as datasets
from sst.errors import ModelError, NothingToDo, UsageError
from tests import small_dataset
from tests.small_dataset import AUDIO, records

NAME = "sample_library/tiny"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    small_dataset.write(root, "tiny", 20, 7)
    return root


@pytest.fixture(scope="module")
def dataset(data_dir):
    return datasets.load(NAME, AUDIO, data_dir)


def test_every_record_arrives_as_it_was_written(dataset):
    for split, n, seed in ((dataset.train, 20, 0), (dataset.validation, 7, 1)):
        made = {record["id"]: record for record in records(n, AUDIO, seed)}
        assert sorted(split.ids) == sorted(made) and split.size == n
        for row, name in enumerate(split.ids):
            record, frames = made[name], int(split.n_frames[row])
            assert frames == len(record["log_mel"])
            np.testing.assert_array_equal(split.log_mel[row, :frames], record["log_mel"])
            assert (split.log_mel[row, frames:] == AUDIO.floor_db).all()
            assert split.peak_db[row] == np.float32(record["peak_db"])
            assert split.labels[row] == record["label"]
    assert dataset.train.log_mel.dtype == np.float16
    assert dataset.train.log_mel.shape == (20, AUDIO.n_frames, AUDIO.n_mels)
    assert dataset.class_names == ["kick", "snare", "hat"]
    assert dataset.fingerprint == "f-tiny-20"


def test_waves_can_be_read_back(dataset):
    made = {record["id"]: record for record in records(7, AUDIO, 1)}
    waves = datasets.read_waves(dataset, "validation", [0, 5])
    for wave, row in zip(waves, (0, 5), strict=True):
        wanted = made[dataset.validation.ids[row]]["wave"]
        np.testing.assert_array_equal(np.round(wave * 32767), wanted)


def test_tensorflow_is_not_imported(data_dir):
    code = (
        "import sys; from sst.data import dataset; from tests.small_dataset import AUDIO; "
        f"dataset.load({NAME!r}, AUDIO, {str(data_dir)!r}); assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_place_of_the_datasets(monkeypatch, tmp_path):
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    assert str(datasets.data_root()).endswith("/tensorflow_datasets")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert datasets.data_root() == tmp_path
    assert datasets.data_root(tmp_path / "other") == tmp_path / "other"


def test_a_missing_dataset_names_those_that_are_there_and_the_command(data_dir, tmp_path):
    with pytest.raises(NothingToDo, match=r"There: sample_library/tiny\. .* tfds build .*\"nope\""):
        datasets.load("sample_library/nope", AUDIO, data_dir)
    with pytest.raises(NothingToDo, match="No dataset .* in .*empty. Build it: tfds build"):
        datasets.load(NAME, AUDIO, tmp_path / "empty")


@pytest.mark.parametrize("name", ["tiny", "other/tiny", "sample_library/", "sample_library/../x"])
def test_a_name_of_another_form_is_refused(name, data_dir):
    with pytest.raises(UsageError, match="expected sample_library/NAME"):
        datasets.load(name, AUDIO, data_dir)


def test_another_audio_configuration_is_refused_with_the_command(data_dir):
    audio = dataclasses.replace(AUDIO, hop=64, sample_rate=11_025)
    with pytest.raises(ModelError) as caught:
        datasets.load(NAME, audio, data_dir)
    text = str(caught.value)
    assert "hop: dataset 128, configuration 64" in text
    assert "sample_rate: dataset 8000, configuration 11025" in text
    assert "n_mels" not in text
    config = json.loads(text.split("--config '")[1].removesuffix("'"))
    assert config["hop"] == 64 and config["sample_rate"] == 11_025
    assert config["sample_dirs"] == ["/lib"]


def test_the_newest_version_is_taken(tmp_path):
    for version in ("1.0.0", "1.10.0", "1.9.0"):
        folder = tmp_path / "sample_library" / "x" / version
        folder.mkdir(parents=True)
        (folder / "dataset_info.json").write_text("{}")
    assert datasets.find("sample_library/x", tmp_path).name == "1.10.0"
    assert datasets.find("sample_library/x/1.9.0", tmp_path).name == "1.9.0"


def test_an_empty_validation_split_is_a_sentence(tmp_path):
    small_dataset.write(tmp_path, "lonely", 5, 0)
    with pytest.raises(NothingToDo, match="no validation records"):
        datasets.load("sample_library/lonely", AUDIO, tmp_path)


def test_another_file_format_is_a_sentence(tmp_path, data_dir):
    path = small_dataset.write(tmp_path, "old", 5, 2)
    info = json.loads((path / "dataset_info.json").read_text())
    (path / "dataset_info.json").write_text(json.dumps(info | {"fileFormat": "tfrecord"}))
    with pytest.raises(ModelError, match="file format tfrecord, but training reads array_record"):
        datasets.load("sample_library/old", AUDIO, tmp_path)


def test_damaged_data_is_a_sentence(tmp_path):
    path = small_dataset.write(tmp_path, "bad", 30, 3)
    shard = next(path.glob("*train*"))
    whole = shard.read_bytes()
    middle = len(whole) // 3
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for damage in (whole[: len(whole) // 2], b"", flipped):
        shard.write_bytes(damage)
        with pytest.raises(ModelError, match="damaged"):
            datasets.load("sample_library/bad", AUDIO, tmp_path)
    for text in ("", "[]", "{}", "{"):
        (path / "metadata.json").write_text(text)
        with pytest.raises(ModelError, match="metadata.json is damaged"):
            datasets.load("sample_library/bad", AUDIO, tmp_path)
    (path / "metadata.json").unlink()
    with pytest.raises(ModelError, match="no metadata.json"):
        datasets.load("sample_library/bad", AUDIO, tmp_path)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 5), st.integers(0, 40), st.integers(1, 50), st.integers(1, 70), st.integers(1, 9)
)
def test_batches_in_a_row_are_permutations(seed, first, n, batch, count):
    rows = [datasets.batch_rows(seed, first + i, n, batch) for i in range(count)]
    assert all(len(r) == batch and r.dtype == np.int32 for r in rows)
    stream = np.concatenate(rows)
    start = -(first * batch) % n  # of the first whole epoch in the stream
    for begin in range(start, len(stream) - n + 1, n):
        assert sorted(stream[begin : begin + n]) == list(range(n))
    assert stream.min() >= 0 and stream.max() < n
    # A pure function: asking again, in another order, gives the same.
    np.testing.assert_array_equal(rows[-1], datasets.batch_rows(seed, first + count - 1, n, batch))


def test_epochs_and_seeds_differ():
    first, second = (datasets.batch_rows(0, step, 100, 100) for step in (0, 1))
    assert (first != second).any()
    assert (first != datasets.batch_rows(1, 0, 100, 100)).any()
