import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from sst import files
from sst.audio import decode_pool, decode_process, wire
from sst.audio.clip import canonical
from sst.audio.recording import read_wave
from sst.config import AudioConfig
from sst.dsp import features
from sst.types import Sound
from tests import synth
from tests.hostile import HANG

A = AudioConfig()


@pytest.fixture
def library(tmp_path):
    synth.write_library(tmp_path / "lib", per_kind=4, packs=3)
    return [sample.path for sample in files.find_samples([tmp_path / "lib"])]


def test_results_are_what_the_query_path_computes_in_the_order_given(library):
    results = list(decode_pool.decode_many(library, A))
    assert [r.path for r in results] == library
    for result in results:
        wave, rate, _ = read_wave(result.path)
        clip = canonical(wave, rate, A)
        np.testing.assert_array_equal(result.clip.wave, clip.wave)
        assert result.clip[1:] == clip[1:]
        # Matrix products of one and of several threads differ in the last bit.
        np.testing.assert_allclose(result.log_mel, features.log_mel(clip.wave, A), atol=1e-4)
        assert (result.sample_rate, result.channels) == (rate, wave.shape[1])


def test_the_digest_is_of_the_sound_not_of_the_file(tmp_path):
    wave = np.round(synth.tone(440, 44_100) * 32768) / 32768
    for name in ("a.wav", "b.flac", "c.aiff"):
        sf.write(tmp_path / name, wave, 44_100, subtype="PCM_16")
    sf.write(tmp_path / "d.wav", wave * 0.5, 44_100, subtype="PCM_16")
    sf.write(tmp_path / "e.wav", wave, 44_101, subtype="PCM_16")
    results = list(decode_pool.decode_many(sorted(tmp_path.iterdir()), A))
    digests = [r.digest for r in results]
    assert digests[0] == digests[1] == digests[2] and len(set(digests)) == 3
    assert all(len(d) == 32 for d in digests)


def test_a_file_that_hangs_the_decoder_costs_itself_only(library, tmp_path):
    (tmp_path / "hang.wav").write_bytes(HANG)
    paths = [*library[:10], tmp_path / "hang.wav", *library[10:]]
    start = time.monotonic()
    results = list(decode_pool.decode_many(paths, A, timeout_s=1.0))
    assert time.monotonic() - start < 20
    assert results[10].reason == "timeout" and "1 s" in results[10].detail
    assert all(isinstance(r, Sound) for r in results[:10] + results[11:])
    assert [r.path for r in results] == paths


WORKER_WITH_TRAPS = """
import os, resource, signal, sys
from sst.audio import read_sound
whole = read_sound.read_wave
def read(path, offset_s):
    name = os.path.basename(path)
    if name == "segv.wav": os.kill(os.getpid(), signal.SIGSEGV)
    if name == "exit.wav": os._exit(3)
    if name == "memory.wav": bytearray(8 << 30)
    if name == "odd.wav": raise ZeroDivisionError("surprise")
    if name == "noise.wav": os.write(2, b"E" * 300_000); os.write(1, b"O" * 300_000)
    return whole(path, offset_s)
read_sound.read_wave = read
"""


def test_crashes_exits_and_surprises_cost_one_file_each(library, tmp_path, monkeypatch):
    for name in ("segv", "exit", "memory", "odd", "noise"):
        os.link(library[0], tmp_path / f"{name}.wav")
    marker = "from sst.audio import decode_worker\n"
    assert marker in decode_process._WORKER
    trapped = decode_process._WORKER.replace(marker, marker + WORKER_WITH_TRAPS)
    monkeypatch.setattr(decode_process, "_WORKER", trapped)
    traps = [tmp_path / f"{n}.wav" for n in ("segv", "exit", "memory", "odd", "noise")]
    paths = [*library[:5], *traps, *library[5:]]
    results = {r.path: r for r in decode_pool.decode_many(paths, A, workers=2)}
    assert list(results) == paths
    assert [results[t].reason for t in traps[:4]] == ["crash", "crash", "memory", "unreadable"]
    assert (
        "surprise" in results[traps[3]].detail and str(-signal.SIGSEGV) in results[traps[0]].detail
    )
    good = [p for p in paths if p not in traps[:4]]
    assert all(isinstance(results[p], Sound) for p in good)


def test_found_is_decoded_plus_skipped_with_the_readers_reasons(library, tmp_path):
    sf.write(tmp_path / "silent.wav", np.zeros(9999), 44_100)
    (tmp_path / "text.wav").write_text("hello")
    paths = [*library, tmp_path / "silent.wav", tmp_path / "text.wav", tmp_path / "gone.wav"]
    results = list(decode_pool.decode_many(paths, A))
    assert len(results) == len(paths)
    assert [r.reason for r in results[-3:]] == ["silent", "unreadable", "vanished"]


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("n", [0, 1, 2, 9, 36])
def test_any_number_of_files_and_workers(library, workers, n):
    assert [r.path for r in decode_pool.decode_many(library[:n], A, workers)] == library[:n]


def test_a_slow_caller_is_no_timeout_and_memory_stays_bounded(library, monkeypatch):
    monkeypatch.setattr(decode_pool, "WINDOW", 8)
    issued = []

    def paths():
        for path in library * 3:
            issued.append(path)
            yield path

    taken = 0
    for result in decode_pool.decode_many(paths(), A, workers=1, timeout_s=0.5):
        taken += 1
        if taken in (1, 20):
            time.sleep(1.2)
        assert isinstance(result, Sound)
        assert len(issued) - taken <= 8 + 2 * decode_pool.BATCH
    assert taken == len(issued) == 3 * len(library)


def children():
    """Workers of this process, by /proc."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == os.getpid() and b"worker.serve" in (folder / "cmdline").read_bytes():
                found.append(folder.name)
    return found


def test_no_process_stays_behind(library):
    results = decode_pool.decode_many(library, A)
    next(results)
    assert children()
    results.close()
    assert not children()
    list(decode_pool.decode_many(library[:3], A))
    assert not children()


def test_it_works_from_a_thread_and_twice_at_once(library):
    out = []
    threads = [
        threading.Thread(target=lambda: out.append(list(decode_pool.decode_many(library, A, 1))))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(out) == 2 and all(len(results) == len(library) for results in out)


def test_it_works_from_a_script_without_a_main_guard(library, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom sst.audio import decode_pool\nfrom sst.config import AudioConfig\n"
        "print('once')\n"
        "print(len(list(decode_pool.decode_many(sys.argv[1:], AudioConfig()))))\n"
    )
    run = subprocess.run(
        [sys.executable, script, *library], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert run.stdout.split() == ["once", str(len(library))]


def test_a_worker_that_cannot_start_says_why(library, monkeypatch):
    monkeypatch.setattr(decode_process, "_WORKER", "raise ImportError('no such thing')")
    with pytest.raises(RuntimeError, match="no such thing"):
        list(decode_pool.decode_many(library, A))


def test_workers_import_nothing_heavy(library, monkeypatch, tmp_path):
    report = tmp_path / "modules"
    end = f"\nopen({str(report)!r}, 'w').write(' '.join(sys.modules))\n"
    monkeypatch.setattr(decode_process, "_WORKER", decode_process._WORKER + end)
    results = decode_pool.decode_many(library, A, workers=1)
    assert len(list(results)) == len(library)
    worker = decode_process.DecodeProcess(wire.Task(A, 10.0))
    worker.input.close()  # the worker ends by itself, and reports
    worker.process.wait(30)
    worker.kill()
    loaded = set(report.read_text().split())
    assert "soundfile" in loaded
    assert not loaded & {"jax", "jaxlib", "tensorflow", "librosa", "numba", "scann"}


def test_every_file_is_heard_from_the_offset_on(library):
    late = list(decode_pool.decode_many(library[:3], A, workers=1, offset_s=0.05))
    for path, result in zip(library, late, strict=False):
        wave, rate, _ = read_wave(path, 0.05)
        np.testing.assert_array_equal(result.clip.wave, canonical(wave, rate, A).wave)
