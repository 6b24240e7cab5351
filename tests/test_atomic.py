"""Whole files and folders, whatever fails: in the manner of SQLite's anomaly tests."""

import builtins
import os
import shutil
import signal
import stat
import subprocess
import sys

import numpy as np
import pytest

from sst import atomic

OLD, NEW = b"the old content", b"the new content, which is longer"


class Disk:
    """Counts system calls, and lets the n-th of one kind fail."""

    _real_open = staticmethod(builtins.open)

    def __init__(self, patch, call, failing):
        self.call, self.failing, self.calls = call, failing, 0
        for name in ("fsync", "replace", "rename", "mkdir"):
            patch.setattr(os, name, self._guarded(name, getattr(os, name)))
        patch.setattr(shutil, "rmtree", self._guarded("rmtree", shutil.rmtree))
        patch.setattr(builtins, "open", self._opened)

    def _guarded(self, name, real):
        def call(*arguments, **keywords):
            self._count(name)
            return real(*arguments, **keywords)

        return call

    def _count(self, name):
        if name == self.call:
            self.calls += 1
            if self.calls == self.failing:
                raise OSError(28, "No space left on device")

    def _opened(self, *arguments, **keywords):
        self._count("open")
        return File(self, self._real_open(*arguments, **keywords))


class File:
    """A file whose writes are counted; a failing one has written a part."""

    def __init__(self, disk, file):
        self._disk, self._file = disk, file

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, data):
        try:
            self._disk._count("write")
        except OSError:
            self._file.write(data[: len(data) // 2])
            raise
        return self._file.write(data)


def write_folder(write):
    """Two files, which are written one after the other."""

    def run(path, data):
        with write(path) as folder:
            for name in ("a", "b"):
                with open(folder / name, "xb") as file:
                    file.write(data)

    return run


def files_in(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def fail_everywhere(monkeypatch, call, work, check):
    """Fails the n-th call for n = 1, 2, ... until the work succeeds."""
    for failing in range(1, 30):
        with monkeypatch.context() as patch:
            disk = Disk(patch, call, failing)
            try:
                work()
                failed = False
            except OSError:
                failed = True
        check(failed)
        if disk.calls < failing:
            assert not failed
            return
    pytest.fail("it never succeeded")


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_a_file_is_the_old_or_the_new_one_whatever_fails(tmp_path, monkeypatch, call, exists):
    target = tmp_path / "x.bin"
    if exists:
        target.write_bytes(OLD)

    def check(failed):
        old = {"x.bin": OLD} if exists else {}
        assert files_in(tmp_path) in ([old] if failed else [{"x.bin": NEW}])
        if exists:
            target.write_bytes(OLD)
        else:
            target.unlink(missing_ok=True)

    fail_everywhere(monkeypatch, call, lambda: atomic.write_bytes(target, NEW), check)


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("call", ["mkdir", "open", "write", "fsync", "rename", "rmtree"])
def test_a_folder_is_the_old_or_the_new_one_whatever_fails(tmp_path, monkeypatch, call, exists):
    target = tmp_path / "folder"
    write = write_folder(atomic.replace_directory)
    if exists:
        write(target, OLD)

    def check(failed):
        held = atomic.directory_or_previous(target)
        new = {"a": NEW, "b": NEW}
        if failed:
            assert files_in(held) == {"a": OLD, "b": OLD} if exists else not held.exists()
        else:
            assert files_in(held) == new
        if call != "rmtree":  # what cannot be removed remains
            assert not list(tmp_path.glob(".*"))
        if exists:
            write(target, OLD)
        else:
            shutil.rmtree(target, ignore_errors=True)

    fail_everywhere(monkeypatch, call, lambda: write(target, NEW), check)


@pytest.mark.parametrize("call", ["mkdir", "open", "write", "fsync", "rename"])
def test_a_new_folder_is_there_as_a_whole_or_not_at_all(tmp_path, monkeypatch, call):
    target = tmp_path / "folder"
    write = write_folder(atomic.directory)

    def check(failed):
        assert target.exists() is not failed
        assert not list(tmp_path.glob(".*"))
        shutil.rmtree(target, ignore_errors=True)

    fail_everywhere(monkeypatch, call, lambda: write(target, NEW), check)


def test_a_new_folder_that_another_process_made_stays(tmp_path):
    write = write_folder(atomic.directory)
    write(tmp_path / "folder", OLD)
    write(tmp_path / "folder", NEW)
    assert files_in(tmp_path / "folder") == {"a": OLD, "b": OLD}
    assert os.listdir(tmp_path) == ["folder"]


KILLED = """
import os, signal, sys
from pathlib import Path
from sst import atomic

moment, target = sys.argv[1], Path(sys.argv[2])

def killing(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def second(*arguments, real=os.rename, calls=[]):
    calls.append(1)
    killing() if len(calls) == 2 else real(*arguments)

if moment == "write":
    with atomic.draft(target) as fresh:
        fresh.write_bytes(b"the new con")
        killing()
elif moment == "between":
    os.rename = second
else:
    setattr(os, moment, killing)
if target.suffix:
    atomic.write_bytes(target, b"the new content")
with atomic.replace_directory(target) as folder:
    (folder / "a").write_bytes(b"the new content")
"""


def kill_at(moment, target):
    done = subprocess.run([sys.executable, "-c", KILLED, moment, str(target)], check=False)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("moment", ["write", "fsync", "replace"])
def test_a_kill_leaves_the_old_file_whole(tmp_path, moment):
    target = tmp_path / "x.bin"
    target.write_bytes(OLD)
    kill_at(moment, target)
    assert target.read_bytes() == OLD
    assert all(p.name.startswith(atomic.PREFIX) for p in tmp_path.iterdir() if p != target)


@pytest.mark.parametrize("moment", ["fsync", "rename", "between"])
def test_a_kill_leaves_the_old_folder_whole(tmp_path, moment):
    target = tmp_path / "folder"
    write_folder(atomic.replace_directory)(target, OLD)
    kill_at(moment, target)
    assert target.exists() is (moment != "between")
    assert files_in(atomic.directory_or_previous(target)) == {"a": OLD, "b": OLD}
    write_folder(atomic.replace_directory)(target, NEW)
    assert files_in(target) == {"a": NEW, "b": NEW}


def test_modes_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        atomic.write_text(tmp_path / "x.txt", "x")
        write_folder(atomic.directory)(tmp_path / "folder", NEW)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("x.txt", "folder")]
    assert modes == [0o640, 0o750]


def test_texts_keep_stray_bytes_and_json_comes_back(tmp_path):
    atomic.write_text(tmp_path / "x.txt", "a\udcff\n")
    assert (tmp_path / "x.txt").read_bytes() == b"a\xff\n"
    atomic.write_json(tmp_path / "x.json", {"a": [1, 2.5]})
    assert (tmp_path / "x.json").read_text().endswith("}\n")


def test_a_draft_keeps_the_suffix_that_libraries_look_at(tmp_path):
    with atomic.draft(tmp_path / "x.npz") as fresh:
        np.savez(fresh, x=np.ones(3))
    assert np.load(tmp_path / "x.npz")["x"].sum() == 3
    name = "x." + "y" * 253
    atomic.write_bytes(tmp_path / name, NEW)
    assert sorted(os.listdir(tmp_path)) == ["x.npz", name]
