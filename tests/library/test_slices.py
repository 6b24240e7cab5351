import errno
import struct

import numpy as np
import pytest
import soundfile as sf

from sst.errors import UsageError
from sst.library import slices
from tests import synth

RATE = 22_050
SLICES = [(0.1, 0.35), (0.5, 0.8), (0.9, 1.2)]


def chunks(path):
    """(name, content) of every chunk of a WAV file, and nothing after the last."""
    body = path.read_bytes()
    assert body[:4] == b"RIFF" and body[8:12] == b"WAVE"
    assert struct.unpack("<I", body[4:8])[0] == len(body) - 8
    found, at = [], 12
    while at < len(body):
        name, length = body[at : at + 4], struct.unpack("<I", body[at + 4 : at + 8])[0]
        found.append((name, body[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    assert at == len(body)
    return found


def markers(path):
    """[(sample, label)] by the definition of the format."""
    content = dict(chunks(path))
    (count,) = struct.unpack("<I", content[b"cue "][:4])
    points = [struct.unpack("<II4sIII", content[b"cue "][4 + 24 * i :][:24]) for i in range(count)]
    assert all(p[1] == p[5] and p[2:5] == (b"data", 0, 0) for p in points)
    labels, at, listed = {}, 4, content[b"LIST"]
    assert listed[:4] == b"adtl" and len(content[b"cue "]) == 4 + 24 * count
    while at < len(listed):
        name, length, number = struct.unpack("<4sII", listed[at : at + 12])
        assert name == b"labl"
        labels[number] = listed[at + 12 : at + 8 + length].rstrip(b"\0").decode()
        at += 8 + length + length % 2
    return [(p[1], labels[p[0]]) for p in points]


def rows(path):
    return [(path, start, end) for start, end in SLICES]


def source(path, subtype=None, channels=2):
    wave = np.stack([synth.sequence([0.1, 0.5, 0.9], RATE, seed=i) for i in range(channels)], 1)
    sf.write(path, wave, RATE, subtype=subtype)
    return path


CASES = [("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "PCM_U8"), ("wav", "PCM_32")]
CASES += [("wav", "FLOAT"), ("wav", "DOUBLE"), ("flac", "PCM_24"), ("aiff", "PCM_16")]


@pytest.mark.parametrize("suffix, subtype", CASES)
def test_slices_and_the_marked_copy_have_the_very_samples(tmp_path, suffix, subtype):
    path = source(tmp_path / f"loop.{suffix}", subtype)
    before = path.read_bytes()
    out = tmp_path / "out"
    out.mkdir()
    report = slices.write(slices.make_plans(rows(path), out))
    names = ["loop_001.wav", "loop_002.wav", "loop_003.wav", "loop_markers.wav"]
    assert [file.name for file in report.files] == names and not report.skipped
    assert sorted(f.name for f in out.iterdir()) == names and path.read_bytes() == before
    dtype = "float64" if subtype in ("FLOAT", "DOUBLE") else "int32"
    whole, _ = sf.read(path, dtype=dtype)
    for file, (start, end) in zip(report.files, SLICES, strict=False):
        part, rate = sf.read(file, dtype=dtype)
        np.testing.assert_array_equal(part, whole[round(start * RATE) : round(end * RATE)])
        assert (rate, sf.info(file).subtype, sf.info(file).format) == (RATE, subtype, "WAV")
    np.testing.assert_array_equal(sf.read(report.files[-1], dtype=dtype)[0], whole)
    expected = [(round(s * RATE), f"loop_{i:03}") for i, (s, _) in enumerate(SLICES, 1)]
    assert markers(report.files[-1]) == expected


@pytest.mark.parametrize("suffix", ["ogg", "mp3"])
def test_slices_of_compressed_files_are_what_their_decoder_gives(tmp_path, suffix):
    path = source(tmp_path / f"loop.{suffix}")
    report = slices.write(slices.make_plans(rows(path), tmp_path))
    whole, _ = sf.read(path, dtype="float32")
    for file, (start, end) in zip(report.files, SLICES, strict=False):
        part, _ = sf.read(file, dtype="float32")
        expected = np.clip(whole[round(start * RATE) : round(end * RATE)], -1, 1)
        np.testing.assert_allclose(part, expected, atol=2**-22)


def test_an_odd_number_of_bytes_keeps_the_chunks_in_place(tmp_path):
    path = tmp_path / "odd.wav"
    sf.write(path, synth.tone(440, RATE, 1.0)[:-1], RATE, subtype="PCM_U8")
    (_, marked) = slices.write(slices.make_plans([(path, 0.1, 0.2)], tmp_path)).files
    assert markers(marked) == [(2205, "odd_001")]
    assert len(dict(chunks(marked))[b"data"]) == RATE - 1


def test_long_slices_are_copied_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(slices, "BLOCK", 1000)
    path = source(tmp_path / "loop.flac")
    report = slices.write(slices.make_plans(rows(path), tmp_path))
    whole, _ = sf.read(path, dtype="int32")
    np.testing.assert_array_equal(sf.read(report.files[-1], dtype="int32")[0], whole)


def test_sources_of_one_name_get_names_of_their_own(tmp_path):
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
    paths = [source(tmp_path / p) for p in ("a/Loop.wav", "b/loop.wav", "c/loop.flac")]
    plan = slices.make_plans([row for path in paths for row in rows(path)], tmp_path, markers=False)
    names = [target.name for one in plan for target in one.targets]
    assert names[::3] == ["Loop_001.wav", "loop-2_001.wav", "loop-3_001.wav"]
    assert len(slices.write(plan).files) == 9


def test_nothing_is_replaced_unless_asked_for(tmp_path):
    path = source(tmp_path / "loop.wav")
    plan = slices.make_plans(rows(path), tmp_path)
    (tmp_path / "loop_003.wav").write_text("mine")
    with pytest.raises(UsageError, match=r"loop_003\.wav exists.*--overwrite"):
        slices.write(plan)
    assert (tmp_path / "loop_003.wav").read_text() == "mine"
    assert not (tmp_path / "loop_001.wav").exists()
    assert len(slices.write(plan, overwrite=True).files) == 4
    assert sf.info(tmp_path / "loop_003.wav").frames == round(0.3 * RATE)


def test_a_source_is_never_the_target(tmp_path):
    """Even with --overwrite: a marked copy beside a file that has its name."""
    path = source(tmp_path / "a_markers.wav")
    other = source(tmp_path / "a.wav")
    before = path.read_bytes()
    plan = slices.make_plans([*rows(other), *rows(path)], tmp_path)
    with pytest.raises(UsageError, match="source"):
        slices.write(plan, overwrite=True)
    assert path.read_bytes() == before


def test_a_bad_source_is_skipped_and_the_others_are_written(tmp_path):
    path = source(tmp_path / "good.wav")
    (tmp_path / "bad.wav").write_text("no sound")
    gone = tmp_path / "gone.wav"
    plan = slices.make_plans(
        [*rows(path), *rows(tmp_path / "bad.wav"), *rows(gone)], tmp_path / "out"
    )
    (tmp_path / "out").mkdir()
    report = slices.write(plan)
    assert len(report.files) == 4
    assert [skipped.name for skipped, _ in report.skipped] == ["bad.wav", "gone.wav"]


def test_a_failed_write_leaves_no_file(tmp_path, monkeypatch):
    path = source(tmp_path / "loop.wav")
    (tmp_path / "out").mkdir()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(slices.os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        slices.write(slices.make_plans(rows(path), tmp_path / "out"))
    assert list((tmp_path / "out").iterdir()) == []
    monkeypatch.undo()
    with pytest.raises(OSError):
        slices.write(slices.make_plans(rows(path), tmp_path / "absent"))


def test_the_same_slices_have_the_same_bytes(tmp_path):
    path = source(tmp_path / "loop.wav", "FLOAT")
    plan = slices.make_plans(rows(path), tmp_path)
    first = [file.read_bytes() for file in slices.write(plan).files]
    assert [file.read_bytes() for file in slices.write(plan, overwrite=True).files] == first
