import gc
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sst.errors import ModelError, ResourceError
from sst.training import checkpoints

# Orbax abandons the other leaves' coroutines when one leaf cannot be read.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def make_state(step):
    rng = np.random.default_rng(step)
    return {
        "step": jnp.int32(step),
        "big": jnp.asarray(rng.standard_normal((100, 100)), jnp.float32),
        "key": jax.random.key_data(jax.random.key(step)),
    }


TEMPLATE = make_state(0)


@pytest.fixture
def opened():
    """Opens stores, and closes them whatever happens."""
    stores = []

    def open_store(directory):
        stores.append(checkpoints.Store(directory))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()
    gc.collect()  # here, where its warnings are filtered


def fill(store, losses):
    for number, loss in enumerate(losses, start=1):
        store.save(10 * number, make_state(10 * number), loss)
    store.wait()


def assert_is(found, step):
    assert found.step == step
    assert checkpoints.digests(found.state) == checkpoints.digests(make_state(step))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    directory = tmp_path_factory.mktemp("written") / "checkpoints"
    store = checkpoints.Store(directory)
    fill(store, [1.0, 2.0])
    store.close()
    return directory


def copy_of(written, tmp_path):
    return Path(shutil.copytree(written, tmp_path / "copy"))


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("losses", "kept", "best"),
    [
        ([3.0, 1.0, NAN, 4.0, NAN, 6.0], [20, 50, 60], 20),
        ([NAN, 5.0, 1.0, 2.0, 3.0, 4.0, 9.0, INF], [30, 70, 80], 30),
        ([8.0 - i for i in range(8)], [70, 80], 80),
        ([1.0 + i for i in range(8)], [10, 70, 80], 10),
        ([-5.0, -9.0, -7.0, -6.0], [20, 30, 40], 20),
    ],
)
def test_the_newest_two_and_the_best_are_kept(tmp_path, opened, losses, kept, best):
    store = opened(tmp_path)
    fill(store, losses)
    assert store.steps() == kept
    assert_is(store.restore(TEMPLATE), kept[-1])
    assert_is(store.restore(TEMPLATE, best=True), best)


def test_nothing_to_restore(tmp_path, opened):
    assert opened(tmp_path).restore(TEMPLATE) is None


def test_the_state_may_be_donated_while_it_is_written(tmp_path, opened):
    store, state = opened(tmp_path), make_state(10)
    spoil = jax.jit(lambda tree: jax.tree.map(lambda x: x * 0, tree), donate_argnums=0)
    store.save(10, state, 1.0)
    spoil(state)
    store.wait()
    assert_is(store.restore(TEMPLATE), 10)


def test_one_flipped_bit_in_any_file_is_never_restored(written, tmp_path, opened):
    files = [p.relative_to(written) for p in (written / "step_20").rglob("*") if p.is_file()]
    assert len(files) > 8
    fell_back = 0
    for number, name in enumerate(sorted(files)):
        directory = Path(shutil.copytree(written, tmp_path / str(number)))
        data = bytearray((directory / name).read_bytes())
        if not data:
            continue
        data[len(data) // 2] ^= 4
        (directory / name).write_bytes(data)
        found = opened(directory).restore(TEMPLATE)
        assert_is(found, found.step)
        if found.step == 10:
            fell_back += 1
            assert "Checkpoint 20 cannot be used (" in found.notes[0]
            assert (directory / "damaged_step_20").is_dir()
    assert fell_back >= 4


def flip_a_bit_of_the_largest_file(checkpoint):
    large = max(checkpoint.rglob("*"), key=lambda path: path.stat().st_size)
    data = bytearray(large.read_bytes())
    data[len(data) // 2] ^= 1
    large.write_bytes(data)
    return large.relative_to(checkpoint)


def test_a_flipped_bit_names_the_step_and_the_file(written, tmp_path, opened):
    directory = copy_of(written, tmp_path)
    damaged = flip_a_bit_of_the_largest_file(directory / "step_20")
    store = opened(directory)
    found = store.restore(TEMPLATE)
    assert_is(found, 10)
    assert found.notes == [
        f"Checkpoint 20 cannot be used ({damaged} fails its checksum); going on from 10."
    ]
    store.save(20, make_state(20), 0.5)  # the step is written anew
    store.wait()
    assert_is(store.restore(TEMPLATE), 20)


def test_without_checksums_of_files_the_arrays_are_checked(written, tmp_path, opened):
    directory = copy_of(written, tmp_path)
    for path in directory.glob(f"step_*/{checkpoints.SEAL}"):
        path.unlink()
    assert_is(opened(copy_of(directory, tmp_path / "whole")).restore(TEMPLATE), 20)
    flip_a_bit_of_the_largest_file(directory / "step_20")
    found = opened(directory).restore(TEMPLATE)
    assert_is(found, 10)
    assert "['big'] fails its checksum" in found.notes[0]


def test_an_emptied_file_without_checksums_is_passed_over(written, tmp_path, opened):
    directory = copy_of(written, tmp_path)
    (directory / "step_20" / checkpoints.SEAL).unlink()
    for path in (directory / "step_20/state").glob("ocdbt.process_0/d/*"):
        path.write_bytes(b"")
    found = opened(directory).restore(TEMPLATE)
    assert_is(found, 10)
    assert found.notes[0].startswith("Checkpoint 20 cannot be used (")


def test_damaged_metadata_are_named(written, tmp_path, opened):
    for number, content in enumerate((b"", b"{}", b'{"step": 20}')):
        directory = Path(shutil.copytree(written, tmp_path / str(number)))
        (directory / "step_20/meta/metadata").write_bytes(content)
        found = opened(directory).restore(TEMPLATE)
        assert_is(found, 10)
        assert "its metadata is damaged" in found.notes[0]


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda path: path.unlink(), "manifest.ocdbt is missing"),
        (lambda path: path.write_bytes(b""), "manifest.ocdbt fails its checksum"),
        (lambda path: path.with_name("new").write_bytes(b"1"), "new fails its checksum"),
        (lambda path: (path.parents[1] / checkpoints.SEAL).write_bytes(b"[1"), "is damaged"),
        (lambda path: (path.parents[1] / checkpoints.SEAL).write_bytes(b""), "is damaged"),
    ],
)
def test_damaged_files_are_never_opened(written, tmp_path, opened, monkeypatch, damage, why):
    import orbax.checkpoint as ocp  # opening them crashes the process, once in a thousand times

    directory = copy_of(written, tmp_path)
    for folder in directory.glob("step_*"):
        damage(folder / "state" / "manifest.ocdbt")
    store = opened(directory)
    monkeypatch.setattr(ocp.CheckpointManager, "restore", lambda *_, **__: pytest.fail("opened"))
    with pytest.raises(ModelError, match=f"is intact .step 20: .*{why}"):
        store.restore(TEMPLATE)


def test_when_all_are_damaged_it_is_an_error(written, tmp_path, opened):
    directory = copy_of(written, tmp_path)
    for path in directory.glob("step_*/state/manifest.ocdbt"):
        path.write_bytes(b"")
    with pytest.raises(ModelError, match="No checkpoint in .* is intact .step 20"):
        opened(directory).restore(TEMPLATE)
    assert len(list(directory.glob("step_*"))) == 2  # nothing is moved


def test_strays_are_left_alone(written, tmp_path, opened):
    directory = copy_of(written, tmp_path)
    (directory / "999").mkdir()
    (directory / "3").write_text("a file")
    shutil.copytree(directory / "step_10", directory / "10")
    shutil.copytree(directory / "step_10", directory / "step_10_backup")
    (directory / "step_999").mkdir()
    shutil.copytree(directory / "step_10", directory / "step_50")
    found = opened(directory).restore(TEMPLATE)
    assert_is(found, 20)
    assert [note.split()[1] for note in found.notes] == ["999", "50"]
    assert "a copy of step 10" in found.notes[1]


def test_a_template_of_other_shapes_is_refused(written, tmp_path, opened):
    wrong = TEMPLATE | {"big": jnp.zeros((100, 99))}
    with pytest.raises(ModelError):
        opened(copy_of(written, tmp_path)).restore(wrong)


def test_a_step_that_exists_is_kept_and_an_older_one_is_refused(tmp_path, opened):
    store = opened(tmp_path)
    fill(store, [1.0, 2.0])
    store.save(20, make_state(99), 0.0)
    store.wait()
    assert_is(store.restore(TEMPLATE), 20)
    with pytest.raises(ResourceError, match="newer than step 15"):
        store.save(15, make_state(15), 0.0)


def test_a_write_that_fails_is_reported_and_is_never_the_newest(tmp_path, opened, monkeypatch):
    import orbax.checkpoint as ocp

    store = opened(tmp_path)
    fill(store, [1.0])

    def full(*arguments, **keywords):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ocp.StandardCheckpointHandler, "async_save", full)
        with pytest.raises(ResourceError, match="No space left on device"):
            store.save(20, make_state(20), 0.5)
            store.wait()
    assert_is(opened(tmp_path).restore(TEMPLATE), 10)


def test_a_directory_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="Cannot use"):
        checkpoints.Store(tmp_path / "file" / "checkpoints")
