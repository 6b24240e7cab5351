"""The exported model: one directory of plain files, read without JAX and without pickle."""

import hashlib
import io
import json
import math
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from sst import atomic
from sst import config as configs
from sst.errors import ModelError, ResourceError
from sst.model import quantization
from sst.search.novelty import KnownSounds

T = TypeVar("T")
FORMAT = 5
KNOWN_FILE = "known.npz"  # optional
RENAMED_STATS = {"spread": "component_std"}  # names in older files
INT8_PREFIX = "int8_"  # before the names of the parts of a quantized array
SHIPPED_DIR = Path(__file__).parents[1] / "models"
MAX_BYTES = 4 << 30  # of each file: a larger one is not an exported model


class SavedModel(NamedTuple):
    """An exported model: nested dictionaries of NumPy arrays, configuration and class names."""

    config: configs.Config
    params: dict[str, Any]
    stats: dict[str, Any]
    prior: dict[str, Any]
    class_names: list[str]
    facts: dict[str, Any]
    digest: str  # 12 hexadecimal digits of the parameter file
    temperature: float = 1.0  # that the logits of the classes are divided by


def save_model(
    directory: str | os.PathLike[str],
    config: configs.Config,
    params: Mapping[str, Any],
    stats: Mapping[str, Any],
    prior: Mapping[str, Any],
    class_names: Sequence[str],
    facts: Mapping[str, Any],
    temperature: float = 1.0,
    known: KnownSounds | None = None,
) -> None:
    """Writes params.npz, config.json and manifest.json, replacing `directory` as a whole.

    The ids and search vectors of the training clips, `known`, go into known.npz.

    Arrays of float16 and `Quantized` ones stay so in the file and are read as float32; other
    floating-point arrays become float32. The same arrays give the same bytes.

    Raises:
        ResourceError: if the disk is full or not writable; an older model there stays as it was.
    """
    target = Path(directory)
    arrays = _flatten({"params": params, "stats": stats, "prior": prior})
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # stored, not compressed: noise does not shrink
    texts = {"config.json": json.dumps(configs.to_dict(config), indent=2).encode() + b"\n"}
    files = {"params.npz": buffer.getvalue(), **texts}
    if known is not None:
        files[KNOWN_FILE] = _known_bytes(known)
    manifest = {
        "format": FORMAT,
        "sha256": _checksums(files),
        "class_names": list(class_names),
        "temperature": float(temperature),
        "facts": dict(facts),
    }
    _write(target, files, manifest)


def _known_bytes(known: KnownSounds) -> bytes:
    """Returns known.npz, in half precision: it changes a distance by a thousandth."""
    buffer = io.BytesIO()
    np.savez(
        buffer,
        ids=np.frombuffer("\0".join(known.ids).encode(), np.uint8),
        vectors=known.vectors.astype(np.float16),
        spacing=known.spacing.astype(np.float32),
    )
    return buffer.getvalue()


def _checksums(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def _write(target: Path, files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> None:
    content = json.dumps(manifest, indent=2).encode() + b"\n"
    try:
        with atomic.replace_directory(target) as folder:
            for name, data in {**files, "manifest.json": content}.items():
                (folder / name).write_bytes(data)
    except OSError as error:
        raise ResourceError(f"Cannot write the model to {target}: {error.strerror}.") from error


def find_model(name: str | os.PathLike[str]) -> Path:
    """Finds the folder of an exported model: in a run directory, itself, or of a shipped model.

    Raises:
        ModelError: if there is none; the message names the shipped models.
    """
    given = Path(name).expanduser()
    for folder in (given / "model", given, SHIPPED_DIR / given):
        if (atomic.directory_or_previous(folder) / "manifest.json").is_file():
            return folder
    shipped = ", ".join(sorted(path.parent.name for path in SHIPPED_DIR.glob("*/manifest.json")))
    raise ModelError(
        f"No model at {given} (no manifest.json there). Shipped models: {shipped or 'none'}. "
        "Train one: python -m pipelines.train --help"
    )


def load_model(directory: str | os.PathLike[str]) -> SavedModel:
    """Reads what `save_model` wrote; imports neither JAX nor Orbax.

    Raises:
        ModelError: if nothing is there, or it is damaged, or of a newer format.
    """
    return _read(directory, _read_model)


def load_known(directory: str | os.PathLike[str]) -> KnownSounds | None:
    """Reads the ids and search vectors of the training clips; None if exported without them.

    Raises:
        ModelError: as `load_model`.
    """
    return _read(directory, _read_known)


def _read(directory: str | os.PathLike[str], read: Callable[[Path], T]) -> T:
    target = atomic.directory_or_previous(directory)
    if not (target / "manifest.json").is_file():
        raise ModelError(f"No model at {directory} (no manifest.json there).")
    try:
        return read(target)
    except OSError as error:
        raise ModelError(f"Cannot read the model at {directory}: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ModelError(f"The model at {directory} is damaged: {error}.") from error


def _read_model(target: Path) -> SavedModel:
    manifest = _read_manifest(target)
    names = ("params.npz", "config.json")
    files = {name: _read_whole(target, name, manifest) for name in names}
    tree = _unflatten(_read_arrays(files["params.npz"]))
    return SavedModel(
        config=configs.from_dict(configs.Config, json.loads(files["config.json"])),
        params=tree.get("params", {}),
        stats={RENAMED_STATS.get(k, k): v for k, v in tree.get("stats", {}).items()},
        prior=tree.get("prior", {}),
        class_names=[str(name) for name in manifest["class_names"]],
        facts=dict(manifest["facts"]),
        digest=manifest["sha256"]["params.npz"][:12],
        temperature=_temperature(manifest.get("temperature", 1.0)),
    )


def _read_known(target: Path) -> KnownSounds | None:
    manifest = _read_manifest(target)
    if KNOWN_FILE not in manifest["sha256"]:
        return None
    arrays = _read_arrays(_read_whole(target, KNOWN_FILE, manifest))
    ids = arrays["ids"].tobytes().decode().split("\0")
    vectors = arrays["vectors"].astype(np.float32)
    if vectors.ndim != 2 or len(ids) != len(vectors):
        raise ValueError(f"{len(ids)} ids of {len(vectors)} training vectors")
    return KnownSounds(ids, vectors, arrays["spacing"])


def _read_manifest(target: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(_read_small(target / "manifest.json"))
    if manifest["format"] != FORMAT:
        raise ModelError(
            f"The model at {target} has format {manifest['format']}; this version reads {FORMAT}."
        )
    return manifest


def _read_whole(target: Path, name: str, manifest: Mapping[str, Any]) -> bytes:
    data = _read_small(target / name)
    if hashlib.sha256(data).hexdigest() != manifest["sha256"][name]:
        raise ModelError(f"The model at {target} is damaged: {name} fails its checksum.")
    return data


def _temperature(value: Any) -> float:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"a temperature of {value}")
    return float(value)


def _read_arrays(data: bytes) -> dict[str, np.ndarray]:
    """Reads an npz file; refuses one that declares more than it holds."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("compressed arrays")
        if sum(entry.file_size for entry in entries) > len(data):
            raise ValueError("arrays larger than the file")
        for entry in entries:
            with archive.open(entry) as member:
                _check_header(member, entry)
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _check_header(member: Any, entry: zipfile.ZipInfo) -> None:
    """Refuses a header that asks for more memory than its array has bytes."""
    version = np.lib.format.read_magic(member)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, _, dtype = read(member)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize + member.tell() != entry.file_size:
        raise ValueError(f"{entry.filename} declares the wrong size")


def _read_small(path: Path) -> bytes:
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path.name} is larger than {MAX_BYTES >> 30} GiB")
    return path.read_bytes()


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, np.ndarray]:
    flat: dict[str, np.ndarray] = {}
    for key, value in sorted(tree.items()):
        if isinstance(value, quantization.Quantized):
            flat |= _flatten(value._asdict(), f"{prefix}{key}/{INT8_PREFIX}")
        elif isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}/")
        else:
            array = np.asarray(value)
            exact = array.dtype.kind in "iub" or array.dtype == np.float16
            flat[prefix + key] = array if exact else array.astype(np.float32)
    return flat


def _unflatten(flat: Mapping[str, np.ndarray]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, array in flat.items():
        *path, last = name.split("/")
        node = tree
        for key in path:
            node = node.setdefault(key, {})
        node[last] = array.astype(np.float32) if array.dtype == np.float16 else array
    return _restored(tree)


def _restored(tree: dict[str, Any]) -> Any:
    """Returns the tree with its quantized arrays in single precision."""
    if f"{INT8_PREFIX}values" in tree:
        parts = (tree[INT8_PREFIX + field] for field in quantization.Quantized._fields)
        return quantization.restore(quantization.Quantized(*parts))
    return {k: _restored(v) if isinstance(v, dict) else v for k, v in tree.items()}
