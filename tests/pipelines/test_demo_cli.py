"""`sst demo DIR`: the demo library as files, once and whole, and what a person may get wrong."""

import csv
import io
import sys

import pytest

from pipelines import cli
from sst.demo import library


@pytest.fixture
def few(monkeypatch):
    """A demo of its first ten sounds."""
    sounds = list(library.sounds())[:10]
    monkeypatch.setattr(library, "sounds", lambda: iter(sounds))
    return sounds


def test_all_files_are_written_and_listed_in_a_pipe(few, tmp_path, capsys):
    assert cli.main(["demo", str(tmp_path / "demo")]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == len(few)
    assert all((tmp_path / "demo" / line).is_file() for line in out.splitlines())
    with open(tmp_path / "demo" / library.TRUTH_FILE, newline="") as file:
        assert len(list(csv.DictReader(file))) == len(few)
    assert err.startswith("wrote 10 sounds of ") and err.count("\n") == 1


def test_a_terminal_gets_one_sentence(few, tmp_path, monkeypatch):
    screen = io.StringIO()
    screen.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", screen)
    assert cli.main(["demo", str(tmp_path / "demo")]) == 0
    assert screen.getvalue() == ""


def test_a_folder_that_holds_files_is_written_into_only_when_told(few, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert cli.main(["demo", str(tmp_path)]) == 2
    assert "holds files already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert cli.main(["demo", str(tmp_path), "--overwrite"]) == 0
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("target", "sentence"),
    [("absent/demo", "There is no folder"), ("file.txt", "is a file; give a folder")],
)
def test_each_mistake_gets_one_sentence(tmp_path, capsys, target, sentence):
    (tmp_path / "file.txt").write_text("")
    assert cli.main(["demo", str(tmp_path / target)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert sentence in err
