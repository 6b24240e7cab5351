"""Cost of encoding and embedding one clip of full length, by stages, in CPU-ms of one core.

taskset -c 0 python -m experiments.benchmarks.one_clip [--model model_test] [--repeats 50]

The stages are timed in turns within one run, each compiled before. Beside some of them stands the
plain way to the same numbers: the whole mel basis at once, the search vector from all latents.
"""

import argparse
import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import scipy.fft

from sst import inference
from sst.audio.clip import canonical
from sst.dsp import features
from sst.dsp.features import frames, mel_basis
from sst.model import network, pca


def main() -> None:
    """Prints a table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--model", default="model_test")
    options.add_argument("--repeats", type=int, default=50)
    arguments = options.parse_args()
    model = inference.load(arguments.model)
    works = stages(model)
    taken: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(arguments.repeats + 2):
        for name, work in works.items():
            start = time.process_time()
            work()
            if turn > 1:  # the first ones compile
                taken[name].append(1000.0 * (time.process_time() - start))
    print("| stage | CPU-ms, median | least |\n|---|---|---|")
    for name, each in taken.items():
        print(f"| {name} | {np.median(each):.2f} | {min(each):.2f} |")


def stages(model: inference.Model) -> dict[str, Callable[[], Any]]:
    """Returns the stages that are timed, by name."""
    config, rate = model.config.audio, model.config.audio.sample_rate
    wave = _decaying_noise(config.clip_samples, rate)
    clip = canonical(wave, rate, config)
    power = np.square(np.abs(scipy.fft.rfft(frames(clip.wave, config), axis=-1)))
    inputs = features.of_clips([clip], config)
    trees = (model.params, model.stats, inputs)
    return {
        "**`encode`**, all of it": lambda: np.asarray(inference.encode(model, wave, rate)),
        "**`embed`**, all of it": lambda: np.asarray(inference.embed(model, wave, rate)),
        "the canonical clip": lambda: canonical(wave, rate, config),
        "its features": lambda: features.of_clips([clip], config),
        "... of it the mel bands": lambda: features.mel_power(power, config),
        "... by the whole basis at once": lambda: power @ mel_basis(config).T,
        "latents of these": lambda: np.asarray(inference._encode(*trees, model.config)),
        "... of it the projection": lambda: np.asarray(_project(*trees[1:], model.config)),
        "search vector of these": lambda: np.asarray(inference._embed(*trees, model.config)),
        "... after all of the latents": lambda: jax.device_get(_after_all(*trees, model.config)),
    }


def _decaying_noise(n: int, rate: int) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(n)
    return (noise * np.exp(-3.0 * np.arange(n) / rate)).astype(np.float32)


@functools.partial(jax.jit, static_argnames="config")
def _project(stats: Any, inputs: Any, config: Any) -> Any:
    return pca.project(inputs, stats, config)[0]


@functools.partial(jax.jit, static_argnames="config")
def _after_all(params: Any, stats: Any, features: Any, config: Any) -> Any:
    z, _ = network.encode(params, stats, features, config)
    return z, network.search_vectors(params, stats, features, config)


if __name__ == "__main__":
    main()
