"""The copies in a library: which files are one sound, and which of them is the best."""

import numpy as np
import pytest
import soundfile as sf
import soxr

from sst.audio.clip import to_int16
from sst.errors import NothingToDo
from sst.library import duplicates
from tests import synth

RATE = 44_100


@pytest.fixture
def folder(tmp_path, rng):
    """A snare in five files, and a kick."""
    wave = synth.snare(RATE, rng)
    for name in ("whole.flac", "same.wav"):
        sf.write(tmp_path / name, to_int16(wave), RATE)
    sf.write(tmp_path / "lossy.ogg", soxr.resample(wave, RATE, 48_000), 48_000)
    sf.write(tmp_path / "lossy.mp3", np.stack([wave, wave], axis=1), RATE)
    sf.write(tmp_path / "low.wav", soxr.resample(wave, RATE, 32_000), 32_000)
    sf.write(tmp_path / "kick.wav", synth.kick(RATE, rng), RATE)
    return tmp_path


def test_files_of_which_none_can_be_used_are_a_sentence(tmp_path):
    (tmp_path / "junk.wav").write_text("no sound " * 20)
    with pytest.raises(NothingToDo, match="^0 of 1 file could be used: 1 unreadable.$"):
        duplicates.find_duplicates([tmp_path])


def test_the_best_is_without_loss_before_it_is_of_a_rate_that_no_one_hears(folder):
    (group,) = duplicates.find_duplicates([folder], workers=1).groups
    order = [(copy.path.rsplit("/", 1)[1], copy.what) for copy in group]
    assert order == [
        ("same.wav", "best"),
        ("whole.flac", "identical"),
        ("lossy.ogg", "copy"),
        ("lossy.mp3", "copy"),
        ("low.wav", "copy"),
    ]
    sf.write(folder / "high.wav", soxr.resample(*sf.read(folder / "same.wav"), 96_000), 96_000)
    (group,) = duplicates.find_duplicates([folder], workers=1).groups
    assert group[0].path.endswith("high.wav")


def test_a_library_without_copies_says_so(tmp_path):
    report = duplicates.find_duplicates(
        [synth.write_library(tmp_path / "lib", per_kind=2, packs=1)]
    )
    assert report == duplicates.CopyReport([], 6, {})
