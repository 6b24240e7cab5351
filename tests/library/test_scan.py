"""The index against a clean scan: whatever happened to the files, both must hold the same."""

import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from sst import locks
from sst.audio import decode_pool
from sst.config import AudioConfig
from sst.errors import NothingToDo, ResourceError, UsageError
from sst.library import rows as index_rows
from sst.library import scan as library_scan
from sst.library.embed_files import Encoder
from sst.search.stored_index import IndexWarning
from sst.types import Skipped
from tests import synth
from tests.stub_encoder import AUDIO, ONE_WORKER, CountingEncoder, assert_same_as_clean, scan

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SST_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path, cache):
    return synth.write_library(tmp_path / "sounds", per_kind=2, packs=2)


def test_what_is_unchanged_is_neither_decoded_nor_encoded(folder, monkeypatch):
    report, rows, embedded = scan(folder)
    assert (report.found, report.embedded, embedded, report.new) == (12, 12, 12, 12)
    assert rows.paths == sorted(str(p) for p in folder.rglob("*.wav"))
    monkeypatch.setattr(library_scan, "embed_files", lambda *_: pytest.fail("a file was opened"))
    again, same, embedded = scan(folder)
    assert (again.found, again.embedded, again.reused, embedded) == (12, 0, 12, 0)
    np.testing.assert_array_equal(rows.vectors, same.vectors)


def test_a_renamed_file_and_folder_cost_nothing(folder, tmp_path, monkeypatch):
    scan(folder)
    (folder / "pack0").rename(folder / "pack9")
    (folder / "pack1/kick/kick0.wav").rename(folder / "pack1/kick/boom.wav")
    with monkeypatch.context() as patch:
        patch.setattr(decode_pool, "decode_many", lambda *_, **__: (path for path in ()))
        report, rows, embedded = scan(folder)
    assert (report.moved, report.embedded, embedded) == (7, 0, 0)
    assert_same_as_clean(folder, rows, tmp_path, monkeypatch)


def test_a_copy_is_decoded_but_not_encoded(folder, tmp_path, monkeypatch):
    scan(folder)
    shutil.copyfile(folder / "pack0/kick/kick0.wav", folder / "pack1/copy.wav")
    report, rows, embedded = scan(folder)
    assert (report.new, report.embedded, embedded) == (1, 0, 0)
    assert_same_as_clean(folder, rows, tmp_path, monkeypatch)


def test_copies_in_one_scan_are_encoded_once(folder):
    for i in range(3):
        shutil.copyfile(folder / "pack0/kick/kick0.wav", folder / f"copy{i}.wav")
    report, rows, embedded = scan(folder)
    assert (report.found, report.embedded, report.reused, embedded) == (15, 12, 3, 12)
    assert len(set(rows.digests)) == 12


def test_an_edited_file_is_encoded_once_even_where_the_size_stays(folder, tmp_path, monkeypatch):
    scan(folder)
    path = folder / "pack0/snare/snare1.wav"
    wave, rate = sf.read(path)
    sf.write(path, wave[::-1], rate)
    report, rows, embedded = scan(folder)
    assert (report.changed, report.embedded, embedded) == (1, 1, 1)
    assert_same_as_clean(folder, rows, tmp_path, monkeypatch)


def test_a_deleted_file_leaves_and_comes_back_without_encoding(folder, tmp_path, monkeypatch):
    scan(folder)
    path = folder / "pack0/hat/hat0.wav"
    content = path.read_bytes()
    path.unlink()
    report, rows, embedded = scan(folder)
    assert (report.removed, report.moved, report.found, embedded) == (1, 0, 11, 0)
    assert str(path) not in rows.paths
    path.write_bytes(content)
    report, rows, embedded = scan(folder)
    assert (report.new, report.found, embedded) == (1, 12, 0)
    assert_same_as_clean(folder, rows, tmp_path, monkeypatch)


def test_two_files_that_swap_names_swap_their_vectors(folder, tmp_path, monkeypatch):
    scan(folder)
    one, other = folder / "pack0/kick/kick0.wav", folder / "pack0/hat/hat0.wav"
    one.rename(folder / "x")
    other.rename(one)
    (folder / "x").rename(other)
    _, rows, embedded = scan(folder)
    assert embedded == 0
    assert_same_as_clean(folder, rows, tmp_path, monkeypatch)


def test_bad_files_are_counted_by_reason_and_not_opened_again(folder, monkeypatch):
    (folder / "text.wav").write_text("not a sound at all, but long enough for a header" * 4)
    (folder / "nothing.wav").write_bytes(b"")
    sf.write(folder / "silent.wav", np.zeros(4000), 22_050)
    report, rows, embedded = scan(folder)
    assert report.skipped == {"unreadable": 1, "empty": 1, "silent": 1}
    assert {
        os.path.basename(path) for path, _, detail in index_rows.list_skipped(report.folder)
    } == {
        "text.wav",
        "nothing.wav",
        "silent.wav",
    }
    monkeypatch.setattr(library_scan, "embed_files", lambda *_: pytest.fail("a file was opened"))
    assert scan(folder)[0].skipped == report.skipped


def test_a_vector_that_is_not_finite_is_left_out(folder):
    broken = Encoder("b" * 12, AUDIO, lambda x: np.where(x.log_mel[:, :1, 0] > -79, np.nan, 1.0))
    report, rows = library_scan.scan_and_read(broken, [folder], ONE_WORKER)
    assert report.skipped["non_finite"] == report.found - len(rows.paths) > 0


def test_other_models_and_settings_have_an_index_of_their_own(folder):
    scan(folder)
    assert scan(folder, CountingEncoder("c" * 12))[2] == 12
    longer = CountingEncoder()
    longer.encoder = longer.encoder._replace(audio=AudioConfig(n_mels=32, clip_seconds=1.0))
    assert scan(folder, longer)[2] == 12
    assert scan(folder)[2] == 0


def test_folders_in_any_order_and_spelling_are_one_library(folder, monkeypatch):
    encoder = CountingEncoder().encoder
    monkeypatch.chdir(folder)
    places = [
        library_scan.index_folder(["pack0", "pack1"], encoder),
        library_scan.index_folder([folder / "pack1", folder / "pack0"], encoder),
        library_scan.index_folder([f"{folder}/pack0/", folder / "pack0/../pack1"], encoder),
    ]
    assert len(set(places)) == 1
    assert library_scan.index_folder(["pack0"], encoder) not in places


def test_nothing_is_written_into_the_library_even_if_it_could_be(folder):
    before = sorted(folder.rglob("*"))
    scan(folder)
    assert sorted(folder.rglob("*")) == before


def test_names_that_are_no_utf8_survive(folder):
    name = os.path.join(os.fsencode(folder), b"k\xffck\n.wav")
    shutil.copyfile(folder / "pack0/kick/kick0.wav", name)
    _, rows, _ = scan(folder)
    assert name in [os.fsencode(path) for path in rows.paths]
    known = index_rows.read_indexed_sounds(
        library_scan.index_folder([folder], CountingEncoder().encoder), os.fsdecode(name)
    )
    assert known
    assert scan(folder)[2] == 0


def test_known_is_the_row_of_an_unchanged_file_only(folder):
    report, rows, _ = scan(folder)
    path = rows.paths[3]
    (known,) = index_rows.read_indexed_sounds(report.folder, path)
    np.testing.assert_array_equal(known.vector, rows.vectors[3])
    assert (known.digest, known.end_s) == (rows.digests[3], pytest.approx(rows.ends[3]))
    os.utime(path, (1, 1))
    assert index_rows.read_indexed_sounds(report.folder, path) == []
    assert index_rows.read_indexed_sounds(report.folder, folder / "absent.wav") == []


def test_empty_folders_and_files_are_told_apart_and_change_nothing(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    for bad, error in [("empty", NothingToDo), ("absent", UsageError)]:
        with pytest.raises(error):
            library_scan.scan(CountingEncoder().encoder, [tmp_path / bad])
    with pytest.raises(UsageError, match="is a file"):
        library_scan.scan(CountingEncoder().encoder, [folder / "pack0/kick/kick0.wav"])


def test_an_unmounted_drive_empties_nothing(folder, tmp_path):
    scan(folder)
    folder.rename(tmp_path / "away")
    folder.mkdir()
    with pytest.raises(NothingToDo):
        scan(folder)
    folder.rmdir()
    (tmp_path / "away").rename(folder)
    assert scan(folder)[2] == 0


def test_progress_counts_to_the_end(folder):
    seen = []
    scan(folder, progress=lambda *state: seen.append(state))
    assert seen[-1] == (12, 12, 0)


def test_a_failure_in_the_middle_keeps_the_batches_before(folder, monkeypatch, tmp_path):
    monkeypatch.setattr("sst.library.embed_files.BATCH_SIZE", 5)
    counting = CountingEncoder()

    def fails_at_the_second(*batch):
        if counting.embedded >= 5:
            raise RuntimeError("out of memory")
        return counting.embed(*batch)

    with pytest.raises(RuntimeError):
        scan(
            folder,
            type(
                "L",
                (),
                {"encoder": counting.encoder._replace(embed=fails_at_the_second), "embedded": 0},
            ),
        )
    report, rows, embedded = scan(folder)
    assert (embedded, report.reused) == (7, 5)
    assert_same_as_clean(folder, rows, tmp_path, monkeypatch)


SLOW_SCAN = """
import sys, time
sys.path.insert(0, {root!r})
from tests import stub_encoder
from sst.library import embed_files, scan
embed_files.BATCH_SIZE = 2
counting = stub_encoder.CountingEncoder()
def slowly(*batch):
    time.sleep({pause})
    return counting.embed(*batch)
options = scan.ScanOptions(lambda *state: print(*state, flush=True), workers=1)
scan.scan(counting.encoder._replace(embed=slowly), [{folder!r}], options)
"""


def start_scan(folder, pause):
    code = textwrap.dedent(SLOW_SCAN).format(root=str(ROOT), folder=str(folder), pause=pause)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_a_killed_scan_is_completed_by_the_next(folder, tmp_path, monkeypatch):
    with start_scan(folder, 0.3) as process:
        process.stdout.readline()
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    report, rows, embedded = scan(folder)
    assert 0 < embedded <= 8
    assert report.embedded == embedded
    assert_same_as_clean(folder, rows, tmp_path, monkeypatch)


def test_two_scans_at_once_take_turns(folder, tmp_path, monkeypatch):
    with start_scan(folder, 0.1) as process:
        process.stdout.readline()
        report, rows, embedded = scan(folder)
        process.communicate()
        assert process.returncode == 0
    assert embedded == 0
    assert_same_as_clean(folder, rows, tmp_path, monkeypatch)


def test_a_library_that_is_in_use_for_too_long_is_said_to_be(folder, monkeypatch):
    encoder = CountingEncoder().encoder
    place = library_scan.index_folder([folder], encoder)
    place.mkdir(parents=True)
    words = f"in use by process {os.getpid()}"
    with locks.locked(place / "scan.lock"), pytest.raises(ResourceError, match=words):
        library_scan.scan(encoder, [folder], library_scan.ScanOptions(wait_s=0.2))
    assert scan(folder)[2] == 12


@pytest.mark.parametrize("fault", ["garbage", "cut", "bits", "vector", "foreign"])
def test_a_damaged_index_is_rebuilt_with_one_sentence(folder, fault, tmp_path, monkeypatch):
    report, _, _ = scan(folder)
    path = report.folder / "index.sqlite"
    content = bytearray(path.read_bytes())
    if fault == "garbage":
        path.write_bytes(b"\x7f" * len(content))
    elif fault == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif fault == "bits":
        content[100:4000] = b"\xff" * 3900
        path.write_bytes(content)
    elif fault == "vector":
        with sqlite3.connect(path) as db:
            db.execute("UPDATE vectors SET vector = zeroblob(length(vector))")
        db.close()
    else:
        path.unlink()
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE other (x)")
        db.close()
    with pytest.warns(IndexWarning, match="built again") as warned:
        _, rows, embedded = scan(folder)
    assert (embedded, len(warned)) == (12, 1)
    assert_same_as_clean(folder, rows, tmp_path, monkeypatch)


def test_a_cache_that_cannot_be_written_names_the_way_out(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SST_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(ResourceError, match="SST_CACHE_DIR"):
        scan(folder)


def test_a_full_disk_loses_nothing_that_was_stored(folder, monkeypatch, tmp_path):
    scan(folder)
    sf.write(folder / "new.wav", synth.tone(440, 22_050), 22_050)
    real = sqlite3.connect

    def full(*args, **options):
        db = real(*args, **options)
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
        return db

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", full)
        for i in range(40):  # fills the pages that are there
            sf.write(folder / f"new{i}.wav", synth.tone(100 + 10 * i, 22_050, 0.1), 22_050)
        with pytest.raises(ResourceError, match="full"):
            scan(folder)
    assert scan(folder)[0].found == 53


def test_readers_beside_a_scan_always_see_whole_batches(folder):
    scan(folder)
    place = library_scan.index_folder([folder], CountingEncoder().encoder)
    stop, failures = threading.Event(), []

    def read():
        while not stop.is_set():
            rows = index_rows.read_rows(place)
            time.sleep(0.02)
            if len(rows.paths) != len(rows.vectors):
                failures.append(rows)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for i in range(3):
        sf.write(folder / f"new{i}.wav", synth.tone(300 + i, 22_050), 22_050)
        scan(folder)
        time.sleep(0.01)
    stop.set()
    for reader in readers:
        reader.join()
    assert not failures


@pytest.mark.parametrize(
    ("error", "again"), [(errno.EIO, True), (errno.EACCES, True), (errno.EINVAL, False)]
)
def test_what_may_have_passed_is_tried_again(folder, monkeypatch, error, again):

    broken = folder / "pack0/kick/kick0.wav"
    whole = decode_pool.decode_many

    def failing(paths, *arguments, **options):
        detail = os.strerror(error).lower()
        for sound in whole(paths, *arguments, **options):
            bad = str(sound.path) == str(broken)
            yield Skipped(sound.path, "unreadable", detail) if bad else sound

    with monkeypatch.context() as patch:
        patch.setattr(decode_pool, "decode_many", failing)
        assert scan(folder)[0].skipped == {"unreadable": 1}
    assert scan(folder)[0].skipped == ({} if again else {"unreadable": 1})
