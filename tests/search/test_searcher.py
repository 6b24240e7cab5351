"""Search against its oracle: all distances, sorted."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sst import atomic
from sst.errors import UsageError
from sst.search import scann_index, stored_index
from sst.search import searcher as searchers

needs_scann = pytest.mark.skipif(
    not searchers.scann_is_installed(), reason="ScaNN is not installed"
)
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
    searcher = searchers.build(vectors[:n], engine)
    for k in {1, max(n, 1), n + 1}:
        rows, distances = searcher.search(vectors[:5], k)
        expected = oracle(vectors[:n], vectors[:5], k)
        assert rows.shape == distances.shape == (5, min(k, n))
        assert (rows.dtype, distances.dtype) == (np.int64, np.float32)
        np.testing.assert_array_equal(rows, expected[0])
        np.testing.assert_array_equal(distances, expected[1])


@pytest.mark.parametrize("engine", BOTH)
def test_a_row_is_its_own_nearest_at_distance_zero(vectors, engine):
    searcher = searchers.build(vectors, engine)
    rows, distances = searcher.search(vectors, 1)
    np.testing.assert_array_equal(rows[:, 0], np.arange(len(vectors)))
    np.testing.assert_array_equal(distances, 0.0)


@pytest.mark.parametrize("engine", BOTH)
def test_ties_come_in_the_order_of_the_rows(engine):
    same = np.ones((100, 8), np.float32)
    rows, distances = searchers.build(same, engine).search(same[:2], 100)
    np.testing.assert_array_equal(rows, [np.arange(100)] * 2)
    assert not distances.any()


@pytest.mark.parametrize("engine", BOTH)
def test_one_query_or_many_give_the_same(vectors, engine):
    searcher = searchers.build(vectors, engine)
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
    found = searchers.build(vectors, "exact").search(queries, 7)
    expected = oracle(vectors, queries, 7)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


@needs_scann
def test_a_tree_searched_through_all_leaves_equals_exact(vectors):
    plan = searchers.Plan("tree", candidates=len(vectors), leaves=20, leaves_to_search=20)
    tree = searchers.build(vectors, "scann", plan)
    assert tree.recall == 1.0
    for found, exact in zip(tree.search(vectors, 10), oracle(vectors, vectors, 10), strict=True):
        np.testing.assert_array_equal(found, exact)


@needs_scann
def test_few_leaves_still_return_k_rows_and_the_recall_says_what_is_missed(vectors):
    plan = searchers.Plan("tree", candidates=20, leaves=100, leaves_to_search=1)
    tree = searchers.build(vectors, "scann", plan)
    rows, distances = tree.search(vectors, 10)
    assert all(len(set(row)) == 10 for row in rows.tolist())
    assert (np.diff(distances, axis=1) >= 0).all()
    truth = oracle(vectors, vectors, 11)[1]
    assert tree.recall == pytest.approx((distances[:, 1:] <= truth[:, -2:-1]).mean(), abs=0.15)


@needs_scann
def test_auto_takes_scann_only_where_it_is_large_and_good_enough(vectors, monkeypatch):
    assert searchers.build(vectors).engine == "exact"
    monkeypatch.setattr(searchers, "SCANN_FROM", 100)
    assert searchers.build(vectors).engine == "scann"
    monkeypatch.setattr(searchers, "TARGET_RECALL", 1.1)
    assert searchers.build(vectors).engine == "exact"
    assert searchers.build(vectors, "scann").engine == "scann"


def test_without_scann_the_exact_engine_serves(vectors, monkeypatch):
    monkeypatch.setattr(searchers, "scann_is_installed", lambda: False)
    monkeypatch.setattr(searchers, "SCANN_FROM", 100)
    assert searchers.build(vectors).engine == "exact"
    with pytest.raises(UsageError, match="not installed"):
        searchers.build(vectors, "scann")


def test_what_is_not_finite_or_does_not_fit_is_refused(vectors):
    broken = vectors.copy()
    broken[7, 3] = np.nan
    with pytest.raises(ValueError, match="row 7"):
        searchers.build(broken)
    searcher = searchers.build(vectors)
    for queries, k in [(broken[7:8], 1), (vectors[:1], 0), (vectors[:1, :3], 1), (vectors[0], 1)]:
        with pytest.raises(ValueError):
            searcher.search(queries, k)
    with pytest.raises(UsageError):
        searchers.build(vectors, "fastest")


@needs_scann
def test_a_stored_index_moves_and_is_used_again(vectors, tmp_path, monkeypatch):
    first = searchers.open_or_build(tmp_path / "a", vectors, "scann")
    (tmp_path / "a").rename(tmp_path / "b")
    monkeypatch.setattr(scann_index, "build_index", lambda *_: pytest.fail("built again"))
    again = searchers.open_or_build(tmp_path / "b", vectors, "scann")
    assert (again.index.plan, again.recall) == (first.index.plan, first.recall)
    for one, other in zip(first.search(vectors, 5), again.search(vectors, 5), strict=True):
        np.testing.assert_array_equal(one, other)


def recall(searcher, queries):
    """By distance, so that one of several copies is as good."""
    found, truth = searcher.search(queries, 10)[1], oracle(searcher.vectors, queries, 10)[1]
    return np.mean(found <= truth[:, -1:])


def held(place):
    """The ids of a stored index, and whether it can be opened."""
    return np.sort(scann_index.load(place).ids)


@needs_scann
@pytest.mark.parametrize("kind", ["hash", "tree"])
def test_after_any_changes_the_index_holds_what_a_new_one_would(tmp_path, rng, monkeypatch, kind):
    monkeypatch.setattr(scann_index, "TREE_FROM", 0 if kind == "tree" else 10**9)
    centres = rng.standard_normal((12, 16))

    def draw(n):
        rows = centres[rng.integers(12, size=n)] + 0.3 * rng.standard_normal((n, 16))
        return rows.astype(np.float32)

    vectors = draw(3000)
    searchers.open_or_build(tmp_path, vectors, "scann")
    monkeypatch.setattr(scann_index, "build_index", lambda *_: pytest.fail("built again"))
    recalls = []
    for _ in range(8):
        kept = vectors[rng.random(len(vectors)) > rng.choice([0, 0.004, 0.01])]
        copies = kept[rng.integers(len(kept), size=rng.integers(0, 5))]
        vectors = np.concatenate([kept, draw(rng.integers(0, 30)), copies])
        vectors = vectors[rng.permutation(len(vectors))]
        searcher = searchers.open_or_build(tmp_path, vectors, "scann")
        new = draw(100)
        recalls.append(recall(searcher, new))
        assert searcher.recall >= 0.95
        np.testing.assert_array_equal(searcher.search(vectors, 1)[1], 0.0)
        (place,) = tmp_path.iterdir()
        np.testing.assert_array_equal(held(place), np.sort(scann_index.hash_vectors(vectors)))
        again = searchers.open_or_build(tmp_path, vectors, "scann")
        for one, other in zip(searcher.search(new, 10), again.search(new, 10), strict=True):
            np.testing.assert_array_equal(one, other)
    assert np.mean(recalls) >= 0.95


@needs_scann
def test_one_new_row_is_one_row_put_in(vectors, tmp_path, monkeypatch):
    first = searchers.open_or_build(tmp_path, vectors[:-1], "scann")
    monkeypatch.setattr(scann_index, "build_index", lambda *_: pytest.fail("built again"))
    added = []
    real = scann_index.update_index

    def counted(index, vectors, change):
        added.append((list(change.added), int((change.order < 0).sum())))
        return real(index, vectors, change)

    monkeypatch.setattr(scann_index, "update_index", counted)
    searchers.open_or_build(tmp_path, vectors, "scann")
    assert added == [([len(vectors) - 1], 0)]
    searchers.open_or_build(tmp_path, vectors[::-1], "scann")
    assert len(added) == 1  # another order is no change
    assert first.index.changed == 0
    (place,) = tmp_path.iterdir()
    assert scann_index.load(place).changed == 1


@needs_scann
def test_many_changes_train_it_again(vectors, tmp_path):
    searchers.open_or_build(tmp_path, vectors, "scann")
    for end, changed in [(460, 40), (420, 80), (380, 0)]:  # the third makes it 120 of 500
        again = searchers.open_or_build(tmp_path, vectors[:end], "scann")
        assert again.index.changed == changed
        assert len(list(tmp_path.iterdir())) == 1


@needs_scann
def test_an_index_that_the_changes_made_worse_is_built_again(vectors, tmp_path, monkeypatch):
    searchers.open_or_build(tmp_path, vectors, "scann")
    real, seen = searchers._recall, []
    monkeypatch.setattr(
        searchers, "_recall", lambda *a: seen.append(a) or (len(seen) > 3) * real(*a)
    )
    again = searchers.open_or_build(tmp_path, vectors[1:], "scann")
    assert len(seen) == 4  # the three plans of the changed one, then the first of the new one
    assert again.index.changed == 0


@needs_scann
def test_a_reader_that_comes_while_the_index_is_replaced_finds_the_new_one(
    vectors, tmp_path, monkeypatch
):
    searchers.open_or_build(tmp_path, vectors, "scann")
    real = scann_index.load

    def replaced(place):
        monkeypatch.setattr(scann_index, "load", real)
        stored_index.remove(place)
        return real(place)

    monkeypatch.setattr(scann_index, "load", replaced)
    rows, _ = searchers.open_or_build(tmp_path, vectors, "scann").search(vectors[:3], 1)
    np.testing.assert_array_equal(rows[:, 0], [0, 1, 2])


@needs_scann
def test_an_index_that_cannot_be_stored_serves_all_the_same(vectors, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with pytest.warns(stored_index.IndexWarning, match="No space left"):
        searcher = searchers.open_or_build(tmp_path, vectors, "scann")
    assert recall(searcher, vectors[:50]) >= 0.95
    assert list(tmp_path.iterdir()) == []


@needs_scann
def test_what_a_killed_process_left_is_cleared_away_and_a_living_one_is_let_be(vectors, tmp_path):
    for name in (".sst-old", ".sst-new"):
        (tmp_path / name).mkdir()
    os.utime(tmp_path / ".sst-old", (1, 1))
    searchers.open_or_build(tmp_path, vectors, "scann")
    names = {path.name for path in tmp_path.iterdir()}
    assert (".sst-new" in names, ".sst-old" in names, len(names)) == (True, False, 2)


@needs_scann
def test_files_that_scann_does_not_know_are_an_index_that_is_built_again(vectors, tmp_path):
    searchers.open_or_build(tmp_path, vectors, "scann")
    (place,) = tmp_path.iterdir()
    altered(place, "scann_config.pb", b"something else")
    with pytest.warns(stored_index.IndexWarning, match="cannot be read"):
        searchers.open_or_build(tmp_path, vectors, "scann")
    scann_index.load(place)


def test_ids_tell_rows_apart_and_do_not_depend_on_their_order(vectors):
    ids = scann_index.hash_vectors(vectors)
    assert len(set(ids.tolist())) == len(vectors)
    np.testing.assert_array_equal(scann_index.hash_vectors(vectors[::-1]), ids[::-1])
    np.testing.assert_array_equal(scann_index.hash_vectors(vectors[7:9]), ids[7:9])


@given(st.lists(st.integers(0, 5), max_size=12), st.lists(st.integers(0, 5), max_size=12))
def test_a_difference_is_that_of_multisets(before, after):
    ids, wanted = (np.array(x, np.uint64) for x in (before, after))
    order, added = scann_index.find_difference(ids, wanted)
    kept = order[order >= 0]
    np.testing.assert_array_equal(ids[order >= 0], wanted[kept])
    np.testing.assert_array_equal(np.sort([*kept, *added]), np.arange(len(wanted)))
    assert len(kept) == sum(min(before.count(i), after.count(i)) for i in set(before))


@needs_scann
@pytest.mark.parametrize("n", [0, 1, 5])
def test_an_index_of_any_size_can_be_emptied_and_filled(vectors, n):
    index = scann_index.build_index(vectors[:n] if n else vectors[:1], searchers.Plan("hash"))
    for end in (0, 3):
        change = scann_index.find_difference(index.ids, scann_index.hash_vectors(vectors[:end]))
        index, order = scann_index.update_index(index, vectors[:end], change)
        assert index.native.size() == len(order) == end
    np.testing.assert_array_equal(scann_index.hash_vectors(vectors[order]), index.ids)


@needs_scann
def test_every_flipped_bit_missing_or_foreign_file_is_noticed_before_scann(
    vectors, tmp_path, monkeypatch
):
    plan = searchers.Plan("tree", leaves=16, leaves_to_search=4)
    place = tmp_path / "scann-x"
    scann_index.save(scann_index.build_index(vectors, plan), place)
    monkeypatch.setattr(scann_index, "_scann", lambda: pytest.fail("ScaNN saw a damaged index"))
    for path in sorted(place.iterdir()):
        intact = path.read_bytes()
        for position in (0, len(intact) // 2, len(intact) - 1):
            flipped = bytearray(intact)
            flipped[position] ^= 1
            path.write_bytes(flipped)
            if path.name == "MANIFEST.json" and _same_json(intact, flipped):
                continue
            with pytest.raises(scann_index.DamagedIndex):
                scann_index.load(place)
        path.unlink()
        with pytest.raises(scann_index.DamagedIndex):
            scann_index.load(place)
        path.write_bytes(intact)
    (place / "scann_docids.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(scann_index.DamagedIndex):
        scann_index.load(place)


def _same_json(one, other):
    try:
        return json.loads(one) == json.loads(bytes(other))
    except ValueError:
        return False


def altered(place, name, content):
    """Replaces a file of a stored index, and its digest in the manifest."""
    (place / name).write_bytes(content)
    facts = json.loads((place / "MANIFEST.json").read_text())
    facts["files"][name] = atomic.sha256(place / name)
    (place / "MANIFEST.json").write_text(json.dumps(facts))


@needs_scann
def test_asset_paths_may_not_leave_the_folder_even_with_a_matching_manifest(vectors, tmp_path):
    place = tmp_path / "scann-x"
    scann_index.save(scann_index.build_index(vectors, searchers.Plan("hash")), place)
    assets = (place / "scann_assets.pbtxt").read_bytes()
    altered(place, "scann_assets.pbtxt", assets.replace(b"hashed_dataset", b"../hashed_dataset"))
    with pytest.raises(scann_index.DamagedIndex, match="altered"):
        scann_index.load(place)


@needs_scann
def test_a_list_of_rows_that_does_not_fit_is_refused(vectors, tmp_path):
    place = tmp_path / "scann-x"
    scann_index.save(scann_index.build_index(vectors, searchers.Plan("hash")), place)
    np.save(tmp_path / "ids.npy", scann_index.hash_vectors(vectors[1:]))
    altered(place, "ids.npy", (tmp_path / "ids.npy").read_bytes())
    with pytest.raises(scann_index.DamagedIndex, match="fit"):
        scann_index.load(place)


@needs_scann
def test_a_damaged_index_is_rebuilt_with_a_warning(vectors, tmp_path):
    searchers.open_or_build(tmp_path, vectors, "scann")
    (place,) = tmp_path.iterdir()
    (place / "hashed_dataset.npy").write_bytes(b"")
    with pytest.warns(stored_index.IndexWarning, match="built again"):
        searcher = searchers.open_or_build(tmp_path, vectors, "scann")
    np.testing.assert_array_equal(searcher.search(vectors[:3], 1)[0][:, 0], [0, 1, 2])
    assert [p.name for p in tmp_path.iterdir()] == [place.name]
    scann_index.load(place)


@needs_scann
def test_scann_is_imported_without_tensorflow():
    code = (
        "import sys; from sst.search import scann_index; scann_index._scann();"
        "assert not [m for m in sys.modules if m.split('.')[0] in ('tensorflow', 'jax')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
