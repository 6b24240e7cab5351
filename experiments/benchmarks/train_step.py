"""How fast a training step is: clips per second and per CPU-second, and share of the device's peak.

python -m experiments.benchmarks.train_step [--config experiments/tiny.py] [--seconds 10]

Compares, in turns within one run, clips that stay on the device with clips gathered on the host for
every step, on random log-mels of the configuration's shape.

On 2 busy cores (clips per CPU-second, resident / host): tiny 301 / 306, drums 119 / 120; compiling
takes 25 s the first time.
"""

import argparse
import time

import jax
import numpy as np

from pipelines.train import read_config
from sst import compilation, data, model, speed, train
from sst.config import Config
from sst.features import ATTACK_POINTS

CLIPS = 1024


def main() -> None:
    """Prints a table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--config", default="experiments/tiny.py")
    options.add_argument("--seconds", type=float, default=10.0, help="for each of the two")
    arguments = options.parse_args()
    compilation.enable_cache()
    config, devices = read_config(arguments.config), jax.local_devices()
    clips = random_clips(config)
    runners = {name: Runner(config, clips, name == "resident") for name in ("resident", "host")}
    for _ in range(4):  # in turns: other load on the machine meets both
        for runner in runners.values():
            runner.run(arguments.seconds / 4)
    peak = speed.peak_flops(devices[0])
    print(
        f"{config.name}: batch {config.optim.batch_size}, {len(devices)} x {devices[0].device_kind}"
    )
    print("| clips | clips/s | clips/CPU-s | step ms | compile s | of peak |")
    print("|---|---|---|---|---|---|")
    for name, r in runners.items():
        rate = r.steps / r.wall
        share = rate * r.flops * len(devices) / peak
        print(
            f"| {name} | {rate * r.batch:.0f} | {r.steps * r.batch / r.cpu:.0f} | {1e3 / rate:.0f} "
            f"| {r.compiled:.1f} | {share:.0%} |"
        )


def random_clips(config: Config) -> train.Clips:
    """Log-mels that decay, of all lengths."""
    rng, audio = np.random.default_rng(0), config.audio
    frames = rng.integers(8, audio.n_frames + 1, CLIPS).astype(np.int32)
    shape = (CLIPS, audio.n_frames, audio.n_mels)
    log_mel = rng.normal(-30.0, 10.0, shape).clip(audio.floor_db, 0.0).astype(np.float16)
    log_mel[np.arange(audio.n_frames) >= frames[:, None]] = audio.floor_db
    attack = rng.uniform(-30.0, 0.0, (CLIPS, ATTACK_POINTS)).astype(np.float16)
    peak_db, label = rng.uniform(-20.0, 0.0, CLIPS), rng.integers(0, 8, CLIPS)
    return train.Clips(log_mel, frames, peak_db.astype(np.float32), attack, label.astype(np.int32))


class Runner:
    """One way of feeding the step, and what it took so far."""

    def __init__(self, config: Config, clips: train.Clips, resident: bool) -> None:
        devices = jax.local_devices()
        self.batch, self.shape = config.optim.batch_size, (len(devices), -1)
        self.seed, self.resident = config.seed, resident
        stats = model.data_stats(clips, config)
        params = model.init(jax.random.key(0), config, stats)
        self.state = train.replicate(train.init_state(config, params), devices)
        self.stats = train.replicate(stats, devices)
        self.clips = train.replicate(clips, devices) if resident else clips
        self.program = train.make_programs(config, model.objective, devices, resident).step
        self.steps = 0
        self.wall = self.cpu = 0.0
        start = time.perf_counter()
        self.flops = self.program.lower(*self._arguments(0)).cost_analysis().get("flops", 0.0)
        self._step(0)
        self.compiled = time.perf_counter() - start

    def _arguments(self, step: int) -> tuple:
        rows = data.batch_rows(self.seed, step, CLIPS, self.batch).reshape(self.shape)
        part = self.clips if self.resident else train.gather(self.clips, rows)
        return self.state, self.stats, part, rows

    def _step(self, step: int) -> None:
        self.state, terms = self.program(*self._arguments(step))
        jax.block_until_ready(terms)

    def run(self, seconds: float) -> None:
        """Steps for about that long."""
        wall, cpu = time.perf_counter(), time.process_time()
        while time.perf_counter() - wall < seconds:
            self.steps += 1
            self._step(self.steps)
        self.wall += time.perf_counter() - wall
        self.cpu += time.process_time() - cpu


if __name__ == "__main__":
    main()
