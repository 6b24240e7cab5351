"""What others read of a run: the exported model with its prior, pictures and sounds."""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np

import sst
from sst.audio.wav import write_wave
from sst.config import Config
from sst.data import dataset as datasets
from sst.data.copies import copy_clusters
from sst.data.dataset import Dataset, Split
from sst.model import calibration, prior, quantization
from sst.search import novelty
from sst.search.novelty import Known
from sst.training import checkpoints, plots, step
from sst.training.run_log import Row, RunLog

ENCODED = 4096  # training clips that the prior is fitted to, at most
MOST_KNOWN = 20_000  # training clips that an exported model can name: 5 MB
EXAMPLES = 4  # validation clips drawn and written as audio
SHARE = 0.05  # of the time that publishing may take before the run ends
Program = Callable[..., Any]


class Source(NamedTuple):
    """What a model is made from, besides its parameters."""

    config: Config
    dataset: Dataset
    model: ModuleType
    directory: Path


class Publisher:
    """Exports the best parameters: now if the last time is long ago, else when it is flushed."""

    def __init__(self, source: Source, stats: Any, log: RunLog) -> None:
        self._source, self._stats, self._log = source, stats, log
        self._waiting: tuple[Any, Row] | None = None
        self._next = 0.0

    def offer(self, params: Any, row: Row) -> None:
        """Takes better parameters as NumPy arrays, and exports them unless it did so just now."""
        self._waiting = (params, row)
        if time.monotonic() >= self._next:
            self.flush()

    def flush(self) -> None:
        """Exports what waits.

        Raises:
            ResourceError: if the disk is full.
        """
        if self._waiting is None:
            return
        (params, row), self._waiting = self._waiting, None
        start = time.monotonic()
        export(self._source, params, self._stats, row)
        self._try(draw_losses, self._source, self._log.rows)
        self._try(show_examples, self._source, params, self._stats)
        took = time.monotonic() - start
        self._next = time.monotonic() + took / SHARE
        self._log.note(f"exported step {int(row['step'])} in {took:.1f} s")

    def _try(self, show: Callable[..., None], *arguments: Any) -> None:
        """Pictures and sounds are for people: without them the run goes on."""
        try:
            show(*arguments)
        except Exception as error:
            self._log.note(f"{show.__name__} failed: {type(error).__name__}: {error}")


def export(source: Source, params: Any, stats: Any, row: Row) -> None:
    """Fits the prior to encoded training clips and writes the model.

    Raises:
        ResourceError: if the disk is full.
    """
    config, dataset = source.config, source.dataset
    chosen = np.random.default_rng(config.seed).permutation(dataset.train.size)[:ENCODED]
    rows = np.sort(chosen)
    means = encode(source, params, stats, dataset.train, rows)
    scale = np.sqrt(stats["spread"]) if "spread" in stats else None
    facts = {
        "run": config.name,
        "step": int(row["step"]),
        "valid": row["valid/loss"],
        "seconds": row["seconds"],
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
        "train_clips": dataset.train.size,
        "validation_clips": dataset.validation.size,
        "sst": sst.__version__,
    }
    fitted = prior.fit(
        means, dataset.label_rows(dataset.train)[rows], scale, config.model.neighbours
    )
    temperature = class_temperature(source, params, stats)
    known = known_sounds(source, params, stats)
    if "basis" in stats:  # the larger part of the file
        stats = {**stats, "basis": quantization.quantize(stats["basis"], config.audio.n_mels)}
    checkpoints.save_model(
        source.directory / "model",
        config,
        _halved(params),
        stats,
        _halved(fitted),
        dataset.class_names,
        facts,
        temperature,
        known,
    )


def _halved(tree: Any) -> Any:
    """The tree with its arrays of floating-point numbers in half precision."""
    return jax.tree.map(lambda x: x.astype(np.float16) if x.dtype.kind == "f" else x, tree)


def class_temperature(source: Source, params: Any, stats: Any) -> float:
    """What the logits of the classes are divided by, chosen on the validation clips."""
    split = source.dataset.validation
    if "prototypes" not in params:
        return 1.0
    program = _programs(source.model, source.config).class_logits
    logits = _in_chunks(source, program, params, stats, split, np.arange(split.size))
    return calibration.temperature(logits, source.dataset.label_rows(split))


def known_sounds(source: Source, params: Any, stats: Any) -> Known:
    """The names and search vectors of the training clips, of many a random choice."""
    dataset, split = source.dataset, source.dataset.train
    rows = np.random.default_rng(source.config.seed).permutation(split.size)[:MOST_KNOWN]
    rows = np.sort(rows)
    program = _programs(source.model, source.config).embed
    vectors = _in_chunks(source, program, params, stats, split, rows)
    ids = [split.ids[row] for row in rows]
    packs = novelty.groups(ids, dataset.metadata.get("split_by") == "folder")
    clusters = copy_clusters(dataset, "train", rows, source.config.audio)
    spacing = novelty.spacing(vectors, packs, lambda a, b: clusters[a] == clusters[b])
    return Known(ids, vectors, spacing)


def encode(source: Source, params: Any, stats: Any, split: Split, rows: np.ndarray) -> np.ndarray:
    """Posterior means of some clips: float32 [len(rows), z]."""
    program = _programs(source.model, source.config).encode
    return _in_chunks(source, program, params, stats, split, rows)


def _in_chunks(
    source: Source, program: Program, params: Any, stats: Any, split: Split, rows: np.ndarray
) -> np.ndarray:
    size = min(256, source.config.optim.batch_size)
    done = [
        np.asarray(program(params, stats, split.features(rows[chosen])))[mask]
        for chosen, mask in step.chunks(len(rows), size)
    ]
    return np.concatenate(done)


class _Programs(NamedTuple):
    """Compiled functions of (params, stats, clips or latents)."""

    encode: Program  # to means
    decode: Program
    class_logits: Program
    embed: Program


@functools.lru_cache(maxsize=1)
def _programs(model: ModuleType, config: Config) -> _Programs:
    return _Programs(
        jax.jit(lambda params, stats, clips: model.encode(params, stats, clips, config)[0]),
        jax.jit(lambda params, stats, z: model.decode(params, stats, z, config)),
        jax.jit(lambda params, stats, clips: model.class_logits(params, stats, clips, config)),
        jax.jit(lambda params, stats, clips: model.embed(params, stats, clips, config)),
    )


def draw_losses(source: Source, rows: list[Row]) -> None:
    """Draws plots/loss.png."""
    if plots.available():
        plots.loss_curves(rows, source.directory / "plots" / "loss.png")


def show_examples(source: Source, params: Any, stats: Any) -> None:
    """Draws and writes a few validation clips beside what the exported model makes of them."""
    split, directory = source.dataset.validation, source.directory
    rows = np.arange(split.size)[:: max(split.size // EXAMPLES, 1)][:EXAMPLES]
    z = encode(source, params, stats, split, rows)
    decoded = _programs(source.model, source.config).decode(params, stats, z)
    if plots.available():
        frames = [int(split.n_frames[row]) for row in rows]
        plots.reconstructions(
            [split.log_mel[row][:n] for row, n in zip(rows, frames, strict=True)],
            [np.asarray(image)[:n] for image, n in zip(decoded.log_mel, frames, strict=True)],
            [split.ids[row] for row in rows],
            source.config.audio.floor_db,
            directory / "plots" / "reconstructions.png",
        )
    _write_sounds(source, z, rows)


def _write_sounds(source: Source, z: np.ndarray, rows: np.ndarray) -> None:
    from sst import inference

    folder, rate = source.directory / "samples", source.config.audio.sample_rate
    folder.mkdir(exist_ok=True)
    loaded = inference.load(source.directory)
    originals = datasets.read_waves(source.dataset, "validation", list(rows))
    for number, (original, latent) in enumerate(zip(originals, z, strict=True), start=1):
        write_wave(folder / f"{number}_original.wav", original, rate)
        wave = np.asarray(inference.decode(loaded, latent))
        write_wave(folder / f"{number}_reconstruction.wav", wave, rate)
