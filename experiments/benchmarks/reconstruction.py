"""How near a model's reconstructions come to sounds it never saw, beside what is simpler.

python experiments/benchmarks/reconstruction.py --model runs/drums HELD_OUT_FOLDER... [--limit 150]

In-file log-mel L1 at audio level (`sst.metrics.log_mel_l1`) of four ways through the same
inversion: the model; the principal components that it starts from, alone; the true features,
which is the ceiling of the inversion; and the mean spectrum of the training set, which is
the floor. With 95 % bootstrap intervals over files.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np

from sst import decoding, features, files, inference, metrics, vocoder
from sst import model as network


def main() -> None:
    """Prints one row per way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--model", default="model_test")
    parser.add_argument("--limit", type=int, default=150, help="files, chosen at random")
    arguments = parser.parse_args()
    model = inference.load(arguments.model)
    paths = [sample.path for sample in files.find_samples(arguments.folders)]
    order = np.random.default_rng(0).permutation(len(paths))[: arguments.limit]
    chosen = decoding.decode_many([paths[i] for i in order], model.config.audio)
    sounds = [x for x in chosen if isinstance(x, decoding.Decoded)]
    ways = {
        f"model, {model.config.model.latent_dim} numbers": through(model),
        f"PCA, {model.config.model.latent_dim} numbers": through(linear_part(model)),
        "true features": through_features(model),
        "mean spectrum": through_mean(model),
    }
    print(f"{len(sounds)} files, log-mel L1 in dB inside the file, at the best gain")
    for name, way in ways.items():
        errors = [
            metrics.log_mel_l1(sound.clip.wave, way(sound), model.config.audio.sample_rate)
            for sound in sounds
        ]
        low, high = interval(np.array(errors))
        middle = np.median(errors)
        print(
            f"{name:20s} mean {np.mean(errors):6.2f} [{low:.2f}, {high:.2f}]  median {middle:.2f}"
        )


def linear_part(model: inference.Model) -> inference.Model:
    """The model before training: its networks start at zero, what is left is linear."""
    fresh = network.init(jax.random.key(0), model.config, model.stats)
    return model._replace(params=fresh)


def through(model: inference.Model):
    """Encode and decode."""

    def way(sound: decoding.Decoded) -> np.ndarray:
        block = features.pad([sound.log_mel], model.config.audio)
        frames, level = np.array([len(sound.log_mel)]), np.array([sound.clip.peak_db])
        return inference.decode(model, inference.encode_features(model, block, frames, level)[0])

    return way


def through_features(model: inference.Model):
    """The inversion of the sound's own features."""
    config = model.config.audio

    def way(sound: decoding.Decoded) -> np.ndarray:
        block = jnp.asarray(features.pad([sound.log_mel], config)[0])
        return at_peak_one(np.asarray(vocoder.invert(block, config, config.clip_samples)))

    return way


def through_mean(model: inference.Model):
    """The inversion of the training set's mean."""
    config = model.config.audio
    shape = (config.n_frames, config.n_mels)
    wave = vocoder.invert(model.stats["mean"].reshape(shape), config, config.clip_samples)
    return lambda _: at_peak_one(np.asarray(wave))


def at_peak_one(wave: np.ndarray) -> np.ndarray:
    """The inversion has no level of its own; the metric looks for gains up to 30 dB only."""
    return wave / max(float(np.max(np.abs(wave))), 1e-9)


def interval(values: np.ndarray) -> tuple[float, float]:
    """95 % bootstrap interval of the mean."""
    rng = np.random.default_rng(0)
    means = rng.choice(values, (2000, len(values))).mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


if __name__ == "__main__":
    main()
