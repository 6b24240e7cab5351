import numpy as np
import soundfile as sf

from sst.config import SegmentConfig
from sst.library import hits as library_hits
from sst.library import rows as index_rows
from sst.library import scan
from sst.library import session as library_session
from tests import synth
from tests.stub_encoder import AUDIO, ONE_WORKER, CountingEncoder

RATE = 22_050
TIMES = [0.1, 0.6, 1.1, 1.6]


def cutting_encoder(cut):
    plain = CountingEncoder()
    plain.encoder = plain.encoder._replace(segmentation=cut)
    return plain


def test_every_hit_of_a_file_is_a_sound_of_the_library(tmp_path, monkeypatch):
    monkeypatch.setenv("SST_CACHE_DIR", str(tmp_path / "cache"))
    folder = synth.write_library(tmp_path / "sounds", per_kind=1, packs=1)
    bar = synth.sequence(TIMES[:3], RATE, seconds=1.6)
    sf.write(folder / "loop.wav", np.concatenate([bar, bar]), RATE, subtype="FLOAT")
    counting = cutting_encoder(SegmentConfig())
    report, rows = scan.scan_and_read(counting.encoder, [folder], ONE_WORKER)
    assert (report.found, report.sounds) == (4, 3 + 6)
    assert report.embedded == counting.embedded == 3 + 3  # the second bar is the first
    hits = [i for i, path in enumerate(rows.paths) if path.endswith("loop.wav")]
    times = [*TIMES[:3], *(t + 1.6 for t in TIMES[:3])]
    assert np.allclose(rows.onsets[hits], times, atol=0.012)
    assert (rows.ends[hits] > rows.onsets[hits] + 0.05).all()
    assert index_rows.list_partly_used(report.folder) == []
    again = scan.scan(counting.encoder, [folder], ONE_WORKER)
    assert again.reused == 9 and counting.embedded == 6
    whole = scan.scan(CountingEncoder().encoder, [folder], ONE_WORKER)
    assert whole.sounds == 4 and whole.folder != report.folder


def test_what_is_left_out_of_a_file_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("SST_CACHE_DIR", str(tmp_path / "cache"))
    sf.write(tmp_path / "loop.wav", synth.sequence(TIMES, RATE), RATE)
    cut = SegmentConfig(max_segments=2)
    report = scan.scan(cutting_encoder(cut).encoder, [tmp_path], ONE_WORKER)
    assert report.sounds == 2 and not report.skipped
    ((path, detail),) = index_rows.list_partly_used(report.folder)
    assert path.endswith("loop.wav") and "first 2 hits" in detail


def test_a_one_shot_finds_itself_in_a_loop(tmp_path, monkeypatch):
    monkeypatch.setenv("SST_CACHE_DIR", str(tmp_path / "cache"))
    folder = synth.write_library(tmp_path / "sounds", per_kind=2, packs=2)
    target = tmp_path / "target.wav"
    snare = synth.snare(RATE, np.random.default_rng(77))
    sf.write(target, snare, RATE)
    wave = synth.sequence([0.1, 1.0], RATE, seconds=3.0)
    wave[2 * RATE : 2 * RATE + len(snare)] += snare
    sf.write(folder / "loop.wav", wave, RATE)
    session = library_session.open_session(
        cutting_encoder(SegmentConfig()).encoder, [folder], "exact"
    )
    best = library_session.find(session, target)[0]
    assert best.path.endswith("loop.wav") and abs(best.onset_s - 2.0) < 0.005
    assert abs(best.end_s - 2.0 - len(snare) / RATE) < 0.05
    assert session.encoder.audio == AUDIO


def test_a_loop_as_a_whole_does_not_find_its_own_hits(tmp_path, monkeypatch):
    monkeypatch.setenv("SST_CACHE_DIR", str(tmp_path / "cache"))
    folder = synth.write_library(tmp_path / "sounds", per_kind=2, packs=1)
    loop = folder / "loop.wav"
    sf.write(loop, synth.sequence(TIMES, RATE), RATE)
    session = library_session.open_session(
        cutting_encoder(SegmentConfig()).encoder, [folder], "exact", workers=1
    )
    assert sum(path == str(loop) for path in session.rows.paths) == 4
    assert not [hit for hit in library_session.find(session, loop) if hit.path == str(loop)]
    hit = library_session.make_query(session, loop, library_hits.DEFAULT, segment=2)
    near = library_session.find_nearest(session, hit, library_hits.Choice(99))
    own = {round(found.onset_s, 1) for found in near if found.path == str(loop)}
    assert own == {0.1, 1.1, 1.6}
