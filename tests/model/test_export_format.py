import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sst.config import Config
from sst.errors import ModelError, ResourceError
from sst.model import export_format, quantization
from sst.search import novelty

PARAMS = {"net": {"Dense_0": {"kernel": np.arange(6.0).reshape(2, 3), "bias": np.zeros(3)}}}
STATS = {"mean": np.ones((4, 5), np.float32), "count": np.int32(7)}
PRIOR = {"weights": np.array([0.25, 0.75])}


def save(directory, params=PARAMS, facts=None):
    export_format.save_model(
        directory, Config(name="x"), params, STATS, PRIOR, ["kick"], facts or {"step": 3}
    )


def test_what_is_saved_comes_back(tmp_path):
    save(tmp_path / "model")
    found = export_format.load_model(tmp_path / "model")
    assert found.config == Config(name="x")
    assert found.class_names == ["kick"] and found.facts == {"step": 3}
    kernel = found.params["net"]["Dense_0"]["kernel"]
    assert kernel.dtype == np.float32
    np.testing.assert_array_equal(kernel, PARAMS["net"]["Dense_0"]["kernel"])
    np.testing.assert_array_equal(found.stats["mean"], STATS["mean"])
    assert found.stats["count"] == 7 and found.stats["count"].dtype == np.int32
    np.testing.assert_array_equal(found.prior["weights"], [0.25, 0.75])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_the_temperature_comes_back_and_older_models_have_none(tmp_path):
    save(tmp_path / "model")
    assert export_format.load_model(tmp_path / "model").temperature == 1.0
    manifest = tmp_path / "model" / "manifest.json"
    written = json.loads(manifest.read_text())
    for value, expected in ((1.25, 1.25), (None, 1.0)):
        changed = {k: v for k, v in written.items() if k != "temperature"}
        manifest.write_text(json.dumps(changed | ({"temperature": value} if value else {})))
        assert export_format.load_model(tmp_path / "model").temperature == expected
    for value in (0, -1, "warm", float("nan")):
        manifest.write_text(json.dumps(written | {"temperature": value}))
        with pytest.raises(ModelError, match="damaged"):
            export_format.load_model(tmp_path / "model")


def test_half_precision_saves_half_the_bytes_and_is_read_as_single(tmp_path):
    noise = np.random.default_rng(0).standard_normal((100, 1000))
    for name, kind in (("half", np.float16), ("single", np.float32)):
        save(tmp_path / name, params={"net": noise.astype(kind)})
    half, single = ((tmp_path / name / "params.npz").stat().st_size for name in ("half", "single"))
    assert 0.45 * single < half < 0.55 * single
    found = export_format.load_model(tmp_path / "half").params["net"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, noise.astype(np.float16))


def test_eight_bits_take_a_quarter_and_are_read_as_single(tmp_path):
    noise = np.random.default_rng(0).standard_normal((100, 1000)).astype(np.float32)
    coarse = quantization.quantize(noise, 100)
    for name, net in (("eight", coarse), ("single", noise)):
        save(tmp_path / name, params={"net": {"kernel": net, "bias": np.ones(3)}})
    eight, single = (
        (tmp_path / name / "params.npz").stat().st_size for name in ("eight", "single")
    )
    assert 0.25 * single < eight < 0.27 * single
    found = export_format.load_model(tmp_path / "eight").params["net"]
    assert found["kernel"].dtype == np.float32 and sorted(found) == ["bias", "kernel"]
    np.testing.assert_array_equal(found["kernel"], quantization.restore(coarse))


def test_the_digest_depends_on_the_arrays_alone(tmp_path):
    save(tmp_path / "a")
    save(tmp_path / "b", facts={"step": 4})
    save(tmp_path / "c", params={"net": np.ones(3)})
    a, b, c = (export_format.load_model(tmp_path / name).digest for name in "abc")
    assert a == b != c and len(a) == 12


def test_saving_again_replaces_the_model_as_a_whole(tmp_path):
    save(tmp_path / "model")
    (tmp_path / "model" / "stray").write_text("")
    save(tmp_path / "model", params={"net": np.ones(3)})
    assert export_format.load_model(tmp_path / "model").params["net"].shape == (3,)
    assert not (tmp_path / "model" / "stray").exists()


@pytest.mark.parametrize("name", ["write_bytes", "fsync", "mkdir", "rename", "rmtree"])
def test_a_failure_at_any_moment_leaves_a_whole_model(tmp_path, monkeypatch, name):
    """Fails the n-th call, for every n until the save succeeds."""
    save(tmp_path / "model")
    old = export_format.load_model(tmp_path / "model").digest
    owner = {
        "write_bytes": Path,
        "fsync": os,
        "mkdir": os,
        "rename": os,
        "rmtree": shutil,
    }[name]
    real = getattr(owner, name)
    for failing in range(1, 20):
        calls = []

        def maybe(*arguments, calls=calls, failing=failing, **keywords):
            calls.append(1)
            if len(calls) == failing:
                raise OSError(28, "No space left on device")
            return real(*arguments, **keywords)

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, maybe, raising=False)
            try:
                save(tmp_path / "model", params={"net": np.ones(failing)})
            except ResourceError as error:
                assert "No space left" in str(error)
            done = len(calls) < failing
        digest = export_format.load_model(tmp_path / "model").digest
        if done:
            assert digest != old
            break
    else:
        pytest.fail("it never succeeded")


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path):
    save(tmp_path / "model")
    (tmp_path / "model").rename(tmp_path / ".model.previous")
    assert export_format.load_model(tmp_path / "model").facts["step"] == 3
    save(tmp_path / "model", facts={"step": 5})
    assert export_format.load_model(tmp_path / "model").facts["step"] == 5
    assert not (tmp_path / ".model.previous").exists()


def test_every_flipped_byte_of_the_parameters_is_noticed(tmp_path):
    save(tmp_path / "model")
    path = tmp_path / "model" / "params.npz"
    whole = path.read_bytes()
    for position in range(0, len(whole), 97):
        data = bytearray(whole)
        data[position] ^= 1
        path.write_bytes(data)
        with pytest.raises(ModelError, match="params.npz fails its checksum"):
            export_format.load_model(tmp_path / "model")
    path.write_bytes(whole[:-1])
    with pytest.raises(ModelError):
        export_format.load_model(tmp_path / "model")


def forge(directory, data):
    """A model whose checksums are right, made by someone else."""
    save(directory)
    (directory / "params.npz").write_bytes(data)
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["sha256"]["params.npz"] = export_format.hashlib.sha256(data).hexdigest()
    (directory / "manifest.json").write_text(json.dumps(manifest))


def archive(member, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        file.writestr("params/w.npy", member)
    return buffer.getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def test_arrays_that_declare_more_than_they_hold_are_refused(tmp_path):
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (100000000000,), }"
    bomb = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    packed = archive(npy(np.zeros(1_000_000)), zipfile.ZIP_DEFLATED)
    for number, data in enumerate((archive(bomb), packed, b"PK\x05\x06" + bytes(18), b"", b"x")):
        forge(tmp_path / str(number), data)
        if number == 2:
            continue  # an empty archive is a model without arrays
        with pytest.raises(ModelError, match="damaged"):
            export_format.load_model(tmp_path / str(number))


class Canary:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def test_a_pickle_inside_is_never_executed(tmp_path):
    forge(tmp_path / "model", archive(npy(np.array([Canary()], dtype=object))))
    with pytest.raises(ModelError, match="damaged"):
        export_format.load_model(tmp_path / "model")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 2}', "nonsense"])
def test_a_damaged_manifest_is_a_sentence(tmp_path, text):
    save(tmp_path / "model")
    (tmp_path / "model" / "manifest.json").write_text(text)
    with pytest.raises(ModelError):
        export_format.load_model(tmp_path / "model")


def test_no_model_there(tmp_path):
    with pytest.raises(ModelError, match="No model at"):
        export_format.load_model(tmp_path / "nowhere")


def test_loading_imports_neither_jax_nor_orbax(tmp_path):
    save(tmp_path / "model")
    code = (
        "import sys; from sst.model import export_format; "
        f"export_format.load_model({str(tmp_path / 'model')!r}); "
        "assert not {'jax', 'orbax', 'tensorflow'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


KNOWN = novelty.KnownSounds(
    ["lib/a kick.wav", "lib/Ü/b.wav"], np.array([[0.6, -0.8], [1.0, 0.0]]), np.array([0.25, 0.5])
)


def test_known_sounds_come_back_in_half_precision_and_older_models_have_none(tmp_path):
    save(tmp_path / "old")
    assert export_format.load_known(tmp_path / "old") is None
    parts = (PARAMS, STATS, PRIOR, [], {})
    export_format.save_model(tmp_path / "model", Config(name="x"), *parts, known=KNOWN)
    found = export_format.load_known(tmp_path / "model")
    assert found.ids == KNOWN.ids and found.vectors.dtype == np.float32
    np.testing.assert_allclose(found.vectors, KNOWN.vectors, rtol=1e-3)
    np.testing.assert_array_equal(found.spacing, KNOWN.spacing)
    with pytest.raises(ModelError, match="No model"):
        export_format.load_known(tmp_path / "absent")


def test_damaged_known_sounds_are_a_sentence_and_leave_the_model_usable(tmp_path):
    export_format.save_model(
        tmp_path / "model", Config(name="x"), PARAMS, STATS, PRIOR, ["kick"], {}, known=KNOWN
    )
    path = tmp_path / "model" / "known.npz"
    good = path.read_bytes()
    for bad in (good[:-7], good.replace(b"kick", b"kack"), b""):
        path.write_bytes(bad)
        with pytest.raises(ModelError, match=r"known.npz fails its checksum"):
            export_format.load_known(tmp_path / "model")
    path.unlink()
    with pytest.raises(ModelError, match="No such file"):
        export_format.load_known(tmp_path / "model")
    assert export_format.load_model(tmp_path / "model").class_names == ["kick"]


def test_a_renamed_array_of_older_files_is_read_by_its_new_name(tmp_path):
    stats = {"mean": np.zeros(3, np.float32), "spread": np.arange(2, dtype=np.float32)}
    export_format.save_model(tmp_path / "model", Config(), {}, stats, {}, [], {})
    found = export_format.load_model(tmp_path / "model").stats
    assert set(found) == {"mean", "component_std"}
    np.testing.assert_array_equal(found["component_std"], stats["spread"])
