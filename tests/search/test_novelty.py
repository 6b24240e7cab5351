"""Novelty in per cent: by the distances between real sounds."""

import numpy as np
import pytest

from sst.search import novelty, similarity


def never(a: int, b: int) -> bool:
    return False


def test_spacing_is_what_loops_find(rng):
    vectors, groups = rng.standard_normal((40, 3)), np.arange(40) % 7
    found = []
    for i in range(40):
        away = [np.linalg.norm(vectors[i] - v) for v in vectors]
        others = [d for d, group in zip(away, groups, strict=True) if group != groups[i]]
        found.append(min(others))
    expected = np.quantile(found, np.linspace(0, 1, 101))
    np.testing.assert_allclose(novelty.measure_spacing(vectors, groups, never), expected, rtol=1e-5)


def test_copies_in_other_packs_make_nothing_seem_usual(rng):
    vectors = 5.0 * rng.standard_normal((30, 4))
    twice = np.concatenate([vectors, vectors + 0.01])
    packs, sounds = np.repeat([0, 1], 30), np.tile(np.arange(30), 2)
    spaced = novelty.measure_spacing(twice, packs, lambda a, b: sounds[a] == sounds[b])
    assert spaced[0] > similarity.COPY_REACH
    # Near, but by their waveforms no copies: they do make what is near seem usual.
    np.testing.assert_allclose(novelty.measure_spacing(twice, packs, never), 0.02, rtol=1e-2)
    none = novelty.measure_spacing(vectors, np.zeros(30), never)
    np.testing.assert_array_equal(none, novelty.NO_SPACING)


def test_per_cents_are_the_share_of_real_sounds_that_are_nearer():
    quantiles = np.linspace(1.0, 3.0, 101)
    for distance, share in ((0.0, 0), (1.0, 0), (1.5, 25), (2.0, 50), (3.0, 100), (9.0, 100)):
        assert novelty.percentile(distance, quantiles) == pytest.approx(share)
    assert novelty.percentile(1.0, novelty.NO_SPACING) is None


def test_packs_are_groups_where_there_are_enough_of_them():
    many = [f"lib/pack{i % 12}/kick/{i}.wav" for i in range(24)]
    assert len(set(novelty.number_groups(many))) == 12
    few = [f"lib/pack{i % 3}/kick/{i}.wav" for i in range(24)]
    assert len(set(novelty.number_groups(few))) == 24
    assert len(set(novelty.number_groups(few, by_pack=True))) == 3
    assert len(set(novelty.number_groups(few[::3], by_pack=True))) == 8  # of one pack
