"""The latent vector in use, and the cost of encoding and decoding."""

import time
from collections.abc import Callable

import jax
import numpy as np

from sst import inference
from sst.batching import padded_batches
from sst.evaluation import figures
from sst.evaluation.sounds import Sounds
from sst.inference import BATCH_SIZE, Model
from sst.model import losses, network

ACTIVE_VARIANCE = 0.01  # variance of a posterior mean from which a unit counts (Burda et al., 2016)
N_REPEATS = 10  # of what is timed


def measure(model: Model, sounds: Sounds, seed: int) -> dict[str, figures.Figure]:
    """Returns the figures of `definitions.MODEL`; `seed` is that of the intervals."""
    means, kl = posterior(model, sounds)
    active = int((means.var(axis=0) > ACTIVE_VARIANCE).sum())
    z = means[:1]
    wave = np.resize(sounds.waves[0], model.config.audio.clip_samples)
    rate = model.config.audio.sample_rate
    return {
        "active_units": figures.single(active, sounds.size),
        "kl_nats": figures.over_files(kl, sounds.packs, "mean", seed),
        "encode_ms": figures.single(_cpu_ms(lambda: inference.encode(model, wave, rate))),
        "decode_ms": figures.single(_cpu_ms(lambda: inference.decode(model, z[0]))),
    }


def posterior(model: Model, sounds: Sounds) -> tuple[np.ndarray, np.ndarray]:
    """Returns the posterior means [n, z] and divergences from N(0, I) [n] of sounds, nats."""
    means, nats = [], []
    for rows, mask in padded_batches(sounds.size, BATCH_SIZE):
        features = sounds.take(rows).features
        mean, logvar = _encode(model.params, model.stats, features, model.config)
        means.append(np.asarray(mean)[mask])
        nats.append(np.asarray(losses.kl_to_standard_normal(mean, logvar))[mask])
    return np.concatenate(means), np.concatenate(nats)


def _cpu_ms(work: Callable[[], object]) -> float:
    """Returns the median CPU time of a call in ms, all threads added; a first call compiles."""
    np.asarray(work())
    taken = []
    for _ in range(N_REPEATS):
        start = time.process_time()
        np.asarray(work())
        taken.append(1000.0 * (time.process_time() - start))
    return float(np.median(taken))


_encode = jax.jit(network.encode, static_argnames="config")
