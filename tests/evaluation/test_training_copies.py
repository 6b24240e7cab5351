"""Held-out sounds that are copies of training sounds, by the same rule as everywhere."""

import io

import numpy as np
import pytest
import soundfile as sf
import soxr

from sst.audio.clip import canonical
from sst.dsp import features
from sst.errors import UsageError
from sst.evaluation import material, sounds, training_copies
from tests.made_sounds import AUDIO, made

RATE = AUDIO.sample_rate


def mp3(wave):
    file = io.BytesIO()
    sf.write(file, wave, RATE, format="MP3")
    file.seek(0)
    return sf.read(file, dtype="float32")[0]


def at_another_rate(wave):
    return soxr.resample(soxr.resample(wave, RATE, 44_100), 44_100, RATE)


CHANGES = {
    "exact": lambda wave: wave,
    "a tenth of the level": lambda wave: 0.1 * wave,
    "inverted": lambda wave: -wave,
    "MP3": mp3,
    "another rate": at_another_rate,
    "2 ms cut off the start": lambda wave: wave[round(0.002 * RATE) :],
    "some silence before": lambda wave: np.concatenate([np.zeros(500, np.float32), wave]),
}


def changed(some: sounds.Sounds, change) -> sounds.Sounds:
    """The sounds of files that hold the changed waves."""
    waves = [np.asarray(change(wave), np.float32) for wave in some.waves]
    clips = [canonical(wave, RATE, AUDIO) for wave in waves]
    levelled = [sounds.at_level(clip.wave, clip.peak_db) for clip in clips]
    ids = [name.replace("lib/", "new/").replace(".wav", ".mp3") for name in some.ids]
    computed = features.of_clips(clips, AUDIO)._asdict()
    return some._replace(ids=ids, waves=levelled, **computed)


def joined(a: sounds.Sounds, b: sounds.Sounds) -> sounds.Sounds:
    fields = zip(a._replace(descriptors=[]), b._replace(descriptors=[]), strict=True)
    both = (x + y if isinstance(x, list) else np.concatenate([x, y]) for x, y in fields)
    return sounds.Sounds(*both)._replace(descriptors=None)


@pytest.mark.parametrize("name", CHANGES)
def test_a_copy_is_found_with_its_original_and_other_sounds_stay(name):
    train, other = made(12, seed=0), made(6, seed=1)
    rows = [7, 2]
    held_out = joined(other, changed(train.take(rows), CHANGES[name]))
    assert training_copies.find(held_out, train, AUDIO) == dict(zip([6, 7], rows, strict=True))


def test_silence_is_a_copy_of_equal_silence_only():
    silent = made(3)._replace(waves=[np.zeros(n, np.float32) for n in (400, 500, 600)])
    silent = silent._replace(log_mel=np.full_like(silent.log_mel, AUDIO.floor_db))
    assert training_copies.find(silent.take([0, 2]), silent.take([1, 2]), AUDIO) == {1: 1}


def test_the_report_names_the_first_copies_and_leaves_them_out():
    train, other = made(9, seed=0), made(6, seed=1)
    notes = []
    kept = material._unseen(joined(changed(train, mp3), other), train, AUDIO, notes)
    assert kept.ids == other.ids
    assert notes[0].startswith(
        "9 held-out sounds are copies of training sounds and were left out: "
        "kick/0.mp3 (of kick/0.wav), "
    )
    assert notes[0].endswith(", and 4 more.") and notes[0].count(" (of ") == 5
    notes = []
    material._unseen(joined(train.take([4]), other), train, AUDIO, notes)
    assert notes[0] == (
        "1 held-out sound is a copy of a training sound and was left out: "
        "snare/4.wav (of snare/4.wav)."
    )


def test_nothing_but_copies_is_refused():
    train = made(6)
    with pytest.raises(UsageError, match="--held-out"):
        material._unseen(changed(train, mp3), train, AUDIO, [])
