"""Locks between processes."""

import os
import subprocess
import sys
import threading
import time

import pytest

from sst import locks

HOLD = """
import sys, time
from pathlib import Path
from sst import locks
with locks.locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_names_its_holder_and_ends_with_it(tmp_path):
    path = tmp_path / "lock"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(locks.Locked) as error, locks.locked(path):
            pass
        assert error.value.holder == str(other.pid)
        other.kill()
    with locks.locked(path):
        assert path.read_text() == str(os.getpid())
    assert not path.exists()


def test_it_waits_for_another_one_that_ends_in_time(tmp_path):
    path, held = tmp_path / "lock", threading.Event()

    def hold():
        with locks.locked(path):
            held.set()
            time.sleep(0.5)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with locks.locked(path, wait_s=10.0):
        pass
    thread.join()


def test_where_there_are_no_locks_it_goes_on_without(tmp_path, monkeypatch):
    import errno
    import fcntl

    def unsupported(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with locks.locked(tmp_path / "lock"):
        pass
