"""The doctor: sounds of another kind than their folder says, and outliers."""

import numpy as np

from sst.library import doctor


def kinds(rng, n=40, apart=6.0):
    """Two heaps of vectors in four packs."""
    labels = ["a"] * n + ["b"] * n
    vectors = rng.standard_normal((2 * n, 8)).astype(np.float32)
    vectors[n:, 0] += apart
    return vectors, labels, [f"pack{i % 4}" for i in range(2 * n)], [str(i) for i in range(2 * n)]


def test_a_sound_among_those_of_another_kind_is_mislabelled(rng):
    vectors, labels, packs, digests = kinds(rng)
    assert doctor.find_mislabelled(vectors, labels, packs, digests) == []
    labels[3], labels[50] = "b", "a"
    found = doctor.find_mislabelled(vectors, labels, packs, digests)
    assert [(row, label) for row, label, *_ in found] == [(3, "a"), (50, "b")]
    assert all(votes == voters == 10 for *_, votes, voters in found)


def test_neither_its_own_pack_nor_copies_vote(rng):
    vectors, labels, packs, digests = kinds(rng)
    vectors[:8] = vectors[0] + 1e-3 * rng.standard_normal((8, 8)).astype(np.float32)
    labels[:8] = ["b"] * 8  # they agree with each other
    packs[:8] = ["pack0"] * 8
    found = doctor.find_mislabelled(vectors, labels, packs, digests)
    assert {row for row, *_ in found} >= set(range(8))
    packs[:8] = [f"pack{i % 4}" for i in range(8)]
    digests[:8] = ["one sound"] * 8
    assert {row for row, *_ in doctor.find_mislabelled(vectors, labels, packs, digests)} >= set(
        range(8)
    )


def test_kinds_that_lie_together_or_are_rare_are_not_judged(rng):
    assert doctor.find_mislabelled(*kinds(rng, apart=0.0)) == []
    vectors, labels, packs, digests = kinds(rng)
    labels[0] = "c"
    labels[1] = ""
    assert doctor.find_mislabelled(vectors, labels, packs, digests) == []


def test_what_is_far_from_everything_is_an_outlier(rng):
    vectors = rng.standard_normal((200, 8)).astype(np.float32)
    assert len(doctor.find_outliers(vectors)) < 15
    vectors[7] = 40.0
    row, times = max(doctor.find_outliers(vectors), key=lambda found: found[1])
    assert row == 7 and times > 10
    grid = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), axis=-1).reshape(-1, 3).astype("f4")
    assert doctor.find_outliers(grid) == []
    assert (
        doctor.find_outliers(vectors[:19]) == []
        and doctor.find_outliers(np.zeros((30, 2), "f4")) == []
    )
