"""An index that never loses anything: drives that are not mounted, kills, races, other versions."""

import itertools
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from sst import files
from sst.audio import decode_pool
from sst.errors import ModelError, NothingToDo
from sst.library import missing, write_rows
from sst.library import rows as index_rows
from sst.library import scan as library_scan
from sst.search.stored_index import IndexWarning
from sst.types import Clip, Sound
from tests.stub_encoder import ONE_WORKER, CountingEncoder, assert_same_as_clean, scan

ROOT = Path(__file__).parents[2]
FILES = 100


def write_noises(folder, n, first=0):
    """n short noises, all different, ten to a folder."""
    for i in range(first, first + n):
        place = folder / f"pack{i // 10:02d}"
        place.mkdir(parents=True, exist_ok=True)
        sf.write(place / f"{i:03d}.wav", 0.5 * np.random.default_rng(i).random(600 + i), 22_050)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SST_CACHE_DIR", str(tmp_path / "cache"))
    write_noises(tmp_path / "sounds", FILES)
    return tmp_path / "sounds"


def packs(folder, start, end):
    return [folder / f"pack{i:02d}" for i in range(start, end)]


# ----------------------------------------------------------------------------------- what is gone


def test_a_few_deleted_files_leave_the_index(folder, tmp_path, monkeypatch):
    scan(folder)
    for pack in packs(folder, 0, 2):
        shutil.rmtree(pack)
    report, rows, embedded = scan(folder)
    assert (report.removed, report.missing, report.found, embedded) == (20, 0, 80, 0)
    assert_same_as_clean(folder, rows, tmp_path, monkeypatch)


def test_many_missing_files_stay_unseen_and_come_back_unopened(folder, tmp_path, monkeypatch):
    complete = scan(folder)[1]
    for pack in packs(folder, 0, 3):
        pack.rename(tmp_path / pack.name)
    for _ in range(2):
        report, rows, embedded = scan(folder)
        assert (report.removed, report.missing, report.found, embedded) == (0, 30, 70, 0)
        assert_same_as_clean(folder, rows, tmp_path, monkeypatch)
        assert library_scan.count_pending(CountingEncoder().encoder, [folder]) == (0, 0, 30)
        monkeypatch.setattr(library_scan, "scan_lock", lambda *_: pytest.fail("nothing is new"))
    monkeypatch.undo()
    monkeypatch.setenv("SST_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(decode_pool, "decode_many", lambda *_, **__: (path for path in ()))
    for pack in packs(tmp_path, 0, 3):
        pack.rename(folder / pack.name)
    report, rows, embedded = scan(folder)
    assert (report.missing, report.new, report.changed, report.embedded) == (0, 0, 0, 0)
    assert rows.paths == complete.paths


def test_prune_takes_missing_files_out(folder, tmp_path, monkeypatch):
    scan(folder)
    for pack in packs(folder, 0, 3):
        shutil.rmtree(pack)
    scan(folder)
    report, rows, _ = scan(folder, prune=True)
    assert (report.removed, report.missing, report.found) == (30, 0, 70)
    assert index_rows.count_contents(report.folder).missing == 0
    assert scan(folder)[0].removed == 0
    assert_same_as_clean(folder, rows, tmp_path, monkeypatch)


def test_most_files_missing_stops_before_anything_is_changed(folder, tmp_path):
    report, rows, _ = scan(folder)
    for pack in packs(folder, 0, 6):
        pack.rename(tmp_path / pack.name)
    write_noises(folder, 3, first=500)
    with pytest.raises(NothingToDo, match=r"60 of the 100 .* \(60%\) are missing.*mounted"):
        library_scan.scan(CountingEncoder().encoder, [folder])
    assert index_rows.read_rows(report.folder).paths == rows.paths
    assert library_scan.count_pending(CountingEncoder().encoder, [folder]) == (3, 0, 60)
    assert scan(folder, prune=True)[0].found == 43


def test_an_empty_mount_point_is_asked_about(folder, tmp_path):
    scan(folder)
    folder.rename(tmp_path / "away")
    folder.mkdir()
    with pytest.raises(NothingToDo, match="held 100 files: is the drive mounted"):
        library_scan.scan(CountingEncoder().encoder, [folder], library_scan.ScanOptions(prune=True))


@pytest.mark.parametrize("how", ["renamed", "copied with its times", "copied"])
def test_a_moved_folder_is_not_missing_and_not_encoded(folder, how, tmp_path, monkeypatch):
    """`copied`: to another file system the inodes change, by some programs the times as well."""
    scan(folder)
    for pack in packs(folder, 0, 6):
        if how == "renamed":
            pack.rename(folder / f"moved-{pack.name}")
        else:
            copy = shutil.copy2 if how == "copied with its times" else shutil.copyfile
            shutil.copytree(pack, folder / f"moved-{pack.name}", copy_function=copy)
            shutil.rmtree(pack)
    report, rows, embedded = scan(folder)
    assert (report.found, report.missing, embedded) == (100, 0, 0)
    assert_same_as_clean(folder, rows, tmp_path, monkeypatch)


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_the_verdict_depends_on_count_and_share(lost, others):
    known = lost + others
    try:
        answer = missing.decide(lost, known)
    except NothingToDo:
        answer = "stop"
    if lost <= missing.FEW_FILES or lost <= 0.05 * known:
        assert answer == "remove"
    else:
        assert answer == ("keep" if lost <= 0.5 * known else "stop")


def test_one_new_file_explains_one_that_is_gone():
    gone = {f"/a/{i}.wav".encode(): (10, 5, i) for i in range(3)}
    new = files.Sample("a", "/b/x.wav", "x.wav", "a/x.wav", "", 10, 5)
    assert len(missing.find_unexplained(gone, [new])) == 2
    renamed = new._replace(path="/b/1.wav", mtime_ns=7)
    assert missing.find_unexplained(gone, [renamed]) == {b"/a/0.wav", b"/a/2.wav"}
    assert missing.find_unexplained(gone, [renamed._replace(size=11)]) == gone.keys()
    assert missing.find_unexplained({}, [new]) == set()


# ------------------------------------------------------------------------------- other versions


def test_an_index_of_a_newer_version_is_left_alone(folder):
    report, rows, _ = scan(folder)
    path = report.folder / "index.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    before = path.read_bytes()
    for use in (
        lambda: library_scan.scan(CountingEncoder().encoder, [folder]),
        lambda: library_scan.count_pending(CountingEncoder().encoder, [folder]),
        lambda: index_rows.read_rows(report.folder),
        lambda: index_rows.read_indexed_sounds(report.folder, rows.paths[0]),
    ):
        with pytest.raises(ModelError, match="newer version"):
            use()
    assert path.read_bytes() == before
    assert not list(report.folder.glob("*.damaged*"))


def test_an_index_of_an_older_version_is_made_again_and_kept_aside(folder, tmp_path, monkeypatch):
    report, _, _ = scan(folder)
    path = report.folder / "index.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 1")
    db.close()
    with pytest.warns(IndexWarning, match="format 1"):
        _, rows, embedded = scan(folder)
    assert embedded == FILES
    assert_same_as_clean(folder, rows, tmp_path, monkeypatch)


# ------------------------------------------------------------------------------- kills and races


SCAN = """
import os, sys, time
sys.path.insert(0, {root!r})
from tests import stub_encoder
from sst.library import embed_files, scan
embed_files.BATCH_SIZE = {batch}
counting = stub_encoder.CountingEncoder()
def embed(features):
    os.write(log, b"%d\\n" % len(features.log_mel))
    time.sleep({pause})
    return counting.embed(features)
log = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
print("ready", flush=True)
scan.scan(counting.encoder._replace(embed=embed), [{folder!r}], scan.ScanOptions(workers=1))
"""
BATCH = 4


def start(folder, log, pause):
    values = {"folder": str(folder), "log": str(log), "pause": pause, "batch": BATCH}
    code = textwrap.dedent(SCAN).format(root=str(ROOT), **values)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    return process


def embedded_in(log):
    return sum(map(int, log.read_text().split())) if log.exists() else 0


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_kills_at_random_moments_lose_at_most_a_batch_each(folder, tmp_path, monkeypatch, kills):
    chance, log = random.Random(kills), tmp_path / "log"
    finished = 0
    for _ in range(kills):
        with start(folder, log, pause=0.02) as process:
            time.sleep(chance.uniform(0, 0.3))
            process.send_signal(signal.SIGKILL)
        finished += process.returncode == 0
    report, rows, embedded = scan(folder)
    assert report.found == FILES
    assert embedded_in(log) + embedded <= FILES + kills * BATCH
    assert_same_as_clean(folder, rows, tmp_path, monkeypatch)
    assert finished < kills


def test_a_kill_before_the_distances_are_measured_is_made_good(folder, tmp_path, monkeypatch):
    for changed in (lambda: None, lambda: shutil.rmtree(folder / "pack00")):
        changed()
        with monkeypatch.context() as patch:
            patch.setattr(write_rows, "store_distances", lambda db: sys.exit("killed"))
            with pytest.raises(SystemExit):
                library_scan.scan(CountingEncoder().encoder, [folder], ONE_WORKER)
        assert_same_as_clean(folder, scan(folder)[1], tmp_path, monkeypatch)


def test_scans_at_once_share_the_work(folder, tmp_path, monkeypatch):
    log = tmp_path / "log"
    processes = [start(folder, log, pause=0.01) for _ in range(3)]
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert embedded_in(log) == FILES
    _, rows, embedded = scan(folder)
    assert embedded == 0
    assert_same_as_clean(folder, rows, tmp_path, monkeypatch)


def test_who_waits_for_a_scan_that_is_killed_goes_on_with_it(folder, tmp_path, monkeypatch):
    log = tmp_path / "log"
    with start(folder, log, pause=0.05) as first, start(folder, log, pause=0.0) as second:
        while embedded_in(log) < 10:
            time.sleep(0.01)
        first.send_signal(signal.SIGKILL)
        second.communicate()
    assert second.returncode == 0
    assert FILES <= embedded_in(log) <= FILES + BATCH
    assert_same_as_clean(folder, scan(folder)[1], tmp_path, monkeypatch)


def test_libraries_and_models_side_by_side_do_not_meet(folder, tmp_path):
    write_noises(tmp_path / "other", 10, first=300)
    for digest, place in itertools.product(("a" * 12, "b" * 12), (folder, tmp_path / "other")):
        assert scan(place, CountingEncoder(digest))[2] == (FILES if place == folder else 10)
    for digest, place in itertools.product(("a" * 12, "b" * 12), (folder, tmp_path / "other")):
        _, rows, embedded = scan(place, CountingEncoder(digest))
        assert embedded == 0
        assert all(path.startswith(str(place)) for path in rows.paths)


def test_files_that_vanish_grow_and_appear_during_a_scan_cost_themselves_only(
    folder, tmp_path, monkeypatch
):
    real = library_scan.embed_files

    def meanwhile(*arguments):
        shutil.rmtree(folder / "pack00")
        wave, rate = sf.read(folder / "pack01/010.wav")
        sf.write(folder / "pack01/010.wav", np.concatenate([wave, wave]), rate)
        write_noises(folder, 1, first=400)
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(library_scan, "embed_files", meanwhile)
        report, _, _ = scan(folder)
    assert report.skipped == {"vanished": 10}
    report, rows, embedded = scan(folder)
    assert (report.new, report.changed, report.removed, embedded) == (1, 1, 10, 1)
    assert_same_as_clean(folder, rows, tmp_path, monkeypatch)


def test_a_scan_leaves_no_trace_in_the_library(folder):
    def facts():
        found = [folder, *folder.rglob("*")]
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in found}

    before = facts()
    folder.chmod(0o555)
    scan(folder)
    scan(folder, prune=True)
    folder.chmod(0o755)
    assert facts() == before


def test_links_in_circles_are_not_followed(folder):
    (folder / "pack00/again").symlink_to(folder)
    (folder / "pack01/loop.wav").symlink_to("loop.wav")
    assert scan(folder)[0].found == FILES


@pytest.mark.slow
def test_two_hundred_thousand_files_are_a_library_too(tmp_path, monkeypatch):
    monkeypatch.setenv("SST_CACHE_DIR", str(tmp_path / "cache"))
    total, folder = 200_000, tmp_path / "sounds"
    for i in range(total):
        place = folder / f"{i // 1000:03d}"
        if i % 1000 == 0:
            place.mkdir(parents=True)
        (place / f"{i:06d}.wav").write_bytes(i.to_bytes(4, "little"))
    clip = Clip(np.ones(1, np.float32), 0.0, 0.0, 0.1)

    def made_up(encoder, paths, *_):
        for start in range(0, len(paths), 1000):
            yield [
                [(Sound(path, clip, None, None, os.path.basename(path), 1, 1, 0.1), vector)]
                for path in paths[start : start + 1000]
                for vector in [np.full(4, int(os.path.basename(path)[:6]), np.float32)]
            ]

    monkeypatch.setattr(library_scan, "embed_files", made_up)
    encoder = CountingEncoder().encoder
    report = library_scan.scan(encoder, [folder])
    assert (report.found, report.new, report.sounds) == (total, total, total)
    monkeypatch.setattr(library_scan, "embed_files", lambda *_: pytest.fail("a file was opened"))
    (folder / "007").rename(folder / "elsewhere")
    report, rows = library_scan.scan_and_read(encoder, [folder])
    assert (report.found, report.moved, report.embedded) == (total, 1000, 0)
    assert sorted(rows.vectors[:, 0].astype(int).tolist()) == list(range(total))
