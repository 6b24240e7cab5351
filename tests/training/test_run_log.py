import csv
import json
import sys

import pytest

from sst.errors import ResourceError
from sst.training import run_log
from sst.training.run_log import RunLog

ROW = {
    "step": 1200,
    "epoch": 45.4,
    "seconds": 61.0,
    "clips_per_second": 310.2,
    "share_of_peak": 0.18,
    "train/loss": 3.41,
    "valid/loss": 3.62,
    "valid/recon_db": 2.5,
    "lr": 1e-3,
}


def row(step, loss=1.0):
    return ROW | {"step": step, "valid/loss": loss}


def logged(directory, step, rows=()):
    lines = []
    log = RunLog(directory, step, lines.append)
    for each in rows:
        log.add(each)
    log.close()
    return log, lines


def test_rows_are_in_both_files(tmp_path):
    logged(tmp_path, 0, [row(10), row(20)])
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [row(10), row(20)]
    with open(tmp_path / "metrics.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [float(each["valid/loss"]) for each in table] == [1.0, 1.0]
    assert [int(each["step"]) for each in table] == [10, 20]


def test_later_and_torn_rows_are_dropped_when_the_run_goes_on(tmp_path):
    logged(tmp_path, 0, [row(10), row(20), row(30)])
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('[1]\n{"other": 1}\n{"step": 15, "val')
    log, _ = logged(tmp_path, 20, [row(30, 0.5)])
    assert log.rows == [row(10), row(20), row(30, 0.5)]
    assert run_log.read_rows(tmp_path) == log.rows
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 4


def test_the_best_row_is_the_first_of_the_lowest(tmp_path):
    log, _ = logged(tmp_path, 0, [row(10, 2.0), row(20, -1.0), row(30, -1.0)])
    assert log.best() == row(20, -1.0)
    assert logged(tmp_path / "new", 0)[0].best() is None


def test_what_is_said_is_also_in_the_log(tmp_path):
    lines = []
    log = RunLog(tmp_path, 0, lines.append)
    log.say("aloud")
    log.note("quietly")
    log.close()
    text = (tmp_path / "log.txt").read_text()
    assert lines == ["aloud"]
    assert "aloud\n" in text and "quietly\n" in text


def test_the_line_of_an_evaluation():
    best = row(1100, 3.60)
    assert run_log.format_evaluation(ROW, best, "3 more") == (
        "step 1,200  epoch 45  train 3.41  valid 3.62 (best 3.60 at 1,100)  recon 2.50 dB  "
        "lr 1.0e-03  310 clips/s  18% of peak; 3 more"
    )
    assert "valid 3.62 (best)" in run_log.format_evaluation(ROW, ROW, "")
    unknown = {name: value for name, value in ROW.items() if "peak" not in name}
    assert "peak" not in run_log.format_evaluation(unknown, ROW, "")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (119, "119 s"), (720, "12 min"), (8000, "2.2 h")]
)
def test_durations(seconds, text):
    assert run_log.format_duration(seconds) == text


def test_tensorboard_events_hold_the_rows(tmp_path):
    event_pb2 = pytest.importorskip("tensorboard.compat.proto.event_pb2", reason="extra [tb]")
    logged(tmp_path, 0, [row(10), row(20, 0.25)])
    (path,) = (tmp_path / "tb").iterdir()
    content, found = path.read_bytes(), {}
    while content:  # length, its checksum, the event, its checksum
        size = int.from_bytes(content[:8], "little")
        event = event_pb2.Event.FromString(content[12 : 12 + size])
        found |= {(event.step, value.tag): value.simple_value for value in event.summary.value}
        content = content[16 + size :]
    assert found[20, "valid/loss"] == pytest.approx(0.25)
    assert found[10, "train/loss"] == pytest.approx(3.41)


def test_without_tensorboard_the_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto", None)
    log, _ = logged(tmp_path, 0, [row(10)])
    assert log.rows and not (tmp_path / "tb").exists()


def test_a_directory_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="Cannot write to"):
        RunLog(tmp_path / "file" / "run", 0, print)
