import collections
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sst import files
from sst.data import splits
from sst.errors import UsageError


def library(packs=20, kinds=("kick", "snare", "hat"), per_kind=3):
    ids = [
        f"lib/pack{p:02d}/{kind}/{i}.wav"
        for p in range(packs)
        for kind in kinds
        for i in range(per_kind)
    ]
    return ids, [i.split("/")[2] for i in ids], list(ids)


def test_no_pack_stands_on_both_sides_and_every_label_on_each():
    ids, labels, sounds = library()
    split = splits.assign(ids, labels, sounds, 0.9)
    assert split.split_by == "folder"
    sides = collections.defaultdict(set)
    for i, name in zip(ids, split.names, strict=True):
        sides[i.split("/")[1]].add(name)
    assert all(len(side) == 1 for side in sides.values())
    assert split.names.count("validation") == pytest.approx(0.1 * len(ids), abs=9)
    validated = {k for k, n in zip(labels, split.names, strict=True) if n == "validation"}
    assert validated == set(labels)


def test_the_order_given_does_not_matter():
    ids, labels, sounds = library()
    rows = list(range(len(ids)))
    random.Random(1).shuffle(rows)
    straight = splits.assign(ids, labels, sounds, 0.9).names
    mixed = splits.assign(*([x[r] for r in rows] for x in (ids, labels, sounds)), 0.9).names
    assert [straight[r] for r in rows] == mixed


def test_packs_that_share_a_sound_stay_together():
    ids, labels, sounds = library(packs=30)
    for pack in range(0, 28, 2):  # pack 0 shares with 1, 2 with 3, ...
        sounds[ids.index(f"lib/pack{pack + 1:02d}/kick/0.wav")] = f"lib/pack{pack:02d}/kick/0.wav"
    split = splits.assign(ids, labels, sounds, 0.8)
    side = {i.split("/")[1]: n for i, n in zip(ids, split.names, strict=True)}
    assert split.split_by == "folder" and "validation" in side.values()
    assert all(side[f"pack{p:02d}"] == side[f"pack{p + 1:02d}"] for p in range(0, 28, 2))


@pytest.mark.parametrize(
    ("ids", "labels"),
    [
        ([f"lib/{i}.wav" for i in range(50)], [""] * 50),  # one flat folder
        (library(packs=3)[0], library(packs=3)[1]),  # too few packs
        ([f"lib/kind{i % 12}/{i}.wav" for i in range(60)], [f"kind{i % 12}" for i in range(60)]),
        ([f"lib/p{i}/k/1.wav" for i in range(20)] + [f"lib/big/k/{i}.wav" for i in range(80)],
         ["k"] * 100),  # one pack holds most
    ],
)  # fmt: skip
def test_where_packs_cannot_be_divided_sounds_are(ids, labels):
    split = splits.assign(ids, labels, ids, 0.9)
    assert split.split_by == "file"
    validated = collections.Counter(
        k for k, n in zip(labels, split.names, strict=True) if n == "validation"
    )
    assert set(validated) == set(labels)
    assert split.names.count("validation") <= max(0.1 * len(ids) + 1, len(set(labels)))


@pytest.mark.parametrize(
    ("n", "sounds", "validation"), [(1, "a", 0), (2, "ab", 1), (2, "aa", 0), (3, "aab", 1)]
)
def test_the_smallest_libraries(n, sounds, validation):
    names = splits.assign([f"l/{i}.wav" for i in range(n)], [""] * n, sounds, 0.9).names
    assert bool(names.count("validation")) == bool(validation)
    assert names.count("train") >= 1


def test_adding_a_pack_leaves_most_others_where_they_were():
    ids, labels, sounds = library(packs=40)
    before = dict(zip(ids, splits.assign(ids, labels, sounds, 0.9).names, strict=True))
    more = [f"lib/packnew/kick/{i}.wav" for i in range(3)]
    after = splits.assign(ids + more, labels + ["kick"] * 3, sounds + more, 0.9).names
    moved = sum(before[i] != n for i, n in zip(ids, after, strict=False))
    assert moved <= 18  # at most two packs of nine


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_laws_hold_for_any_library(data):
    n = data.draw(st.integers(1, 60))
    packs = data.draw(st.lists(st.integers(0, 15), min_size=n, max_size=n))
    kinds = data.draw(st.lists(st.sampled_from(["", "a", "b", "c"]), min_size=n, max_size=n))
    sounds = data.draw(st.lists(st.integers(0, 40), min_size=n, max_size=n))
    ids = [f"lib/p{p}/{k or 'none'}/{i}.wav" for i, (p, k) in enumerate(zip(packs, kinds))]  # noqa: B905
    split = splits.assign(ids, kinds, sounds, data.draw(st.floats(0.1, 0.95)))
    side = collections.defaultdict(set)
    by_label = collections.defaultdict(set)
    for i, kind, sound, name in zip(ids, kinds, sounds, split.names, strict=True):
        side[sound].add(name)
        by_label[kind].add(name)
        if split.split_by == "folder":
            side[files.pack_of(i)].add(name)
    assert all(len(names) == 1 for names in side.values())  # nothing leaks
    assert "train" in split.names
    if len(set(sounds)) >= 2:
        assert "validation" in split.names


@pytest.mark.parametrize("ratio", [0.0, 1.0, -1.0, 2.0, float("nan")])
def test_a_ratio_that_leaves_one_side_empty_is_refused(ratio):
    with pytest.raises(UsageError, match="train_ratio"):
        splits.assign(["a/1.wav", "a/2.wav"], ["", ""], "ab", ratio)


@pytest.mark.parametrize(
    ("sample_id", "pack"),
    [("l/x.wav", "l"), ("l/k/x.wav", "l/k"), ("l/p/k/x.wav", "l/p"), ("l/v/p/k/x.wav", "l/v/p")],
)
def test_the_pack_is_the_folder_around_the_kinds(sample_id, pack):
    assert files.pack_of(sample_id) == pack


@pytest.mark.parametrize("ratio", [0.01, 0.25, 0.5, 0.99])
def test_two_sounds_without_a_label_stand_on_both_sides(ratio):
    split = splits.assign(["lib/a.wav", "lib/b.wav"], ["", ""], [0, 1], ratio)
    assert sorted(split.names) == ["train", "validation"]


def test_named_packs_validate_and_all_others_train():
    ids, labels, sounds = library()
    split = splits.assign(ids, labels, sounds, 0.9, ["pack03", "lib/pack07"])
    assert split.split_by == "folder"
    validated = {i.split("/")[1] for i, n in zip(ids, split.names, strict=True) if n != "train"}
    assert validated == {"pack03", "pack07"}


def test_a_name_is_a_whole_folder():
    ids = ["lib/x/909/kick/a.wav", "lib/y/909/kick/b.wav", "lib/1909/kick/c.wav"]
    split = splits.assign(ids, ["kick"] * 3, "abc", 0.9, ["909"])
    assert split.names == ["validation", "validation", "train"]
    split = splits.assign(ids, ["kick"] * 3, "abc", 0.9, ["y/909/"])
    assert split.names == ["train", "validation", "train"]


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["pack3"], r"no pack 'pack3'; did you mean 'pack"),
        (["nothing"], r"no pack 'nothing'\.$"),
        ([f"pack{p:02d}" for p in range(20)], "names every pack"),
        (["pack01"], "'lib/pack01', which shares sounds with 'lib/pack02': name both"),
    ],
)
def test_packs_that_cannot_be_told_apart_so_are_refused(names, text):
    ids, labels, sounds = library()
    sounds[ids.index("lib/pack01/kick/0.wav")] = sounds[ids.index("lib/pack02/kick/0.wav")]
    with pytest.raises(UsageError, match=text):
        splits.assign(ids, labels, sounds, 0.9, names)
    assert "validation" in splits.assign(ids, labels, sounds, 0.9, ["pack01", "pack02"]).names
