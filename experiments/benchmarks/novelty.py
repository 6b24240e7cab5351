"""Novelty of draws, beside that of training sounds and of held-out sounds.

    python -m experiments.benchmarks.novelty --model runs/drums --dataset sample_library/drums \\
        --held-out MACHINES [--sounds 150] [--least 30]

Each line is the share of sounds at 0 % and the quartiles of the novelty that `generate` reports: of
training sounds and their reconstructions, of draws, of draws with `--min-novelty`, and of held-out
real sounds.
"""

import argparse

import numpy as np

from sst import inference
from sst.data import dataset as datasets
from sst.evaluation import sounds as sources
from sst.generation import novelty_filter, sampling
from sst.generation.recipe import Recipe


def main() -> None:
    """Prints a line per kind of sound."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--model", default="model_test")
    add("--dataset", required=True)
    add("--held-out", nargs="+", required=True)
    add("--sounds", type=int, default=150)
    add("--least", type=float, default=30.0)
    arguments = parser.parse_args()
    model, training = (
        inference.load(arguments.model),
        novelty_filter.load_training_sounds(arguments.model),
    )
    config, n = model.config.audio, arguments.sounds
    dataset = datasets.load(arguments.dataset, config)
    train = sources.from_dataset(dataset, "train", limit=n)
    held_out = sources.from_folders(arguments.held_out, config, limit=n)
    latents = np.asarray(inference.encode_features(model, train.features))
    reconstructions = [np.asarray(inference.decode(model, z)) for z in latents]
    for what, waves in (
        ("training", train.waves),
        ("reconstructed", reconstructions),
        ("held out", held_out.waves),
    ):
        found = [
            novelty_filter.nearest(model, training, wave, config.sample_rate) for wave in waves
        ]
        shares = [near[0].novelty for near in found if near]
        _put(what, [share for share in shares if share is not None])

    def draw(num: int, seed: int) -> list[Recipe]:
        return sampling.draw(model, num, seed)

    draws = draw(n, 0)
    plain = [novelty_filter.render(model, one, training)[1] for one in draws]
    _put("draws", [novelty_filter.novelty_of(one) for one in plain])
    least = arguments.least
    novel = [novelty_filter.render_novel(model, one, training, least, draw)[1] for one in draws]
    _put(f"draws, at least {least:g} %", [novelty_filter.novelty_of(one) for one in novel])
    tries = [one.tries for one in novel]
    missed = np.mean([novelty_filter.novelty_of(one) < least for one in novel])
    print(f"{np.mean(tries):.1f} tries each; {missed:.2f} of the draws stay below {least:g} %")


def _put(what: str, shares: list[float]) -> None:
    quartiles = " ".join(f"{share:5.1f}" for share in np.percentile(shares, (25, 50, 75)))
    print(f"{what:24} {np.mean(np.array(shares) == 0.0):.2f} at 0 %; quartiles {quartiles}")


if __name__ == "__main__":
    main()
