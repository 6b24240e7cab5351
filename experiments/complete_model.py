"""Gives a model that an older version exported what exports hold now: no training, same parameters.

    python experiments/complete_model.py MODEL --dataset sample_library/NAME

MODEL is a run directory or an exported model, and the dataset the one that it was trained on. Added
are the names and search vectors of its training sounds, so that `generate` can say which of them a
new sound is nearest to, and the temperature of its class probabilities. As for `model_test`:

    python experiments/complete_model.py sst/models/model_test --dataset sample_library/public
"""

import argparse
import sys

from pipelines.endings import guarded


def main(argv: list[str]) -> None:
    """Completes one model and says how many sounds it knows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--dataset", required=True)
    arguments = parser.parse_args(argv)
    from sst import data, model, modelfile, publish  # Imported here: JAX takes seconds

    folder = modelfile.find_model(arguments.model)
    dataset = data.load(arguments.dataset, modelfile.load_model(folder).config.audio)
    publish.complete(folder, dataset, model)
    saved, known = modelfile.load_model(folder), modelfile.load_known(folder)
    print(
        f"{folder} ({saved.digest}) knows {len(known.ids) if known else 0:,} training sounds;"
        f" temperature {saved.temperature:.2f}"
    )


if __name__ == "__main__":
    sys.exit(guarded(main))
