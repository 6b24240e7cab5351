import math

import numpy as np
import pytest

from sst.evaluation import retrieval


@pytest.fixture
def sounds(rng):
    """Embeddings, packs, and classes of which one is too rare to be a query."""
    n = 240
    classes = rng.choice(["bd", "hh", "sd", "fx"], n, p=[0.5, 0.3, 0.17, 0.03])
    centres = {name: rng.standard_normal(6) for name in ("bd", "hh", "sd", "fx")}
    embeddings = np.array([centres[c] for c in classes]) + rng.standard_normal((n, 6))
    return embeddings, rng.integers(0, 6, n).astype(str), classes


def naive(embeddings, groups, classes):
    """The protocol, word for word."""
    found = {}
    for i, query in enumerate(embeddings):
        foreign = [j for j in range(len(embeddings)) if groups[j] != groups[i]]
        foreign.sort(key=lambda j: math.dist(query, embeddings[j]))
        relevant = [classes[j] == classes[i] for j in foreign]
        if sum(relevant) < 10:
            continue
        precisions = [
            sum(relevant[: rank + 1]) / (rank + 1) for rank, hit in enumerate(relevant) if hit
        ]
        scores = (relevant[0], sum(relevant[:10]) / 10, sum(precisions) / len(precisions))
        found.setdefault(classes[i], []).append(scores)
    return {name: np.mean(scores, axis=0) for name, scores in found.items()}


def test_scores_against_a_naive_loop(sounds):
    result, expected = retrieval.score(*sounds), naive(*sounds)
    assert set(result.per_class) == set(expected) == {"bd", "hh", "sd"}
    for name, scores in expected.items():
        np.testing.assert_allclose(result.per_class[name][:3], scores)
    np.testing.assert_allclose(result[:3], np.mean(list(expected.values()), axis=0))


def test_the_figures_are_weighted_means_over_the_queries(sounds):
    result = retrieval.score(*sounds)
    each = (result.query_p1, result.query_p10, result.query_ap)
    for figure, values in zip(result[:3], each, strict=True):
        assert np.average(values, weights=result.query_weight) == pytest.approx(figure)
    classes = sounds[2][result.query_rows]
    assert result.per_class["sd"].n == np.sum(classes == "sd")
    assert result.per_class["sd"].p1 == pytest.approx(result.query_p1[classes == "sd"].mean())


def test_classes_as_embeddings_are_perfect_and_packs_do_not_help():
    classes, packs = np.tile(np.arange(4), 60), np.repeat(np.arange(6), 40)
    np.testing.assert_allclose(retrieval.score(np.eye(4)[classes], packs, classes)[:3], 1.0)
    by_pack = retrieval.score(np.eye(6)[packs], packs, classes)
    assert by_pack.map < 0.4  # chance is 0.25; ties are taken in order


def test_distance_decides_not_order_nor_shift(sounds, rng):
    embeddings, groups, classes = sounds
    order = rng.permutation(len(groups))
    shuffled = retrieval.score(embeddings[order] + 5.0, groups[order], classes[order])
    np.testing.assert_allclose(shuffled[:3], retrieval.score(*sounds)[:3])


def test_no_query_counts():
    result = retrieval.score(np.ones((5, 2)), list("aabbc"), list("xxxxx"))
    assert math.isnan(result.p1) and math.isnan(result.map)
    assert result.per_class == {} and len(result.query_ap) == len(result.query_weight) == 0


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="3 rows, 2 groups"):
        retrieval.score(np.ones((3, 2)), ["a", "b"], ["x", "x", "x"])
    with pytest.raises(ValueError, match="not finite"):
        retrieval.score(np.array([[np.nan]]), ["a"], ["x"])
