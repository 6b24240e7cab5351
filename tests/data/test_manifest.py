"""The lists of files beside a data set: whole or as they were, whatever the names hold."""

import pytest

from sst.data import manifest
from sst.types import Skipped


def test_a_list_is_whole_or_as_it_was(tmp_path):
    manifest.write_lists(tmp_path, [], [Skipped("a.wav", "silent", "it is silent")])
    before = (tmp_path / "skipped.csv").read_bytes()

    def interrupted():
        yield Skipped("b.wav", "silent", "it is silent")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        manifest.write_lists(tmp_path, [], interrupted())
    assert (tmp_path / "skipped.csv").read_bytes() == before
    assert before == b"path,reason,detail\r\na.wav,silent,it is silent\r\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files.csv", "skipped.csv"]


def test_names_with_quotes_lines_and_stray_bytes_come_back(tmp_path):
    names = ['a "b", c.wav', "two\r\nlines.wav", b"\xff.wav".decode("utf-8", "surrogateescape")]
    manifest.write_lists(tmp_path, [], [Skipped(name, "silent", "") for name in names])
    assert [row[0] for row in manifest._read_csv(tmp_path / "skipped.csv")] == names
