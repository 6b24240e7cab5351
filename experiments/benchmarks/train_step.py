"""Speed of a training step: clips per second and CPU-second, and share of the device's peak.

python -m experiments.benchmarks.train_step [--config experiments/tiny.py] [--seconds 10] \\
    [--config.optim.batch-size 16 ...] [--only-compile]

Compares, in turns within one run, clips that stay on the device, several steps in one call where
the configuration has that, and clips gathered on the host for every step, on random log-mels of the
configuration's shape. The peak is what a large matrix product reaches in the precision in which the
networks are trained. With `--only-compile` it says what one step needs, and makes none.
"""

import argparse
import sys
import time
from typing import Any

import jax
import numpy as np

from pipelines.train import read_config, split_overrides
from sst import cache, config
from sst.config import Config
from sst.data import dataset
from sst.dsp.features import ATTACK_POINTS
from sst.model.functions import VAE
from sst.training import peak_flops
from sst.training import step as training_step

CLIPS = 1024
STATS_CLIPS = 32  # of them, for the linear part: its values do not change the time of a step


def main() -> None:
    """Prints the work and memory of a step, and a table of its speed."""
    plain, overrides = split_overrides(sys.argv[1:])
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--config", default="experiments/tiny.py")
    options.add_argument("--seconds", type=float, default=10.0, help="for each variant")
    options.add_argument("--only-compile", action="store_true")
    arguments = options.parse_args(plain)
    cache.enable_cache()
    run = read_config(arguments.config)
    for name, value in overrides:
        run = config.override(run, name, value)
    clips, several = random_clips(run), run.optim.steps_per_call
    variants = {"resident": (True, 1), "host": (False, 1)}
    if several > 1:
        variants[f"resident, {several} steps a call"] = (True, several)
    chosen = list(variants)[:1] if arguments.only_compile else list(variants)
    runners = {name: Runner(run, clips, *variants[name]) for name in chosen}
    introduce(run, runners["resident"])
    if not arguments.only_compile:
        for _ in range(4):  # in turns: other load on the machine meets all
            for runner in runners.values():
                runner.run(arguments.seconds / 4)
        compare(run, runners)


def introduce(run: Config, runner: "Runner") -> None:
    """Prints the work and memory of a step."""
    devices, memory = jax.local_devices(), runner.program.memory_analysis()
    held = memory.argument_size_in_bytes + memory.temp_size_in_bytes
    print(
        f"{run.name}: batch {run.optim.batch_size}, {run.model.precision}, {len(devices)} x "
        f"{devices[0].device_kind}; a step has {runner.flops / 1e9:,.1f} GFLOP on each and needs "
        f"{held / 1e6:,.0f} MB, {memory.temp_size_in_bytes / 1e6:,.0f} of it for itself; "
        f"{400e12 / runner.flops:,.0f} steps a second at 400 TFLOP/s"
    )


def compare(run: Config, runners: dict[str, "Runner"]) -> None:
    """Prints a line for each variant."""
    device = jax.local_devices()[0]
    peak = max(peak_flops.peak_flops(device, run.model.precision) for _ in range(8))
    print(f"a large matrix product reaches {peak / 1e9:,.0f} GFLOP/s in {run.model.precision}")
    print("| clips | clips/s | clips/CPU-s | step ms | GFLOP/s | of peak | compile s |")
    print("|---|---|---|---|---|---|---|")
    for name, r in runners.items():
        rate = r.steps / r.wall
        print(
            f"| {name} | {rate * r.batch:.0f} | {r.steps * r.batch / r.cpu:.1f} | {1e3 / rate:.1f} "
            f"| {rate * r.flops / 1e9:,.1f} | {rate * r.flops / peak:.0%} | {r.compiled:.1f} |"
        )


def random_clips(run: Config) -> training_step.Clips:
    """Makes log-mels that decay, of all lengths."""
    rng, audio = np.random.default_rng(0), run.audio
    frames = rng.integers(8, audio.n_frames + 1, CLIPS).astype(np.int32)
    shape = (CLIPS, audio.n_frames, audio.n_mels)
    log_mel = rng.normal(-30.0, 10.0, shape).clip(audio.floor_db, 0.0).astype(np.float16)
    log_mel[np.arange(audio.n_frames) >= frames[:, None]] = audio.floor_db
    attack = rng.uniform(-30.0, 0.0, (CLIPS, ATTACK_POINTS)).astype(np.float16)
    peak_db, label = rng.uniform(-20.0, 0.0, CLIPS), rng.integers(0, 8, CLIPS)
    return training_step.Clips(
        log_mel, frames, peak_db.astype(np.float32), attack, label.astype(np.int32)
    )


class Runner:
    """A variant of the training step with its input, and the time that it took so far."""

    def __init__(
        self, run: Config, clips: training_step.Clips, resident: bool, at_once: int
    ) -> None:
        devices = jax.local_devices()
        self.batch, self.shape = run.optim.batch_size, (len(devices), -1)
        self.seed, self.resident, self.at_once = run.seed, resident, at_once
        few = training_step.Clips(*(field[:STATS_CLIPS] for field in clips))
        stats = VAE.data_stats(few, run)
        params = VAE.init(jax.random.key(0), run, stats)
        self.state = training_step.replicate(training_step.init_state(run, params), devices)
        self.stats = training_step.replicate(stats, devices)
        self.clips = training_step.replicate(clips, devices) if resident else clips
        self.steps = 0
        self.wall = self.cpu = 0.0
        programs: Any = training_step.make_programs(run, VAE.objective, devices, resident)
        start = time.perf_counter()
        lowered = (programs.steps if at_once > 1 else programs.step).lower(*self._arguments(0))
        self.flops = lowered.cost_analysis().get("flops", 0.0)  # of one step, also inside a loop
        self.program = lowered.compile()
        self.compiled = time.perf_counter() - start

    def _arguments(self, step: int) -> tuple:
        rows = self._rows(step)
        if self.at_once > 1:
            rows = np.stack([self._rows(step + i) for i in range(self.at_once)], axis=1)
        part = self.clips if self.resident else training_step.gather(self.clips, rows)
        return self.state, self.stats, part, rows

    def _rows(self, step: int) -> np.ndarray:
        return dataset.batch_rows(self.seed, step, CLIPS, self.batch).reshape(self.shape)

    def run(self, seconds: float) -> None:
        """Runs steps for about that long."""
        wall, cpu = time.perf_counter(), time.process_time()
        while time.perf_counter() - wall < seconds:
            self.state, terms = self.program(*self._arguments(self.steps))
            jax.block_until_ready(terms)
            self.steps += self.at_once
        self.wall += time.perf_counter() - wall
        self.cpu += time.process_time() - cpu


if __name__ == "__main__":
    main()
