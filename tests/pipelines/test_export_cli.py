"""`library export` as a user meets it."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from pipelines import cli
from sst.audio.onsets import split
from sst.config import SegmentConfig
from tests import synth, tiny_model

RATE = 22_050


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(tiny_model.export(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture
def library(tmp_path):
    folder = synth.write_library(tmp_path / "lib", per_kind=1, packs=1)
    sf.write(folder / "break.wav", synth.sequence([0.1, 0.5, 0.9], RATE, seed=5), RATE)
    return folder


@pytest.fixture
def export(capfd, model):
    def run(library, out, *options):
        arguments = ["library", "export", "--library-dir", library, "--slices", out, *options]
        code = cli.main([str(a) for a in arguments] + ["--model", model])
        return code, *capfd.readouterr()

    return run


def test_files_of_several_hits_become_slices_and_one_shots_do_not(export, library, tmp_path):
    before = {path: path.read_bytes() for path in library.rglob("*.wav")}
    code, out, err = export(library, tmp_path / "out")
    names = ["break_001.wav", "break_002.wav", "break_003.wav", "break_markers.wav"]
    assert code == 0 and [Path(line).name for line in out.splitlines()] == names
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert "wrote 3 slices and 1 whole file with markers" in err
    assert "3 files of one hit left out" in err
    assert {path: path.read_bytes() for path in library.rglob("*.wav")} == before
    whole, _ = sf.read(library / "break.wav", dtype="float32")
    for line, (start, end) in zip(out.splitlines(), split(whole, RATE, SegmentConfig())):  # noqa: B905
        np.testing.assert_array_equal(sf.read(line, dtype="float32")[0], whole[start:end])
    assert export(library, tmp_path / "out")[0] == 2
    assert export(library, tmp_path / "out", "--overwrite")[0] == 0


def test_sensitivity_and_gap_reach_the_cutting(export, library, tmp_path):
    _, out, _ = export(library, tmp_path / "out", "--min-gap", "0.6")
    assert len(out.splitlines()) == 3  # two slices and the markers


def test_mistakes_get_one_sentence_and_write_nothing(export, library, tmp_path):
    (tmp_path / "file").write_text("")
    for place, words in (
        ("lib/new", "in the library"),
        ("lib", "in the library"),
        ("file", "file"),
    ):
        code, out, err = export(library, tmp_path / place)
        assert (code, out, len(err.splitlines())) == (2, "", 1) and words in err
    (library / "break.wav").unlink()
    code, out, err = export(library, tmp_path / "out")
    assert (code, out) == (3, "") and "more than one hit" in err.splitlines()[-1]
    assert not (tmp_path / "out").exists() and not (library / "new").exists()


def test_a_place_that_cannot_be_written_is_said(export, library):
    code, _, err = export(library, "/proc/slices")
    assert code == 6 and "/proc/slices" in err.splitlines()[-1]


def test_copies_of_hits_inside_a_file_are_slices(library, tmp_path, model, capfd):
    target = next(library.glob("*/snare/*"))
    options = ["--library-segmentation", "--num-similar", "5", "--copy-to", tmp_path / "found"]
    arguments = ["similar", target, "--library-dir", library, *options]
    assert cli.main([str(a) for a in arguments] + ["--model", model]) == 0
    capfd.readouterr()
    copies = sorted((tmp_path / "found").glob("*.wav"))
    slices = [copy for copy in copies if copy.name.endswith("_break.wav")]
    assert len(slices) == 3 and len(copies) == 5
    wave, _ = sf.read(library / "break.wav", dtype="float32")
    hits = [wave[start:end].tobytes() for start, end in split(wave, RATE, SegmentConfig())]
    found = [sf.read(copy, dtype="float32")[0].tobytes() for copy in slices]
    assert sorted(found) == sorted(hits)
    originals = [path.read_bytes() for path in library.glob("*/*/*.wav")]
    assert all(copy.read_bytes() in originals for copy in set(copies) - set(slices))
