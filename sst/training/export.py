"""Exports the model, prior, plots and audio examples of a run."""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import sst
from sst.audio.wav import write_wave
from sst.batching import padded_batches
from sst.config import Config
from sst.data import dataset as datasets
from sst.data.copies import copy_clusters
from sst.data.dataset import Dataset, Split
from sst.model import calibration, export_format, prior, quantization
from sst.model.functions import ModelFunctions
from sst.search import novelty
from sst.search.novelty import KnownSounds
from sst.training import plots
from sst.training.run_log import Row, RunLog

MAX_PRIOR_CLIPS = 4096  # training clips that the prior is fitted to
MAX_TRAIN_VECTORS = 20_000  # training clips whose search vectors a model holds: 5 MB
N_EXAMPLES = 4  # validation clips plotted and written as audio
MAX_TIME_SHARE = 0.05  # of the run that exports may take before it ends
BATCH_SIZE = 256  # or that of training, where it is smaller
Program = Callable[..., Any]


class ExportInputs(NamedTuple):
    """The constants of a run that every export needs."""

    config: Config
    dataset: Dataset
    model: ModelFunctions
    directory: Path


class Exporter:
    """Exports the best parameters: at once if the last export is long ago, else when flushed."""

    def __init__(self, inputs: ExportInputs, stats: Any, log: RunLog) -> None:
        self._inputs, self._stats, self._log = inputs, stats, log
        self._waiting: tuple[Any, Row] | None = None
        self._next_s = 0.0  # of time.monotonic

    def offer(self, params: Any, row: Row) -> None:
        """Takes better parameters, as NumPy arrays, and exports them if it is time."""
        self._waiting = (params, row)
        if time.monotonic() >= self._next_s:
            self.flush()

    def flush(self) -> None:
        """Exports the parameters that wait, if any.

        Raises:
            ResourceError: if the disk is full.
        """
        if self._waiting is None:
            return
        (params, row), self._waiting = self._waiting, None
        start = time.monotonic()
        export(self._inputs, params, self._stats, row)
        self._try(draw_losses, self._inputs, self._log.rows)
        self._try(show_examples, self._inputs, params, self._stats)
        took = time.monotonic() - start
        self._next_s = time.monotonic() + took / MAX_TIME_SHARE
        self._log.note(f"exported step {int(row['step'])} in {took:.1f} s")

    def _try(self, show: Callable[..., None], *arguments: Any) -> None:
        """Runs `show` and logs its failure: plots and examples must not end a run."""
        try:
            show(*arguments)
        except Exception as error:
            self._log.note(f"{show.__name__} failed: {type(error).__name__}: {error}")


def export(inputs: ExportInputs, params: Any, stats: Any, row: Row) -> None:
    """Fits the prior to encoded training clips and writes the model.

    Raises:
        ResourceError: if the disk is full.
    """
    config = inputs.config
    fitted = fit_prior(inputs, params, stats)
    temperature = class_temperature(inputs, params, stats)
    known = training_vectors(inputs, params, stats)
    if "basis" in stats:  # the larger part of the file
        stats = {**stats, "basis": quantization.quantize(stats["basis"], config.audio.n_mels)}
    export_format.save_model(
        inputs.directory / "model",
        config,
        _to_float16(params),
        stats,
        _to_float16(fitted),
        inputs.dataset.class_names,
        _facts(inputs, row),
        temperature,
        known,
    )


def _facts(inputs: ExportInputs, row: Row) -> dict[str, Any]:
    dataset = inputs.dataset
    return {
        "run": inputs.config.name,
        "step": int(row["step"]),
        "valid": row["valid/loss"],
        "seconds": row["seconds"],
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
        "train_clips": dataset.train.size,
        "validation_clips": dataset.validation.size,
        "sst": sst.__version__,
    }


def _to_float16(tree: Any) -> Any:
    """Returns the tree with its floating-point arrays in half precision."""
    return jax.tree.map(lambda x: x.astype(np.float16) if x.dtype.kind == "f" else x, tree)


def fit_prior(inputs: ExportInputs, params: Any, stats: Any) -> prior.Prior:
    """Fits the prior to the encoded training clips, at most MAX_PRIOR_CLIPS at random."""
    split, rows = inputs.dataset.train, _random_rows(inputs, MAX_PRIOR_CLIPS)
    means = encode(inputs, params, stats, split, rows)
    scale = np.sqrt(stats["component_std"]) if "component_std" in stats else None
    labels = inputs.dataset.label_rows(split)[rows]
    return prior.fit(means, labels, scale, inputs.config.model.neighbours)


def class_temperature(inputs: ExportInputs, params: Any, stats: Any) -> float:
    """Estimates the temperature of the class logits on the validation clips; 1 without classes."""
    split = inputs.dataset.validation
    if "prototypes" not in params:
        return 1.0
    program = _programs(inputs.model, inputs.config).class_logits
    logits = _in_batches(inputs, program, params, stats, split, np.arange(split.size))
    return calibration.temperature(logits, inputs.dataset.label_rows(split))


def training_vectors(inputs: ExportInputs, params: Any, stats: Any) -> KnownSounds:
    """Returns ids and search vectors of the training clips, at most MAX_TRAIN_VECTORS at random."""
    dataset, split = inputs.dataset, inputs.dataset.train
    rows = _random_rows(inputs, MAX_TRAIN_VECTORS)
    program = _programs(inputs.model, inputs.config).embed
    vectors = _in_batches(inputs, program, params, stats, split, rows)
    ids = [split.ids[row] for row in rows]
    packs = novelty.number_groups(ids, dataset.metadata.get("split_by") == "folder")
    clusters = copy_clusters(dataset, "train", rows, inputs.config.audio)
    spacing = novelty.measure_spacing(vectors, packs, lambda a, b: clusters[a] == clusters[b])
    return KnownSounds(ids, vectors, spacing)


def encode(
    inputs: ExportInputs, params: Any, stats: Any, split: Split, rows: np.ndarray
) -> np.ndarray:
    """Returns the posterior means of some clips: float32 [len(rows), z]."""
    program = _programs(inputs.model, inputs.config).encode
    return _in_batches(inputs, program, params, stats, split, rows)


def _in_batches(
    inputs: ExportInputs, program: Program, params: Any, stats: Any, split: Split, rows: np.ndarray
) -> np.ndarray:
    size = min(BATCH_SIZE, inputs.config.optim.batch_size)
    parts = [
        np.asarray(program(params, stats, split.features(rows[chosen])))[mask]
        for chosen, mask in padded_batches(len(rows), size)
    ]
    return np.concatenate(parts)


def _random_rows(inputs: ExportInputs, limit: int) -> np.ndarray:
    """Returns the rows of at most `limit` training clips, in order."""
    size = inputs.dataset.train.size
    return np.sort(np.random.default_rng(inputs.config.seed).permutation(size)[:limit])


class _Programs(NamedTuple):
    """Compiled functions of (params, stats, clips or latents)."""

    encode: Program  # to means
    decode: Program
    class_logits: Program
    embed: Program


@functools.lru_cache(maxsize=1)
def _programs(model: ModelFunctions, config: Config) -> _Programs:
    return _Programs(
        jax.jit(lambda params, stats, clips: model.encode(params, stats, clips, config)[0]),
        jax.jit(lambda params, stats, z: model.decode(params, stats, z, config)),
        jax.jit(lambda params, stats, clips: model.class_logits(params, stats, clips, config)),
        jax.jit(lambda params, stats, clips: model.embed(params, stats, clips, config)),
    )


def draw_losses(inputs: ExportInputs, rows: list[Row]) -> None:
    """Draws plots/loss.png."""
    if plots.is_available():
        plots.draw_loss_curves(rows, inputs.directory / "plots" / "loss.png")


def show_examples(inputs: ExportInputs, params: Any, stats: Any) -> None:
    """Plots and writes a few validation clips beside their reconstructions."""
    split, directory = inputs.dataset.validation, inputs.directory
    rows = np.arange(split.size)[:: max(split.size // N_EXAMPLES, 1)][:N_EXAMPLES]
    z = encode(inputs, params, stats, split, rows)
    decoded = _programs(inputs.model, inputs.config).decode(params, stats, z)
    if plots.is_available():
        frames = [int(split.n_frames[row]) for row in rows]
        plots.draw_reconstructions(
            [split.log_mel[row][:n] for row, n in zip(rows, frames, strict=True)],
            [np.asarray(image)[:n] for image, n in zip(decoded.log_mel, frames, strict=True)],
            [split.ids[row] for row in rows],
            inputs.config.audio.floor_db,
            directory / "plots" / "reconstructions.png",
        )
    _write_sounds(inputs, z, rows)


def _write_sounds(inputs: ExportInputs, z: np.ndarray, rows: np.ndarray) -> None:
    from sst import inference

    folder, rate = inputs.directory / "samples", inputs.config.audio.sample_rate
    folder.mkdir(exist_ok=True)
    loaded = inference.load(inputs.directory)
    originals = datasets.read_waves(inputs.dataset, "validation", list(rows))
    for number, (original, latent) in enumerate(zip(originals, z, strict=True), start=1):
        write_wave(folder / f"{number}_original.wav", original, rate)
        wave = np.asarray(inference.decode(loaded, latent))
        write_wave(folder / f"{number}_reconstruction.wav", wave, rate)
