"""The logs of a run: log.txt, metrics.jsonl and .csv, TensorBoard, and the line on the screen."""

import csv
import datetime
import io
import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sst import atomic
from sst.errors import ResourceError

Row = dict[str, float]  # of one evaluation: step, epoch, train/..., valid/..., lr, ...


class RunLog:
    """The log files of one run; rows after the step that it resumes from are dropped.

    Args:
        workdir: where the files are.
        step: rows after it belong to steps that are done anew.
        echo: takes every line of the log, for the screen.
    """

    def __init__(self, workdir: Path, step: int, echo: Callable[[str], None]) -> None:
        self._echo = echo
        self._workdir = workdir
        try:
            workdir.mkdir(parents=True, exist_ok=True)
            self._text = open(workdir / "log.txt", "a", encoding="utf-8")  # noqa: SIM115
            self.rows = [row for row in read_rows(workdir) if row["step"] <= step]
            self._rewrite()
        except OSError as error:
            raise ResourceError(f"Cannot write to {workdir}: {error.strerror}.") from error
        self._board = _Board.open(workdir / "tb")

    def say(self, text: str) -> None:
        """Writes a line to log.txt, with the time, and to the screen."""
        self.note(text)
        self._echo(text)

    def note(self, text: str) -> None:
        """Writes a line to log.txt only."""
        stamp = datetime.datetime.now().isoformat(" ", "seconds")
        self._text.write(f"{stamp}  {text}\n")
        self._text.flush()

    def add(self, row: Mapping[str, float]) -> None:
        """Writes one evaluation everywhere.

        Raises:
            ResourceError: if the disk is full.
        """
        self.rows.append(dict(row))
        try:
            with open(self._workdir / "metrics.jsonl", "a") as file:
                file.write(json.dumps(row) + "\n")
            with open(self._workdir / "metrics.csv", "a", newline="") as file:
                if file.tell() == 0:
                    csv.writer(file).writerow(row)
                csv.writer(file).writerow(row.values())
        except OSError as error:
            raise ResourceError(f"Cannot write to {self._workdir}: {error.strerror}.") from error
        if self._board:
            self._board.add(row)

    def best(self) -> Row | None:
        """Returns the row with the lowest validation loss, the first of equal ones."""
        return min(self.rows, key=lambda row: row["valid/loss"], default=None)

    def close(self) -> None:
        """Closes the files."""
        self._text.close()
        if self._board:
            self._board.close()

    def _rewrite(self) -> None:
        """Drops torn lines and later rows from the files; the CSV is made anew."""
        lines = "".join(json.dumps(row) + "\n" for row in self.rows)
        atomic.write_text(self._workdir / "metrics.jsonl", lines)
        table = io.StringIO()
        if self.rows:
            writer = csv.DictWriter(table, list(self.rows[0]), restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(self.rows)
        atomic.write_text(self._workdir / "metrics.csv", table.getvalue())


def read_rows(workdir: Path) -> list[Row]:
    """Reads the evaluations in metrics.jsonl, without lines that a kill has torn."""
    rows = []
    try:
        lines = (workdir / "metrics.jsonl").read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and {"step", "valid/loss"} <= row.keys():
            rows.append(row)
    return rows


def format_evaluation(row: Row, best: Row, outlook: str) -> str:
    """Describes an evaluation in one line for people."""
    peak = f"  {row['share_of_peak']:.0%} of peak" if row.get("share_of_peak") else ""
    found = " (best)"
    if best["step"] != row["step"]:
        found = f" (best {best['valid/loss']:.2f} at {int(best['step']):,})"
    recon = f"  recon {row['valid/recon_db']:.2f} dB" if "valid/recon_db" in row else ""
    return (
        f"step {int(row['step']):,}  epoch {row['epoch']:.0f}  train {row['train/loss']:.2f}  "
        f"valid {row['valid/loss']:.2f}{found}{recon}  lr {row['lr']:.1e}  "
        f"{row['clips_per_second']:,.0f} clips/s{peak}; {outlook}"
    )


def format_duration(seconds: float) -> str:
    """Formats seconds as `12 s`, `34 min` or `5.6 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


class _Board:
    """TensorBoard events, written without TensorFlow."""

    @classmethod
    def open(cls, folder: Path) -> "_Board | None":
        """Opens an event file; None if TensorBoard is not installed."""
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2
            from tensorboard.summary.writer.record_writer import RecordWriter
        except ImportError:
            return None
        return cls(folder, event_pb2.Event, summary_pb2.Summary, RecordWriter)

    def __init__(self, folder: Path, event: Any, summary: Any, writer: Any) -> None:
        self._event, self._summary = event, summary
        folder.mkdir(exist_ok=True)
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}"
        self._writer = writer(open(folder / name, "ab"))  # noqa: SIM115
        self._writer.write(
            event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString()
        )

    def add(self, row: Mapping[str, float]) -> None:
        """Writes one evaluation."""
        values = [
            self._summary.Value(tag=name, simple_value=value)
            for name, value in row.items()
            if name != "step"
        ]
        event = self._event(
            wall_time=time.time(), step=int(row["step"]), summary=self._summary(value=values)
        )
        self._writer.write(event.SerializeToString())
        self._writer.flush()

    def close(self) -> None:
        """Closes the file."""
        self._writer.close()
