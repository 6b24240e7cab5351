"""One decoding process, as its parent sees it."""

import collections
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from sst.audio import wire
from sst.audio.wire import Frame, Task
from sst.types import Skipped, Sound

START_S = 120.0  # a worker that has not reported by then never will
# Started with the parent's module path, so that it works from scripts, tests and foreign programs.
_WORKER = """
import json, sys
arguments = json.loads(sys.argv[1])
sys.path[:] = arguments["path"]
from sst.audio import decode_worker
decode_worker.serve(arguments["task"])
"""

Result = Sound | list[Sound] | Skipped  # of one file; a list with segmentation


class DecodeProcess:
    """A child process, the files that it has been given, and what has arrived of the first."""

    def __init__(self, task: Task):
        self.timeout_s = task.timeout_s
        self.hits: list[Sound] = []  # of the file at hand
        self.pending: collections.deque[tuple[int, str | Path]] = collections.deque()
        self.ready = False
        self.waited = 0.0
        self.buffer = bytearray()
        self.error_output = tempfile.TemporaryFile()  # noqa: SIM115 closed by kill()
        one_thread = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        arguments = json.dumps({"path": sys.path, "task": wire.task_to_json(task)})
        self.process = subprocess.Popen(
            [sys.executable, "-c", _WORKER, arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.error_output,
            bufsize=0,
            env=os.environ | one_thread,
        )
        assert self.process.stdout and self.process.stdin
        self.output, self.input = self.process.stdout, self.process.stdin
        _widen(self.output.fileno())

    def send(self, files: list[tuple[int, str | Path]]) -> None:
        """Asks the worker for files: (number, path) of each."""
        self.pending.extend(files)
        message = b"".join(wire.pack_path(path) for _, path in files)
        with contextlib.suppress(OSError):  # it died: `receive` finds the end of its output
            self.input.write(message)

    def receive(self, results: dict[int, Result]) -> bool:
        """Takes what has arrived into `results`; False at the end of the process's output."""
        block = os.read(self.output.fileno(), 1 << 20)
        self.buffer += block
        while (frame := wire.take_frame(self.buffer)) is not None:
            self.waited = 0.0
            self._take(frame, results)
        return bool(block)

    def _take(self, frame: Frame, results: dict[int, Result]) -> None:
        kind = frame.facts["kind"]
        if kind == "ready":
            self.ready = True
        elif kind == "hit":
            self.hits.append(wire.unpack_sound(self.pending[0][1], frame))
        elif kind != "alive":
            index, path = self.pending.popleft()
            results[index] = self._result(kind, path, frame)
            self.hits = []

    def _result(self, kind: str, path: str | Path, frame: Frame) -> Result:
        if kind == "skipped":
            return Skipped(path, frame.facts["reason"], frame.facts["detail"])
        if kind == "end":
            return [*self.hits[:-1], self.hits[-1]._replace(left_out=frame.facts["left_out"])]
        return wire.unpack_sound(path, frame)

    def is_late(self, waited: float) -> bool:
        """Adds seconds of waiting; tells whether the file at hand has used up its time."""
        if not self.pending and self.ready:
            return False
        self.waited += waited
        return self.waited > (self.timeout_s if self.ready else START_S)

    def describe_death(self) -> tuple[str, str]:
        """Returns the reason and detail of a file whose process ended.

        Raises:
            RuntimeError: it never started; the message ends with its error output.
        """
        code = self.process.wait()
        if not self.ready:
            self.error_output.seek(0)
            text = self.error_output.read().decode(errors="replace").strip()
            raise RuntimeError(f"a decoding process did not start (exit {code}): {text[-2000:]}")
        if code == -signal.SIGXCPU:
            return self.describe_timeout()
        return "crash", f"the decoder died on it (exit {code})"

    def describe_timeout(self) -> tuple[str, str]:
        """Returns the reason and detail of a file that takes too long."""
        return "timeout", f"it takes longer than {self.timeout_s:g} s"

    def kill(self) -> None:
        """Ends the process and closes its pipes."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.input, self.output, self.error_output):
            pipe.close()


def _widen(pipe: int) -> None:
    """Makes room for several results, so that a worker seldom waits for the parent to read."""
    with contextlib.suppress(ImportError, AttributeError, OSError):  # Linux only
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)
