"""Search against its oracle: all distances, sorted."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sst import search
from sst.errors import UsageError

needs_scann = pytest.mark.skipif(not search.scann_installed(), reason="ScaNN is not installed")
BOTH = ["exact", pytest.param("scann", marks=needs_scann)]


def oracle(vectors, queries, k):
    difference = queries[:, None].astype(np.float64) - vectors[None]
    distances = np.sqrt((difference**2).sum(-1)).astype(np.float32)
    rows = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return rows, np.take_along_axis(distances, rows, axis=1)


@pytest.fixture
def vectors(rng):
    centres = rng.standard_normal((12, 16))
    rows = centres[rng.integers(12, size=500)] + 0.3 * rng.standard_normal((500, 16))
    return rows.astype(np.float32)


@pytest.mark.parametrize("engine", BOTH)
@pytest.mark.parametrize("n", [0, 1, 2, 15, 16, 17, 100])
def test_every_size_and_k_equals_the_oracle(vectors, engine, n):
    searcher = search.build(vectors[:n], engine)
    for k in {1, max(n, 1), n + 1}:
        rows, distances = searcher.search(vectors[:5], k)
        expected = oracle(vectors[:n], vectors[:5], k)
        assert rows.shape == distances.shape == (5, min(k, n))
        assert (rows.dtype, distances.dtype) == (np.int64, np.float32)
        np.testing.assert_array_equal(rows, expected[0])
        np.testing.assert_array_equal(distances, expected[1])


@pytest.mark.parametrize("engine", BOTH)
def test_a_row_is_its_own_nearest_at_distance_zero(vectors, engine):
    searcher = search.build(vectors, engine)
    rows, distances = searcher.search(vectors, 1)
    np.testing.assert_array_equal(rows[:, 0], np.arange(len(vectors)))
    np.testing.assert_array_equal(distances, 0.0)


@pytest.mark.parametrize("engine", BOTH)
def test_ties_come_in_the_order_of_the_rows(engine):
    same = np.ones((100, 8), np.float32)
    rows, distances = search.build(same, engine).search(same[:2], 100)
    np.testing.assert_array_equal(rows, [np.arange(100)] * 2)
    assert not distances.any()


@pytest.mark.parametrize("engine", BOTH)
def test_one_query_or_many_give_the_same(vectors, engine):
    searcher = search.build(vectors, engine)
    together = searcher.search(vectors[:40], 10)
    for i in range(40):
        alone = searcher.search(vectors[i : i + 1], 10)
        np.testing.assert_array_equal(alone[0][0], together[0][i])
        np.testing.assert_array_equal(alone[1][0], together[1][i])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-6, 1.0, 1e6]), st.floats(-1e4, 1e4))
def test_exact_stays_exact_far_from_the_origin(seed, scale, shift):
    rng = np.random.default_rng(seed)
    vectors = (scale * rng.standard_normal((60, 5)) + shift).astype(np.float32)
    queries = vectors[:6] + np.float32(0.1 * scale)
    found = search.build(vectors, "exact").search(queries, 7)
    expected = oracle(vectors, queries, 7)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


@needs_scann
def test_a_tree_searched_through_all_leaves_equals_exact(vectors):
    plan = search.Plan("tree", reorder=len(vectors), leaves=20, leaves_to_search=20)
    tree = search.build(vectors, "scann", plan)
    assert tree.recall == 1.0
    for found, exact in zip(tree.search(vectors, 10), oracle(vectors, vectors, 10), strict=True):
        np.testing.assert_array_equal(found, exact)


@needs_scann
def test_few_leaves_still_return_k_rows_and_the_recall_says_what_is_missed(vectors):
    plan = search.Plan("tree", reorder=20, leaves=100, leaves_to_search=1)
    tree = search.build(vectors, "scann", plan)
    rows, distances = tree.search(vectors, 10)
    assert all(len(set(row)) == 10 for row in rows.tolist())
    assert (np.diff(distances, axis=1) >= 0).all()
    truth = oracle(vectors, vectors, 11)[1]
    assert tree.recall == pytest.approx((distances[:, 1:] <= truth[:, -2:-1]).mean(), abs=0.15)


@needs_scann
def test_auto_takes_scann_only_where_it_is_large_and_good_enough(vectors, monkeypatch):
    assert search.build(vectors).engine == "exact"
    monkeypatch.setattr(search, "SCANN_FROM", 100)
    assert search.build(vectors).engine == "scann"
    monkeypatch.setattr(search, "TARGET_RECALL", 1.1)
    assert search.build(vectors).engine == "exact"
    assert search.build(vectors, "scann").engine == "scann"


def test_without_scann_the_exact_engine_serves(vectors, monkeypatch):
    monkeypatch.setattr(search, "scann_installed", lambda: False)
    monkeypatch.setattr(search, "SCANN_FROM", 100)
    assert search.build(vectors).engine == "exact"
    with pytest.raises(UsageError, match="not installed"):
        search.build(vectors, "scann")


def test_what_is_not_finite_or_does_not_fit_is_refused(vectors):
    broken = vectors.copy()
    broken[7, 3] = np.nan
    with pytest.raises(ValueError, match="row 7"):
        search.build(broken)
    searcher = search.build(vectors)
    for queries, k in [(broken[7:8], 1), (vectors[:1], 0), (vectors[:1, :3], 1), (vectors[0], 1)]:
        with pytest.raises(ValueError):
            searcher.search(queries, k)
    with pytest.raises(UsageError):
        search.build(vectors, "fastest")


@needs_scann
def test_a_stored_index_moves_and_is_used_again(vectors, tmp_path, monkeypatch):
    first = search.open_or_build(tmp_path / "a", vectors, "scann")
    (tmp_path / "a").rename(tmp_path / "b")
    monkeypatch.setattr(search, "_index", lambda *_: pytest.fail("built again"))
    again = search.open_or_build(tmp_path / "b", vectors, "scann")
    assert (again.plan, again.recall) == (first.plan, first.recall)
    for one, other in zip(first.search(vectors, 5), again.search(vectors, 5), strict=True):
        np.testing.assert_array_equal(one, other)


@needs_scann
def test_other_vectors_get_another_index_and_the_old_one_goes(vectors, tmp_path):
    search.open_or_build(tmp_path, vectors, "scann")
    search.open_or_build(tmp_path, vectors[:400], "scann")
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(search.DamagedIndex, match="other sounds"):
        search.load(next(tmp_path.iterdir()), vectors)


@needs_scann
def test_every_flipped_bit_missing_or_foreign_file_is_noticed_before_scann(
    vectors, tmp_path, monkeypatch
):
    plan = search.Plan("tree", reorder=100, leaves=16, leaves_to_search=4)
    place = tmp_path / "scann-x"
    search.save(search.build(vectors, "scann", plan), place)
    monkeypatch.setattr(search, "_scann", lambda: pytest.fail("ScaNN saw a damaged index"))
    for path in sorted(place.iterdir()):
        intact = path.read_bytes()
        for position in (0, len(intact) // 2, len(intact) - 1):
            flipped = bytearray(intact)
            flipped[position] ^= 1
            path.write_bytes(flipped)
            if path.name == "MANIFEST.json" and _same_json(intact, flipped):
                continue
            with pytest.raises(search.DamagedIndex):
                search.load(place, vectors)
        path.unlink()
        with pytest.raises(search.DamagedIndex):
            search.load(place, vectors)
        path.write_bytes(intact)
    (place / "scann_docids.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(search.DamagedIndex):
        search.load(place, vectors)


def _same_json(one, other):
    try:
        return json.loads(one) == json.loads(bytes(other))
    except ValueError:
        return False


@needs_scann
def test_asset_paths_may_not_leave_the_folder_even_with_a_matching_manifest(vectors, tmp_path):
    place = tmp_path / "scann-x"
    search.save(search.build(vectors, "scann"), place)
    assets = place / "scann_assets.pbtxt"
    assets.write_text(assets.read_text().replace("dataset.npy", "../dataset.npy"))
    facts = json.loads((place / "MANIFEST.json").read_text())
    facts["files"]["scann_assets.pbtxt"] = search._sha256(assets)
    (place / "MANIFEST.json").write_text(json.dumps(facts))
    with pytest.raises(search.DamagedIndex, match="altered"):
        search.load(place, vectors)


@needs_scann
def test_a_damaged_index_is_rebuilt_with_a_warning(vectors, tmp_path):
    search.open_or_build(tmp_path, vectors, "scann")
    (place,) = tmp_path.iterdir()
    (place / "dataset.npy").write_bytes(b"")
    with pytest.warns(search.IndexWarning, match="built again"):
        searcher = search.open_or_build(tmp_path, vectors, "scann")
    np.testing.assert_array_equal(searcher.search(vectors[:3], 1)[0][:, 0], [0, 1, 2])
    search.load(place, vectors)


@needs_scann
def test_scann_is_imported_without_tensorflow():
    code = (
        "import sys; from sst import search; search._scann();"
        "assert not [m for m in sys.modules if m.split('.')[0] in ('tensorflow', 'jax')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
