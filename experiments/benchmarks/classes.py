"""Classification of held-out sounds, and of draws of one class.

    python -m experiments.benchmarks.classes --model runs/drums --dataset sample_library/drums \\
        --held-out MACHINES [--classes experiments/drum_classes.json] [--draws 40]

The first table is the one of `pipelines.evaluate`, with the temperature of the exported model, with
the one that its validation sounds ask for, and by the vote of MFCC statistics. The second is of
`generate --class KIND`: the share of draws classified as KIND, by the model and by the vote, which
knows real training sounds only.
"""

import argparse

import jax
import numpy as np

from sst import inference
from sst.audio.clip import canonical
from sst.dsp.features import of_clips
from sst.evaluation import classification, systems
from sst.evaluation import sounds as sources
from sst.evaluation.figures import Absent
from sst.evaluation.material import Request, gather
from sst.evaluation.sounds import Sounds
from sst.model import calibration, network


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--model", default="model_test")
    add("--dataset")
    add("--held-out", nargs="+", default=[])
    add("--classes")
    add("--draws", type=int, default=40)
    arguments = parser.parse_args()
    model = inference.load(arguments.model)
    classes = arguments.classes and sources.read_classes(arguments.classes)
    request = Request(arguments.model, arguments.dataset, held_out=tuple(arguments.held_out))
    material = gather(request, model, classes or None, print)
    fitted = model._replace(temperature=_fitted(model, material))
    rate, train = model.config.audio.sample_rate, material.train
    chosen = systems.of_model(model, 0)
    vote = {} if isinstance(train, Absent) else classification.nearest_neighbours(train, rate)
    chosen |= {"fitted": systems.of_model(fitted, 0)["model"]} | vote
    found = classification.measure(chosen, material, 0)
    if isinstance(found, Absent):
        raise SystemExit(found.reason)
    print(f"temperature {model.temperature:.2f}, by the validation sounds {fitted.temperature:.2f}")
    for name, row in found.rows.items():
        cells = (
            f"{f['value']:.3f} [{f['low']:.3f}, {f['high']:.3f}]" for f in row["figures"].values()
        )
        print(f"| {name} | {' | '.join(cells)} |")
    _draws(model, vote, arguments.draws)


def _fitted(model, material) -> float:
    if material.dataset is None:
        return model.temperature
    split = material.dataset.validation
    logits = network.class_logits(
        model.params, model.stats, split.features(slice(None)), model.config
    )
    return calibration.temperature(np.asarray(logits), material.dataset.label_rows(split))


def _draws(model, vote, n: int) -> None:
    """Prints the share of `n` draws of each class that is classified as it."""
    config, shares = model.config.audio, []
    names = model.class_names
    for label in sorted(set(np.asarray(model.prior["labels"]).tolist()) - {-1}):
        drawn = inference.sample_prior(model, jax.random.key(label), n, class_name=names[label])
        waves = [np.asarray(inference.decode(model, z)) for z in np.asarray(drawn)]
        clips = [canonical(wave, config.sample_rate, config) for wave in waves]
        sounds = Sounds([""] * n, waves, *of_clips(clips, config), [""] * n, [""] * n)
        own = inference.classify_features(model, sounds.features).argmax(axis=1) == label
        other = np.nan
        for system in vote.values():
            if names[label] in system.class_names:
                predicted = np.asarray(system.classify(sounds)).argmax(axis=1)
                other = np.mean(predicted == system.class_names.index(names[label]))
        shares.append((own.mean(), other))
        print(f"| {names[label]} | {own.mean():.3f} | {other:.3f} |", flush=True)
    print(f"| mean over classes | {' | '.join(f'{s:.3f}' for s in np.nanmean(shares, axis=0))} |")


if __name__ == "__main__":
    main()
