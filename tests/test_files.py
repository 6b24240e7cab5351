import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sst import files
from sst.errors import NothingToDo, UsageError


def touch(root, *relatives):
    for relative in relatives:
        path = root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def test_every_suffix_in_both_cases_is_found_and_nothing_else(tmp_path):
    names = [f"a{i}{s}" for i, s in enumerate(files.AUDIO_SUFFIXES)]
    upper = [f"b{i}{s.upper()}" for i, s in enumerate(files.AUDIO_SUFFIXES)]
    touch(tmp_path, *names, *upper, "x.txt", "y.m4a", "wav", "z.wav.asd")
    found = files.survey([tmp_path])
    assert sorted(s.relative for s in found.samples) == sorted(names + upper)
    assert found.others == {".txt": 1, ".m4a": 1, "": 1, ".asd": 1}


def test_the_list_is_sorted_by_id_and_every_file_is_counted_once(tmp_path):
    touch(tmp_path / "lib", "b/2.wav", "b/1.wav", "a/z.wav", "a/q.txt", "c/d/e.flac")
    found = files.survey([tmp_path / "lib"])
    ids = [sample.id for sample in found.samples]
    assert ids == sorted(ids) == ["lib/a/z.wav", "lib/b/1.wav", "lib/b/2.wav", "lib/c/d/e.flac"]
    assert files.survey([tmp_path / "lib"]) == found


def test_ids_do_not_depend_on_where_the_folder_lies(tmp_path):
    touch(tmp_path / "x" / "lib", "a/1.wav")
    touch(tmp_path / "y" / "z" / "lib", "a/1.wav")
    one, other = (files.find_samples([tmp_path / p / "lib"]) for p in ("x", "y/z"))
    assert [s.id for s in one] == [s.id for s in other] == ["lib/a/1.wav"]


def test_hidden_special_and_dangling_files_are_skipped(tmp_path):
    touch(tmp_path, "ok.wav", "._ok.wav", ".hidden/a.wav", "__MACOSX/b.wav", "dir.wav/in.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    os.symlink(tmp_path / "nowhere.wav", tmp_path / "dangling.wav")
    os.symlink(tmp_path, tmp_path / "loop")
    os.symlink(tmp_path / "ok.wav", tmp_path / "link.wav")
    found = files.survey([tmp_path])
    assert [s.relative for s in found.samples] == ["dir.wav/in.wav", "link.wav", "ok.wav"]
    assert found.hidden == 4  # the resource fork, the pipe, the dangling link, the link to a folder


def test_roots_given_twice_or_inside_each_other_are_searched_once(tmp_path):
    touch(tmp_path / "lib", "a/1.wav", "b/2.wav")
    found = files.find_samples([tmp_path / "lib" / "a", tmp_path / "lib", tmp_path / "lib" / "."])
    assert [s.id for s in found] == ["lib/a/1.wav", "lib/b/2.wav"]


def test_roots_of_one_name_get_different_ids(tmp_path):
    for parent in ("x", "y"):
        touch(tmp_path / parent / "lib", "1.wav")
    found = files.find_samples([tmp_path / "x" / "lib", tmp_path / "y" / "lib"])
    assert [s.id for s in found] == ["lib-2/1.wav", "lib/1.wav"]


@pytest.mark.parametrize(
    ("relative", "label"),
    [
        ("x.wav", ""),
        ("kick/x.wav", "kick"),
        ("RolandTR808/rolandtr808-bd/x.wav", "bd"),
        ("Roland TR-808/roland_tr808_bd/x.wav", "bd"),
        ("808/808/x.wav", "808"),
        ("Kit/Kits/x.wav", "Kits"),
        ("Kit/Kit-Kicks/x.wav", "Kicks"),
        ("pack/deep/deeper/x.wav", "deeper"),
        ("lib-bd/x.wav", "bd"),  # the root's own name counts as the pack's
    ],
)
def test_label_is_the_leaf_folder_without_the_packs_name(tmp_path, relative, label):
    touch(tmp_path / "lib", relative)
    (sample,) = files.find_samples([tmp_path / "lib"])
    assert sample.label == label


def test_several_flat_roots_are_labels_and_spellings_are_joined(tmp_path):
    touch(tmp_path / "Kicks", "1.wav")
    touch(tmp_path / "Snares", "1.wav")
    flat = files.find_samples([tmp_path / "Kicks", tmp_path / "Snares"])
    assert [s.label for s in flat] == ["Kicks", "Snares"]
    touch(tmp_path / "lib", "p/kick/1.wav", "q/Kick/1.wav", "r/Kick/1.wav")
    assert {s.label for s in files.find_samples([tmp_path / "lib"])} == {"Kick"}


def test_fingerprint_changes_with_every_change_and_only_then(tmp_path):
    def mark(**kwargs):
        return files.fingerprint(files.find_samples([tmp_path]), **kwargs)

    touch(tmp_path, "a/1.wav", "a/2.wav")
    first, without_times = mark(), mark(mtimes=False)
    assert mark() == first
    os.utime(tmp_path / "a/1.wav", ns=(0, 5))
    touched = mark()
    assert touched != first and mark(mtimes=False) == without_times
    (tmp_path / "a/1.wav").rename(tmp_path / "a/3.wav")
    renamed = mark()
    assert renamed != touched and mark(mtimes=False) != without_times
    touch(tmp_path, "a/notes.txt")
    assert mark() == renamed


@given(st.binary(min_size=1).filter(lambda b: b"\0" not in b))
def test_any_path_is_text_and_comes_back(raw):
    path = os.fsdecode(raw)
    text = files.to_text(path)
    text.encode("utf-8")
    assert files.from_text(text) == path


@given(st.text(alphabet="ab%F0dé", max_size=6), st.text(alphabet="ab%F0dé", max_size=6))
def test_two_paths_are_never_one_text(one, other):
    assert (files.to_text(one) == files.to_text(other)) == (one == other)


def test_odd_names_are_found_and_open(tmp_path):
    names = ["new\nline.wav", "日本語 ü.wav", "-rf.wav", "a%FFb.wav", os.fsdecode(b"\xff\xfe.wav")]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    found = files.find_samples([tmp_path])
    assert len({s.id for s in found}) == len(names)
    for sample in found:
        sample.id.encode()
        assert Path(sample.path).read_bytes() == b"x"
        assert files.from_text(sample.relative) in names


def test_a_folder_that_cannot_be_read_is_reported(tmp_path, monkeypatch):
    touch(tmp_path, "ok/1.wav", "closed/2.wav")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = files.survey([tmp_path])
    assert [s.relative for s in found.samples] == ["ok/1.wav"]
    assert found.closed == [str(tmp_path / "closed")]


def test_the_five_ways_to_have_no_audio_are_told_apart(tmp_path):
    with pytest.raises(UsageError, match=r"No folder .*/libary. Did you mean .*/library\?"):
        (tmp_path / "library").mkdir()
        files.samples_or_raise([tmp_path / "libary"])
    with pytest.raises(UsageError, match="is a file"):
        files.samples_or_raise([touch(tmp_path, "f.wav") / "f.wav"])
    with pytest.raises(UsageError, match="No folder was given"):
        files.samples_or_raise([])
    with pytest.raises(NothingToDo, match="library is empty"):
        files.samples_or_raise([tmp_path / "library"])
    touch(tmp_path / "other", "a.asd", "b.asd", "c.m4a")
    with pytest.raises(NothingToDo, match=r"3 files seen \(.asd 2, .m4a 1\).*Convert .m4a"):
        files.samples_or_raise([tmp_path / "other"])


def test_audio_of_other_formats_beside_samples_is_mentioned(tmp_path):
    touch(tmp_path, "a.wav")
    assert files.describe_skipped(files.survey([tmp_path])) == []
    touch(tmp_path, "b.m4a", "c.M4A", "d.wma", "e.txt")
    [sentence] = files.describe_skipped(files.survey([tmp_path]))
    assert ".m4a 2" in sentence and ".wma 1" in sentence and ".txt" not in sentence
