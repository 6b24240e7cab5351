"""Ablation of the terms of the training: reconstruction and search without each of them.

python -m experiments.benchmarks.ablation --config experiments/drums.py \\
    --dataset sample_library/drums --held-out FOLDER --classes experiments/drum_classes.json

Each variant is trained from the same start for equally many steps at a constant rate, and its
moving average is measured on held-out files: log-mel L1 inside the file at feature level, error of
the attack envelope up to its peak, and search across packs by `embed`.
"""

import argparse
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from pipelines.train import read_config
from sst import cache, inference, types
from sst.config import AudioConfig, Config
from sst.data import dataset as datasets
from sst.evaluation import retrieval
from sst.evaluation import sounds as sources
from sst.model import augment, losses, network, objective, pca
from sst.training import step as training_step


def main() -> None:
    """Prints a row per variant."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--held-out", nargs="+", required=True)
    parser.add_argument("--classes")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--latents", type=int, help="in place of the config's")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    arguments = parser.parse_args()
    cache.enable_cache()
    config = read_config(arguments.config)
    if arguments.latents:
        config = with_parts(config, model={"latent_dim": arguments.latents})
    dataset = datasets.load(arguments.dataset, config.audio)
    classes = sources.read_classes(arguments.classes) if arguments.classes else None
    held_out = sources.from_folders(arguments.held_out, config.audio, classes)
    print(f"{held_out.size} held-out files, {arguments.steps} steps")
    print(
        f"{'variant':18s} {'log-mel L1':>10s} {'attack':>7s} {'P@1':>6s} {'P@10':>6s} {'mAP':>6s}"
    )
    stats = pca.data_stats(dataset.train, config)
    vary, degrade = augment.vary, augment.degrade
    for name in arguments.only:
        augment.vary = same if name == "no-variations" else vary
        augment.degrade = same if name == "no-copies" else degrade
        varied = VARIANTS[name](config)
        own = pca.data_stats(dataset.train, varied) if name in OWN_COMPONENTS else stats
        trained = trained_model(varied, own, dataset, name, arguments.steps)
        print(f"{name:18s} {row(trained, held_out)}", flush=True)


def same(batch: types.Batch, key: jax.Array, audio: AudioConfig) -> types.Batch:
    """Returns the batch unchanged, in place of a variation."""
    return batch


def with_parts(config: Config, **parts: dict) -> Config:
    """Returns `config` with some fields of its groups replaced."""
    changed = {
        group: dataclasses.replace(getattr(config, group), **fields)
        for group, fields in parts.items()
    }
    return dataclasses.replace(config, **changed)


VARIANTS = {
    "start": lambda config: with_parts(config, model={"search_share": 0.0}),
    "full": lambda config: config,
    "no-search": lambda config: with_parts(
        config, loss={"search": 0.0}, model={"search_share": 0.0}
    ),
    "no-labels": lambda config: config,
    "no-variations": lambda config: config,
    "no-copies": lambda config: config,
    "no-attack": lambda config: with_parts(config, loss={"attack": 0.0}),
    "no-companding": lambda config: with_parts(
        config, model={"quiet_slope": 1.0, "bass_weight": 1.0}
    ),
    "no-deltas": lambda config: with_parts(config, loss={"delta": 0.0}),
}


OWN_COMPONENTS = ("no-variations", "no-companding")


def trained_model(
    config: Config, stats: pca.Stats, dataset: datasets.Dataset, name: str, steps: int
) -> inference.Model:
    """Trains for `steps`, or none for "start"; returns the moving average of the model."""
    split, names, devices = dataset.train, dataset.class_names, jax.local_devices()
    params = network.init(jax.random.key(config.seed), config, stats, len(names))
    labels = dataset.label_rows(split)
    if name == "no-labels":  # what is learned from variations alone, with its share of the vector
        labels = np.full_like(labels, -1)
    clips = training_step.Clips(split.log_mel, split.n_frames, split.peak_db, split.attack, labels)
    state, placed, constants = (
        training_step.replicate(tree, devices)
        for tree in (
            training_step.init_state(config, params),
            clips,
            jax.tree.map(jnp.asarray, stats),
        )
    )
    step = training_step.make_programs(config, objective.objective, devices, resident=True).step
    for number in range(0 if name == "start" else steps):
        rows = datasets.batch_rows(config.seed, number, split.size, config.optim.batch_size)
        state, _ = step(state, constants, placed, rows.reshape(len(devices), -1))
    trees = training_step.to_host(state.ema), stats
    return inference.Model(config, *(jax.tree.map(jnp.asarray, t) for t in trees), {}, (), "")


def row(trained: inference.Model, held_out: sources.Sounds) -> str:
    """Measures one variant; returns its row of the table."""
    inputs, config = held_out.features, trained.config
    z = inference.encode_features(trained, inputs)
    decode = jax.jit(network.decode, static_argnames="config")
    recon, attack = [], []
    for start in range(0, held_out.size, inference.BATCH_SIZE):
        part = slice(start, start + inference.BATCH_SIZE)
        decoded = decode(trained.params, trained.stats, z[part], config)
        inside, _ = losses.frame_weights(inputs.n_frames[part], config.audio.n_frames, 0)
        recon.append(losses.weighted_l1(inputs.log_mel[part], decoded.log_mel, inside))
        weights = objective.attack_weights(jnp.asarray(inputs.attack[part]))
        off = jnp.abs(decoded.attack - inputs.attack[part])
        attack.append(losses.weighted_mean(off, weights))
    kinds = [i for i, kind in enumerate(held_out.classes) if kind]
    vectors = np.asarray(inference.embed_features(trained, inputs))[kinds]
    chosen = held_out.take(kinds)
    found = retrieval.score(vectors, chosen.packs, chosen.classes)
    means = [float(np.mean(np.concatenate(values))) for values in (recon, attack)]
    return f"{means[0]:10.3f} {means[1]:7.2f} {found.p1:6.3f} {found.p10:6.3f} {found.map:6.3f}"


if __name__ == "__main__":
    main()
